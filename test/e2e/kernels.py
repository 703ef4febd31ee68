#!/usr/bin/env python3
"""Every codec x rank x form x CPU level x chunk size against fp64, from a second definition of the formats (qlrformat.py).

Probe: a one-layer model that is a chain of three linears, one of each rank: v_proj, o_proj and the head. Queries and keys
are zero, so attention averages v; the MLP is zero and the residual tiny: logits = head(norm(o(average of v(x')) + tiny)).
The chain's error against exact activations is held to the bound of a single linear. (Compiling takes most of the time:
three ranks in one model are a third of it.) Floats, which have no ranks, are a chain of three of the same.
Whole: a one-layer model of nothing but compressed linears, against fp64 with activations rounded as the kernels round
them: what remains is fp32 arithmetic. With 8-bit activations a last-bit difference now and then moves a value to the next
step, which later products spread; so there a fifth of the tokens must agree as closely, and all of them loosely.
The probe's trellis levels are any, the whole model's odd: host kernels for AVX2 decode those in another way.
Both: every CPU level gives the same bits.

QLR_CODECS=int4,trellis2 in the environment restricts both to some codecs.
"""
import concurrent.futures
import os

import numpy as np

import qlrformat
import qlrtest

WIDTH, HEADS = 200, 5  # neither columns nor rows fill their last tile, block or strip; rotated in blocks of 8
CODECS = [f"int{b}{g}" for b in (2, 3, 4, 8) for g in ("", "g32", "g64", "g128")]
CODECS += [f"trellis{b}{w}" for b in (2, 3, 4) for w in ("", "w8")] + ["bf16", "f32"]
RANKS = (0, 8, 32)
CODECS = os.environ["QLR_CODECS"].split(",") if "QLR_CODECS" in os.environ else CODECS
BOUND = {0: 1e-5, 16: 1e-3, 8: 1.5e-2}
TOKENS = 137  # one chunk of 128, of 8 and of 1
BYTES = ["--target", "host", "--cache", "f32"]


def probe(directory, codec, seed, width=WIDTH, heads=HEADS, ranks=RANKS):
    config = qlrformat.base_config(width, 16, 1, heads, heads, width)
    layer = "model.layers.0."
    ranks = (0, 0, 0) if qlrformat.Codec(codec).is_float else ranks
    chain = (layer + "self_attn.v_proj", layer + "self_attn.o_proj", "lm_head")
    compressed = {name: qlrformat.Module(codec, rank) for name, rank in zip(chain, ranks)}
    overrides = {layer + f"mlp.{p}_proj": np.zeros((16, width)) for p in ("gate", "up")}
    overrides[layer + "mlp.down_proj"] = np.zeros((width, 16))
    overrides["model.embed_tokens"] = np.random.default_rng(seed).standard_normal((width, width)) * 2.0**-10
    for p in "qk":
        name = f"{layer}self_attn.{p}_proj"
        # Floats would take most of the emulator's time; not the codec of v, which would be stacked with them.
        compressed[name] = qlrformat.Module("int4" if codec == "int8" else "int8", zero=True)
        overrides[name + ".bias"] = np.zeros(width)
    return qlrformat.RandomCheckpoint(config, compressed, seed=seed, overrides=overrides).write(directory)


def whole(directory, codec, seed):
    rank = 0 if qlrformat.Codec(codec).is_float else RANKS[-1]
    config = qlrformat.base_config(WIDTH, 172, 1, HEADS, 1, 300, theta=1e6)
    names = [f"model.layers.0.{s}" for s in qlrformat.layer_shapes(config)] + ["model.embed_tokens", "lm_head"]
    modules = {n: qlrformat.Module(codec, rank if "layers" in n else 0) for n in names}
    return qlrformat.RandomCheckpoint(config, modules, seed=seed, odd_levels=True).write(directory)


def relative(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


def close_tokens(got, want):
    """The relative error that a fifth of the tokens do not exceed; infinite when all of them together are far off."""
    each = np.linalg.norm(got - want, axis=1) / np.linalg.norm(want, axis=1)
    return np.quantile(each, 0.2) if relative(got, want) < BOUND[8] else np.inf


class Kernels(qlrtest.Case):
    def logits(self, artifact, ids, chunk, level):
        dump = artifact.with_suffix(f".{chunk}.{level}.f32")
        qlrtest.run("qlr", "run", artifact, "--prompt-ids", ",".join(map(str, ids)), "--temp", 0, "-n", 0, "--json",
                    "--prefill-chunk", chunk, "--cpu-level", level, "--dump-logits", dump)
        return np.fromfile(dump, np.float32)

    def measure(self, make, codec, form):
        """({(level, chunk): relative error}, the chunk sizes at which two levels differ in a bit) of one artifact."""
        seed = 1 + sum(map(ord, codec))
        directory = self.tmp / f"{make.__name__}-{codec}-{form}"
        make(directory, codec, seed)
        artifact = directory / "m.qlr"
        qlrtest.run("qlr", "compile", directory, *BYTES, "--form", form, "-o", artifact)
        model = qlrformat.Model(directory)
        ids = np.random.default_rng(seed).integers(0, min(model.config["vocab_size"], WIDTH), TOKENS)
        want = model.logits(ids, exact=make is probe)
        errors, different = {}, []
        for chunk, tokens in ((128, TOKENS), (8, 17), (1, 5)):
            first = None
            for level in qlrtest.cpu_levels():
                # Every position's logits, those of the prompt first.
                got = self.logits(artifact, ids[:tokens], chunk, level)[:tokens * want.shape[1]]
                measure = close_tokens if make is whole else relative
                errors[level, chunk] = measure(got.reshape(tokens, -1), want[:tokens])
                if first is None:
                    first = got
                elif not np.array_equal(first.view(np.uint32), got.view(np.uint32)):
                    different.append(chunk)
        return errors, different

    def check(self, make, combinations, limit):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = {c: pool.submit(self.measure, make, *c) for c in combinations}
            for (codec, form), job in jobs.items():
                with self.subTest(codec=codec, form=form):
                    errors, different = job.result()
                    print(make.__name__, codec, form,
                          " ".join(f"{level}/{chunk}:{e:.1e}" for (level, chunk), e in errors.items()),
                          f"levels differ at {different}" if different else "", flush=True)
                    allowed = limit(codec)
                    self.assertEqual({k: f"{e:.2e}" for k, e in errors.items() if not e <= allowed}, {},
                                     f"allowed {allowed}")
                    self.assertEqual(different, [], "chunk sizes at which the CPU levels differ")

    def test_single_linear(self):
        combinations = [(c, f) for c in CODECS for f in ("fused", "unfused")]
        self.check(probe, combinations, lambda codec: BOUND[qlrformat.Codec(codec).activation_bits])

    def test_whole_layer(self):
        unfused = ("int3", "int4g64", "int8", "trellis2", "trellis4w8", "f32")
        combinations = [(c, "fused") for c in CODECS] + [(c, "unfused") for c in CODECS if c in unfused]
        self.check(whole, combinations, lambda codec: 2e-4)


if __name__ == "__main__":
    qlrtest.main()
