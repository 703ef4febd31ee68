#!/usr/bin/env python3
"""Faults planted into the shipped kernels (codegen/emulator/Mutation.h) must not go unnoticed: the emulator's checker reports
them, or the numbers are wrong. Prints a table: fault, kernel, what noticed it.

Every way to multiply and decode, in the form that uses most of the machinery: fused, with a low-rank branch, two items to a
result. In every kernel and for every kind of fault that has a place in it, one is planted at place after place until it is
noticed; at least one must be. (A barrier behind another one, say, can go without harm.) QLR_FULL=1 goes on to all places.
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
SEEDS = (5, 6, 7)  # orders of blocks and threads: what one block does alone needs no release
FULL = bool(os.environ.get("QLR_FULL"))
MOST = 1000 if FULL else 12  # places of a kind in one kernel
WIDTH, HEADS = 256, 4


class GpuMutations(qlrtest.Case):
    def compile(self, directory, variant, output, mutation=None):
        codec, multiply, decode, tokens = variant
        chunks = ",".join(map(str, sorted({1, tokens})))
        return qlrtest.run("qlr", "compile", directory, "--target", "emulator:sm_86", "--chunks", chunks, "--splits", 2,
                           "--multiply", multiply, *(["--decode", decode] if decode else []),
                           "--emulator-objects", directory, *(["--emulator-mutation", mutation] if mutation else []),
                           "-o", output).stderr

    def logits(self, artifact, tokens, seed):
        """Logits of a prompt of `tokens`, or None and the checker's report."""
        dump = artifact.with_suffix(".f32")
        ids = ",".join(str(i * 7 % 100) for i in range(tokens + 1))
        done = qlrtest.run("qlr", "run", artifact, "--device", f"emulator:blocks=7,seed={seed}", "--prompt-ids", ids, "--temp", 0,
                           "-n", 1, "--ctx-size", 256, "--prefill-chunk", tokens, "--threads", 1, "--dump-logits", dump,
                           check=False, timeout=600)
        if done.returncode != 0:
            return None, done.stderr.strip().splitlines()[-1]
        return np.fromfile(dump, np.float32), ""

    def noticed(self, artifact, tokens, want):
        """What notices that something is wrong with `artifact`, or nothing."""
        for seed in SEEDS:
            got, report = self.logits(artifact, tokens, seed)
            if got is None:
                return re.sub(r".*thread \d+: ", "", report)
            # Faults that only other numbers betray have to move them visibly.
            if not np.linalg.norm(got - want) <= 1e-3 * np.linalg.norm(want):
                return "other numbers"
        return ""

    def kernels(self, artifact, tokens, everything):
        """{name: what it computes} of the kernels that the plan of `tokens` runs: all, or some products of a layer."""
        with open(artifact, "rb") as f:
            header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        plan = json.loads(header["__metadata__"]["qlr.plan"])
        found = {}
        for entry in plan["plans"]:
            # With --dump-logits those for all tokens are wanted.
            runs = entry["tokens"] == tokens and (tokens == 1 or entry["logits"] == "all")
            for step in entry["steps"] if runs else []:
                source = step["source"].removeprefix("model.layers.0.") or "attention"
                if everything or source.startswith(("self_attn.q_proj", "mlp.down_proj")):
                    found[plan["kernels"][step["kernel"]]["name"]] = source
        return found

    def check_variant(self, variant, everything):
        """Rows (kind, variant, kernel, place, places, what noticed it) and the (kernel, kind) that nothing noticed."""
        name = "-".join(str(v) for v in variant if v)
        directory = self.tmp / name
        config = qlrformat.base_config(WIDTH, 384, 1, HEADS, 2, 128)
        layers = [f"model.layers.0.{s}" for s in qlrformat.layer_shapes(config)]
        rank = 0 if variant[0] == "f32" else 16
        qlrformat.RandomCheckpoint(config, {n: qlrformat.Module(variant[0], rank) for n in layers}, seed=3).write(directory)
        clean, mutant = directory / "clean.qlr", directory / "mutant.qlr"
        self.compile(directory, variant, clean)
        want, report = self.logits(clean, variant[3], SEEDS[0])
        self.assertIsNotNone(want, f"{name}: the kernels as shipped: {report}")
        self.assertEqual(self.noticed(clean, variant[3], want), "", f"{name}: the kernels as shipped")
        rows, missed = [], []
        for kernel, source in self.kernels(clean, variant[3], everything).items():
            for kind in KINDS:
                place, places, hits = 0, 1, 0
                while place < min(places, MOST) and (FULL or not hits):
                    said = self.compile(directory, variant, mutant, f"{kernel}:{kind}:{place}")
                    places = int(re.search(r"place \d+ of (\d+)", said).group(1))
                    if places == 0:
                        break
                    what = self.noticed(mutant, variant[3], want)
                    rows.append((kind, name, source, place, places, what))
                    hits += bool(what)
                    place += 1
                if places and not hits:
                    missed.append((source, kind))
        return rows, missed

    def test_every_variant(self):
        noticed, seen, jobs = collections.Counter(), set(), []
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for variant in VARIANTS:
                # Kernels without compressed weights are the same in all variants.
                jobs.append((variant, pool.submit(self.check_variant, variant, variant[3] not in seen)))
                seen.add(variant[3])
            for variant, job in jobs:
                with self.subTest(variant=variant):
                    rows, missed = job.result()
                    for kind, name, source, place, places, what in rows:
                        print(f"| {kind} | {name} | {source} | {place + 1} of {places} | {what[:90] or 'nothing'} |", flush=True)
                        noticed[kind] += bool(what)
                    self.assertEqual(missed, [])
        for kind in KINDS:
            self.assertGreater(noticed[kind], 0, f"no kernel has a place for {kind}")


if __name__ == "__main__":
    qlrtest.main()
