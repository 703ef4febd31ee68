#!/usr/bin/env python3
"""tools/quickstart, the first command of the README, without its build step."""
import re
import subprocess
import time

import qlrtest


class Quickstart(qlrtest.Case):
    def quickstart(self):
        start = time.monotonic()
        done = subprocess.run([str(qlrtest.ROOT / "tools" / "quickstart"), "--no-build"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return done.stdout, time.monotonic() - start

    def test_table(self):
        if qlrtest.BIN.resolve() != (qlrtest.ROOT / "build" / "release" / "bin").resolve():
            self.skipTest("the quickstart uses build/release")
        out, _ = self.quickstart()
        rows = dict(re.findall(r"^(perplexity|KL|bytes|bits|tokens per second)[^\d]*([\d.]+ +[\d.]+)$", out, re.M))
        before, after = {}, {}
        for name, pair in rows.items():
            before[name], after[name] = map(float, pair.split())
        self.assertEqual(set(rows), {"perplexity", "KL", "bytes", "bits", "tokens per second"}, out)
        self.assertAlmostEqual(before["perplexity"], 17.36, delta=0.05)
        self.assertLess(after["perplexity"], 20.5)
        self.assertLess(before["KL"], 1e-4)
        self.assertLess(after["KL"], 0.12)
        self.assertLess(after["bytes"], before["bytes"] / 4)
        self.assertLess(after["bits"], 2.1)
        self.assertGreater(after["tokens per second"], 50)
        self.assertEqual(out.count("---"), 2)
        _, seconds = self.quickstart()
        self.assertLess(seconds, 5, "a second run reuses what is there")


if __name__ == "__main__":
    qlrtest.main()
