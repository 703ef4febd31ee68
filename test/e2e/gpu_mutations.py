#!/usr/bin/env python3
"""Faults planted into the shipped kernels (codegen/emulator/Mutation.h) must not go unnoticed: the emulator's checker reports
them, or the numbers are wrong. Prints a table: fault, kernel, what noticed it.

Every way to multiply and decode, in the form that uses most of the machinery: fused, with a low-rank branch, two items to a
result. Of every kind of fault the places in all kernels of a token count are taken in turn, a few by default and all with
QLR_FULL=1.
"""
import collections
import concurrent.futures
import json
import os
import re

import numpy as np

import qlrformat
import qlrtest

# codec, multiply, decode, tokens at a time
VARIANTS = [("trellis2", "imma", "lut4", 8), ("trellis2", "dp4a", "lut4", 1), ("trellis2", "hmma", "lut2", 8),
            ("trellis2", "hmma", "lut2x32", 1), ("trellis3", "imma", "lut2", 1), ("int4", "imma", "", 1),
            ("int8", "dp4a", "", 1), ("trellis2", "imma", "", 128), ("int4g64", "imma", "", 128), ("f32", "imma", "", 1)]
KINDS = ("barrier", "index", "mask", "wait", "release", "acquire")
PLACES = 1000 if os.environ.get("QLR_FULL") else 3  # of a kind, in one kernel
WIDTH, HEADS = 256, 4


class GpuMutations(qlrtest.Case):
    def compile(self, directory, variant, output, mutation=None):
        codec, multiply, decode, tokens = variant
        chunks = ",".join(map(str, sorted({1, tokens})))
        return qlrtest.run("qlr", "compile", directory, "--target", "emulator:sm_86", "--chunks", chunks, "--splits", 2,
                           "--multiply", multiply, *(["--decode", decode] if decode else []),
                           "--emulator-objects", directory, *(["--emulator-mutation", mutation] if mutation else []),
                           "-o", output).stderr

    def logits(self, artifact, tokens):
        """Logits of a prompt of `tokens`, or the checker's report."""
        dump = artifact.with_suffix(".f32")
        ids = ",".join(str(i * 7 % 100) for i in range(tokens + 1))
        done = qlrtest.run("qlr", "run", artifact, "--prompt-ids", ids, "--temp", 0, "-n", 1, "--ctx-size", 256,
                           "--prefill-chunk", tokens, "--threads", 1, "--dump-logits", dump, check=False, timeout=600)
        if done.returncode != 0:
            return None, done.stderr.strip().splitlines()[-1]
        return np.fromfile(dump, np.float32), ""

    def kernels(self, artifact, tokens):
        """Names of the kernels that the plan of `tokens` runs."""
        with open(artifact, "rb") as f:
            header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        plan = json.loads(header["__metadata__"]["qlr.plan"])
        names = []
        for entry in plan["plans"]:
            if entry["tokens"] == tokens:
                names += [plan["kernels"][step["kernel"]]["name"] for step in entry["steps"]]
        return sorted(set(names), key=lambda n: int(n[1:]))

    def check_variant(self, variant):
        name = "-".join(str(v) for v in variant if v)
        directory = self.tmp / name
        config = qlrformat.base_config(WIDTH, 384, 1, HEADS, 2, 128)
        layers = [f"model.layers.0.{s}" for s in qlrformat.layer_shapes(config)]
        rank = 0 if variant[0] == "f32" else 16
        qlrformat.RandomCheckpoint(config, {n: qlrformat.Module(variant[0], rank) for n in layers}, seed=3).write(directory)
        clean = directory / "clean.qlr"
        self.compile(directory, variant, clean)
        want, report = self.logits(clean, variant[3])
        self.assertIsNotNone(want, f"{name}: the kernels as shipped: {report}")
        rows, missed = [], []
        for kernel in self.kernels(clean, variant[3]):
            for kind in KINDS:
                count, place = 1, 0
                while place < min(count, PLACES):
                    mutant = directory / "mutant.qlr"
                    said = self.compile(directory, variant, mutant, f"{kernel}:{kind}:{place}")
                    count = int(re.search(r"place \d+ of (\d+)", said).group(1))
                    if count == 0:
                        break
                    got, report = self.logits(mutant, variant[3])
                    # Faults that only other numbers betray have to move them visibly.
                    if got is not None:
                        moved = np.linalg.norm(got - want) > 1e-3 * np.linalg.norm(want) or not np.isfinite(got).all()
                        report = "numbers" if moved else ""
                    rows.append((kind, name, kernel, place, report))
                    if not report:
                        missed.append(rows[-1])
                    place += 1
        return rows, missed

    def test_every_variant(self):
        noticed = collections.Counter()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for variant, job in [(v, pool.submit(self.check_variant, v)) for v in VARIANTS]:
                with self.subTest(variant=variant):
                    rows, missed = job.result()
                    for kind, name, kernel, place, report in rows:
                        what = re.sub(r".*thread \d+: ", "", report) or "NOT NOTICED"
                        print(f"| {kind} {place} | {name} {kernel} | {what[:100]} |", flush=True)
                        noticed[kind] += bool(report)
                    self.assertEqual(missed, [])
        for kind in KINDS:
            self.assertGreater(noticed[kind], 0, f"no kernel has a place for {kind}")


if __name__ == "__main__":
    qlrtest.main()
