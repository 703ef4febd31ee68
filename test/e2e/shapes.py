#!/usr/bin/env python3
"""Models of real shapes compile from headers alone, within bounded time and memory."""
import json
import sys

import numpy as np

import qlrformat
import qlrtest

SHAPES = {"Qwen2-0.5B": "Qwen2-0.5B", "Qwen2.5-1.5B": "Qwen2.5-1.5B-Instruct.transformers5",
          "Qwen2-7B": "Qwen2-7B-Instruct", "Qwen2.5-72B": "Qwen2.5-72B-Instruct"}
SECONDS, BYTES = 60, 4e9


# A child's peak memory begins with that of the process it was forked from, so a small one stands between.
MEASURE = """
import resource, subprocess, sys, time
start = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
seconds = time.monotonic() - start
if done.returncode:
    sys.exit(f"exit code {done.returncode}: {done.stderr[-3000:]}")
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def compile_measured(directory, output, *options):
    """(seconds, peak bytes) of qlr-compile; raises when it fails."""
    done = qlrtest.run(sys.executable, "-c", MEASURE, qlrtest.BIN / "qlr-compile", directory, "--target", "host", "-o", output,
                       *options)
    seconds, peak = done.stdout.split()
    return float(seconds), int(peak)


class Shapes(qlrtest.Case):
    def check(self, name, *options):
        config = qlrtest.data(f"qwen2_configs/{SHAPES[name]}.config.json")
        directory, artifact = self.tmp / name, self.tmp / f"{name}.qlr"
        qlrtest.run(qlrtest.ROOT / "tools" / "make-shape", config, "-o", directory, *options)
        seconds, peak = compile_measured(directory, artifact, "--no-weights")
        print(f"{name} {' '.join(options)}: {seconds:.1f} s, {peak / 1e9:.2f} GB", file=sys.stderr)
        self.assertLessEqual(seconds, SECONDS)
        self.assertLessEqual(peak, BYTES)
        memory = qlrtest.run_json("qlr", "inspect", artifact, "--ctx-size", 4096)["memory"]
        return memory

    def test_compressed(self):
        for name in SHAPES:
            with self.subTest(shape=name):
                self.check(name, "--codec", "trellis2", "--rank", "32")

    def test_plain_and_sharded(self):
        with self.subTest(shape="Qwen2-0.5B"):
            self.check("Qwen2-0.5B")
        with self.subTest(shape="Qwen2-7B in shards"):
            self.check("Qwen2-7B", "--shards", "4")

    def test_72b_fits_a_24_gb_card(self):
        memory = self.check("Qwen2.5-72B", "--codec", "trellis2", "--rank", "128")
        # The embedding table may stay in host memory; it is int8 with one F16 scale a row.
        embedding = 152064 * (8192 + 2)
        self.assertLess(memory["total"] - embedding, 22e9)

    def test_filled_weights_run(self):
        """Weights of make-shape --fill are valid: two layers of the 0.5B shape, with a small vocabulary."""
        original = qlrtest.data(f"qwen2_configs/{SHAPES['Qwen2-0.5B']}.config.json")
        config = self.tmp / "config.json"
        config.write_text(json.dumps({**json.loads(original.read_text()), "vocab_size": 4096, "bos_token_id": 0,
                                      "eos_token_id": 0}))
        directory, artifact = self.tmp / "filled", self.tmp / "filled.qlr"
        qlrtest.run(qlrtest.ROOT / "tools" / "make-shape", config, "-o", directory, "--layers", 2, "--codec", "trellis4",
                    "--rank", 8, "--fill")
        qlrtest.run("qlr", "compile", directory, "--target", "host", "--cache", "f32", "-o", artifact)
        ids = [1, 22, 333, 4095, 2048]
        dump = self.tmp / "logits.f32"
        qlrtest.run_json("qlr", "run", artifact, "--prompt-ids", ",".join(map(str, ids)), "--temp", 0, "-n", 0, "--dump-logits",
                         dump)

        want = qlrformat.Model(directory).logits(ids, exact=False)
        got = np.fromfile(dump, np.float32)[:want.size].reshape(want.shape)
        self.assertLessEqual(np.linalg.norm(got - want) / np.linalg.norm(want), 1e-3)


if __name__ == "__main__":
    qlrtest.main()
