#!/usr/bin/env python3
"""GPU kernels on the emulator against fp64: every codec, way to multiply and to decode, form, number of splits, width, chip;
each with ranks 0, 8 and 32 and with 128, 8, 2 and 1 tokens.

The probe and the second definition of the formats are those of kernels.py. By default a set of combinations in which every
pair of choices occurs (deterministic, greedy). QLR_FULL=1 runs the full product at one width and for one chip; QLR_CODECS
as there. QLR_RESULTS=FILE adds a row to a file for each combination that passed and leaves out those that have one, so that
the full product can be interrupted. docs/results/gpu-product.txt is such a file.
Each combination also runs in another order of blocks and threads, which must give the same bits.
"""
import concurrent.futures
import itertools
import os
import pathlib
import random

import numpy as np

import kernels
import qlrformat
import qlrtest

CHOICES = {
    "codec": kernels.CODECS,
    "multiply": ("imma", "dp4a", "hmma"),
    "decode": ("lut4", "lut2", "lut2x32", ""),  # tables of four weights, of two, of two with a copy a bank; none
    "form": ("fused", "two-stage", "unfused"),
    "splits": (0, 2),
    "width": (200, 136, 256),  # tails in every dimension; rotated in blocks of 8, 8 and 128
    "chip": ("sm_80", "sm_86", "sm_90"),
}
HEADS = {200: 5, 136: 4, 256: 4}
CHUNKS = ((128, 130), (8, 9), (2, 3), (1, 2))  # tokens at a time, tokens of the prompt: whole chunks and a rest


def is_valid(c):
    """Combinations that mean something: what a codec does not have would be replaced by its own choice."""
    codec = qlrformat.Codec(c["codec"])
    if codec.is_float:
        return (c["multiply"], c["decode"], c["splits"], c["form"]) == ("imma", "", 0, "fused")
    trellis, bits = codec.is_trellis, codec.bits
    has = {"lut4": bits == 2 or (bits == 3 and not trellis), "lut2": bits <= 3 or trellis,
           "lut2x32": trellis and bits == 2 and not c["codec"].endswith("w8"), "": bits >= 4 and not trellis}
    return has[c["decode"]]


def all_combinations():
    for values in itertools.product(*CHOICES.values()):
        c = dict(zip(CHOICES, values))
        if is_valid(c):
            yield c


def pairs(c):
    return set(itertools.combinations(sorted(c.items()), 2))


def row(c):
    return " ".join(str(v) or "-" for v in c.values())


def covering():
    """Combinations in which every pair of choices that can occur together does."""
    everything = list(all_combinations())
    random.Random(1).shuffle(everything)
    left = set().union(*(pairs(c) for c in everything))
    chosen = []
    while left:
        some = random.Random(len(chosen)).sample(everything, min(400, len(everything)))
        best = max(some, key=lambda c: len(pairs(c) & left))
        if not pairs(best) & left:
            best = next(c for c in everything if pairs(c) & left)
        chosen.append(best)
        left -= pairs(best)
    return chosen


class GpuKernels(qlrtest.Case):
    def logits(self, artifact, ids, chunk, *options):
        dump = artifact.with_suffix(f".{chunk}.f32")
        qlrtest.run("qlr", "run", artifact, "--prompt-ids", ",".join(map(str, ids)), "--temp", 0, "-n", 0, "--json",
                    "--ctx-size", 256, "--threads", 1, "--prefill-chunk", chunk, "--dump-logits", dump, *options)
        return np.fromfile(dump, np.float32)

    def measure(self, c, ranks=kernels.RANKS):
        seed, width = 1 + sum(map(ord, c["codec"])), c["width"]
        name = "-".join(str(v) for v in c.values())
        directory = self.tmp / name
        kernels.probe(directory, c["codec"], seed, width, HEADS[width], ranks)
        artifact = directory / "m.qlr"
        qlrtest.run("qlr", "compile", directory, "--target", f"emulator:{c['chip']}", "--cache", "f32", "--chunks", "1,2,8,128",
                    "--form", c["form"], "--multiply", c["multiply"], *(["--decode", c["decode"]] if c["decode"] else []),
                    "--splits", c["splits"], "--emulator-objects", self.objects, "-o", artifact)
        model = qlrformat.Model(directory)
        ids = np.random.default_rng(seed).integers(0, width, CHUNKS[0][1])
        want = model.logits(ids, exact=True)
        errors, repeated = {}, True
        for chunk, tokens in CHUNKS:
            got = self.logits(artifact, ids[:tokens], chunk)[:tokens * want.shape[1]]
            errors[chunk] = kernels.relative(got.reshape(tokens, -1), want[:tokens])
            if chunk != 128 or os.environ.get("QLR_FULL"):
                again = self.logits(artifact, ids[:tokens], chunk, "--device", "emulator:blocks=7,seed=5")[:tokens * want.shape[1]]
                repeated &= bool(np.array_equal(got, again))
        return errors, repeated

    def test_high_rank(self):
        """The low-rank branch and 128 tokens' operands share what an sm_86 has for a block."""
        self.objects = self.tmp
        for codec in ("int4", "trellis4w8"):
            with self.subTest(codec=codec):
                c = dict(codec=codec, multiply="imma", decode="" if codec == "int4" else "lut2", form="fused", splits=2, width=256,
                         chip="sm_86")
                errors, repeated = self.measure(c, ranks=(128, 0, 128))
                self.assertLessEqual(max(errors.values()), kernels.BOUND[16])
                self.assertTrue(repeated, "another order of blocks gives other bits")

    def test_against_fp64(self):
        if os.environ.get("QLR_FULL"):
            combinations = [c for c in all_combinations() if (c["width"], c["chip"]) == (200, "sm_86")]
        else:
            combinations = covering()
        results = pathlib.Path(os.environ.get("QLR_RESULTS", os.devnull))
        done = [line.split(" 128:")[0] for line in results.read_text().splitlines()] if results.exists() else []
        combinations = [c for c in combinations if row(c) not in done]
        print(len(combinations), "combinations", flush=True)
        self.objects = self.tmp / "objects"  # many combinations have kernels in common
        self.objects.mkdir()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = [(c, pool.submit(self.measure, c)) for c in combinations]
            for c, job in jobs:
                with self.subTest(**c):
                    errors, repeated = job.result()
                    line = row(c) + " " + " ".join(f"{chunk}:{e:.1e}" for chunk, e in errors.items())
                    print(line, flush=True)
                    allowed = kernels.BOUND[qlrformat.Codec(c["codec"]).activation_bits]
                    self.assertEqual({k: f"{e:.2e}" for k, e in errors.items() if not e <= allowed}, {}, f"allowed {allowed}")
                    self.assertTrue(repeated, "another order of blocks gives other bits")
                    with results.open("a") as out:
                        print(line, file=out)


if __name__ == "__main__":
    qlrtest.main()
