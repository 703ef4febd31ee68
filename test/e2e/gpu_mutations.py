#!/usr/bin/env python3
"""Faults planted into the shipped kernels (codegen/emulator/Mutation.h) must not go unnoticed: the emulator's checker reports
them, or the numbers are wrong.

Every way to multiply, to decode and every form, with a low-rank branch and two items to a result; for up to 8 tokens and
for 128. In every kernel and for every kind of fault that has a place in it, one is planted at place after place until it is
noticed; at least one must be. (A barrier behind another one, say, can go without harm.) QLR_FULL=1 goes on to all places.
QLR_RESULTS=FILE writes the table of docs/results/mutations.md: variant, kernel, fault, what noticed it.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import typing

import numpy as np

import qlrformat
import qlrtest

FORMS = ("fused", "two-stage", "unfused")
# Codecs that have a way to decode: one per form.
DECODED = {"lut4": ("trellis2", "int3", "int2"), "lut2": ("trellis3", "int2g64", "trellis4"),
           "lut2x32": ("trellis2", "trellis2", "trellis2"), "": ("int4", "int8", "int4g64")}
KINDS = ("barrier", "index", "mask", "wait", "release", "acquire")
SEEDS = (5, 6, 7)  # orders of blocks and threads: what one block does alone needs no release
FULL = bool(os.environ.get("QLR_FULL"))
MOST = 1000 if FULL else 12  # places of a kind in one kernel
WIDTH, HEADS = 256, 4


class Variant(typing.NamedTuple):
    codec: str
    multiply: str
    decode: str
    form: str
    tokens: int  # at a time
    every: bool = False  # also the kernels without compressed weights, which are the same in all variants

    def __str__(self):
        return " ".join(str(v) for v in self[:5] if v)


def variants():
    # The longest ones first.
    result = [Variant("trellis2", "imma", "", "fused", 128, True), Variant("trellis2", "imma", "lut4", "fused", 8, True),
              Variant("f32", "imma", "", "fused", 1, True)]
    result += [Variant(codec, "imma", "", form, 128) for form, codec in zip(FORMS, ("int4g64", "trellis3", "int2g32"))]
    for i, multiply in enumerate(("imma", "dp4a", "hmma")):
        for j, (decode, codecs) in enumerate(DECODED.items()):
            for k, (form, codec) in enumerate(zip(FORMS, codecs)):
                variant = Variant(codec, multiply, decode, form, (8, 1)[(i + j + k) % 2])
                if variant[:5] not in [v[:5] for v in result]:
                    result.append(variant)
    return result


class GpuMutations(qlrtest.Case):
    def compile(self, directory, variant, output, mutation=None):
        chunks = ",".join(map(str, sorted({1, variant.tokens})))
        return qlrtest.run("qlr", "compile", directory, "--target", "emulator:sm_86", "--chunks", chunks, "--splits", 2,
                           "--form", variant.form, "--multiply", variant.multiply,
                           *(["--decode", variant.decode] if variant.decode else []),
                           "--emulator-objects", directory, *(["--emulator-mutation", mutation] if mutation else []),
                           "-o", output).stderr

    def logits(self, artifact, tokens, seed):
        """Logits of a prompt of `tokens`, or None and the checker's report."""
        dump = artifact.with_suffix(".f32")
        ids = ",".join(str(i * 7 % 100) for i in range(tokens + 1))
        done = qlrtest.run("qlr", "run", artifact, "--device", f"emulator:blocks=7,seed={seed}", "--prompt-ids", ids, "--temp", 0,
                           "-n", 0, "--ctx-size", 256, "--prefill-chunk", tokens, "--threads", 1, "--dump-logits", dump,
                           check=False, timeout=600)
        if done.returncode != 0:
            return None, done.stderr.strip().splitlines()[-1]
        return np.fromfile(dump, np.float32), ""

    def noticed(self, artifact, tokens, want):
        """What notices that something is wrong with `artifact`, or None."""
        for seed in SEEDS:
            got, report = self.logits(artifact, tokens, seed)
            if got is None:
                return re.sub(r".*thread \d+: ", "", report)
            # Faults that only other numbers betray have to move them visibly.
            if not np.linalg.norm(got - want) <= 1e-3 * np.linalg.norm(want):
                return "other numbers"
        return None

    def kernels(self, artifact, variant):
        """{name: what it computes} of the kernels that the plan of `variant` runs: all, or those of some products."""
        with open(artifact, "rb") as f:
            header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        plan = json.loads(header["__metadata__"]["qlr.plan"])
        # Stacked weights, bias, rotary embedding and append to the cache are in the first; the second is a plain product.
        some = ("self_attn.q_proj", "mlp.down_proj") if variant.form == "fused" else ("mlp.down_proj",)
        found = {}
        for entry in plan["plans"]:
            # With --dump-logits those for all tokens are wanted.
            runs = entry["tokens"] == variant.tokens and (variant.tokens == 1 or entry["logits"] == "all")
            for step in entry["steps"] if runs else []:
                source = step["source"].removeprefix("model.layers.0.") or "attention"
                if variant.every or source.startswith(some):
                    found[plan["kernels"][step["kernel"]]["name"]] = source
        return found

    def check_fault(self, directory, variant, kernel, kind, want):
        """What noticed each of the places tried, or None; and how many places there are."""
        mutant = directory / "mutant.qlr"
        found, places = [], 1
        while len(found) < min(places, MOST) and (FULL or not any(found)):
            said = self.compile(directory, variant, mutant, f"{kernel}:{kind}:{len(found)}")
            places = int(re.search(r"place \d+ of (\d+)", said).group(1))
            if places:
                found.append(self.noticed(mutant, variant.tokens, want))
        return found, places

    def check_variant(self, variant):
        """[(kernel, kind, what noticed the places tried, places)]"""
        directory = self.tmp / str(variant).replace(" ", "-")
        config = qlrformat.base_config(WIDTH, 384, 1, HEADS, 2, 128)
        layers = [f"model.layers.0.{s}" for s in qlrformat.layer_shapes(config)]
        rank = 0 if variant.codec == "f32" else 16
        qlrformat.RandomCheckpoint(config, {n: qlrformat.Module(variant.codec, rank) for n in layers}, seed=3).write(directory)
        clean = directory / "clean.qlr"
        self.compile(directory, variant, clean)
        want, report = self.logits(clean, variant.tokens, SEEDS[0])
        self.assertIsNotNone(want, f"the kernels as shipped: {report}")
        self.assertIsNone(self.noticed(clean, variant.tokens, want), "the kernels as shipped")
        rows = []
        for kernel, source in self.kernels(clean, variant).items():
            for kind in KINDS:
                found, places = self.check_fault(directory, variant, kernel, kind, want)
                if places:
                    rows.append((source, kind, found, places))
        return rows

    def test_every_variant(self):
        seen, table = set(), ["| variant | kernel | fault | places | unnoticed before | noticed by |", "|---|---|---|---:|---:|---|"]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for variant, job in [(v, pool.submit(self.check_variant, v)) for v in variants()]:
                with self.subTest(str(variant)):
                    rows = job.result()
                    for source, kind, found, places in rows:
                        hits = [what for what in found if what]
                        before = found.index(hits[0]) if hits else len(found)
                        # In the words of docs/emulator.md.
                        what = re.sub("^'shfl.*", "wrong lanes", (hits or ["nothing"])[0].split(" at '")[0])
                        table.append(f"| {variant} | {source} | {kind} | {places} | {before or ''} | {what} |")
                        print(table[-1], flush=True)
                        seen.add(kind)
                    self.assertNotEqual(rows, [], "no kernel was tried")
                    self.assertEqual([row[:2] for row in rows if not any(row[2])], [], "faults that nothing noticed")
        self.assertEqual(seen, set(KINDS), "kinds that have a place in some kernel")
        if "QLR_RESULTS" in os.environ:
            pathlib.Path(os.environ["QLR_RESULTS"]).write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    qlrtest.main()
