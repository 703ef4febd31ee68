#!/usr/bin/env python3
"""Whole models on the emulator: the greedy tokens of the host. Another token is allowed only where the host's two best logits
are closer than twice the difference of the two devices' logits."""
import json

import numpy as np

import qlrtest

TOKENS = 24


class GpuModels(qlrtest.Case):
    def generate(self, artifact, device, prompt):
        return qlrtest.run_json("qlr", "run", artifact, "--device", device, "--prompt-ids", ",".join(map(str, prompt)), "--temp", 0,
                                "-n", TOKENS, "--ctx-size", 256)["ids"]

    def next_logits(self, artifact, device, ids, vocab):
        """The logits that follow `ids`."""
        dump = artifact.with_suffix(".f32")
        qlrtest.run("qlr", "run", artifact, "--device", device, "--prompt-ids", ",".join(map(str, ids)), "--temp", 0, "-n", 0,
                    "--ctx-size", 256, "--dump-logits", dump)
        return np.fromfile(dump, np.float32).reshape(len(ids), vocab)[-1]

    def check(self, model, prompt, *options):
        host, emulated = self.tmp / "host.qlr", self.tmp / "emulated.qlr"
        qlrtest.run("qlr", "compile", model, "--target", "host", *options, "-o", host)
        qlrtest.run("qlr", "compile", model, "--target", "emulator:sm_86", *options, "-o", emulated)
        want = self.generate(host, "host", prompt)
        got = self.generate(emulated, "emulator", prompt)
        vocab = json.loads((model / "config.json").read_text())["vocab_size"]
        for i, (x, y) in enumerate(zip(want, got)):
            if x == y:
                continue
            # From here on the two go different ways; up to here their inputs are the same.
            ids = prompt + want[:i]
            a, b = (self.next_logits(artifact, device, ids, vocab) for artifact, device in ((host, "host"), (emulated, "emulator")))
            best = np.sort(a)[-2:]
            error = np.abs(a - b).max()
            print(f"token {i}: {x} and {y}, gap {best[1] - best[0]:.4f}, error {error:.4f}", flush=True)
            self.assertLess(best[1] - best[0], 2 * error, f"token {i}: host {x}, emulator {y}")
            return
        self.assertEqual(len(want), len(got))

    def test_demo(self):
        for codec in ("plain", "trellis2", "int4"):
            with self.subTest(codec=codec):
                model = qlrtest.DEMO
                if codec != "plain":
                    model = self.tmp / codec
                    qlrtest.run("qlr", "compress", qlrtest.DEMO, "-o", model, "--codec", codec, "--rank", 16, "--calib",
                                qlrtest.DEMO / "calibration.txt", "--calib-windows", 4, "--calib-length", 64)
                self.check(model, list(range(100, 137)))

    def test_stories(self):
        self.check(qlrtest.data("stories260K/qwen2_layout"), [1, 403, 407], "--cache", "f32")


if __name__ == "__main__":
    qlrtest.main()
