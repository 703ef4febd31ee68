#!/usr/bin/env python3
"""GPU stages over heads and tokens on the emulator against fp64: attention, RoPE and cache for head sizes and groups of
query heads of every kind, and embedding rows of every codec.

All weights but the embedding are plain floats, so that nothing but fp32 arithmetic (and a bf16 cache) is between the two.
Each artifact also runs with its blocks and threads in another order, which must give the same bits.
"""
import concurrent.futures

import numpy as np

import kernels
import qlrformat
import qlrtest

# head_dim, heads, kv heads: below a warp and above, multiples of 8 (loads of 16 bytes) and not, groups that do not fit the
# registers at once.
HEADS = [(2, 8, 2), (6, 5, 1), (10, 20, 2), (40, 5, 1), (64, 4, 4), (80, 2, 2), (32, 14, 2), (8, 16, 1), (128, 9, 1), (256, 5, 1)]
TOKENS = 43  # more positions than a warp takes at a time; the last split is empty
EMBEDDINGS = ["int2", "int3", "int3g32", "int4", "int8", "int8g64", "trellis2", "trellis2w8", "trellis3", "trellis3w8", "trellis4",
              "trellis4w8", "bf16"]


class RoundedCache(qlrformat.Model):
    """Keys and values go through bf16."""

    def attention(self, q, k, v):
        n = len(q)

        def rounded(x):
            bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
            return ((bits + 0x7fff + (bits >> 16 & 1) & 0xffff0000).astype(np.uint32)).view(np.float32).astype(np.float64)

        k = np.repeat(rounded(self.rope(k.reshape(n, self.kv_heads, -1))), self.heads // self.kv_heads, 1)
        v = np.repeat(rounded(v.reshape(n, self.kv_heads, -1)), self.heads // self.kv_heads, 1)
        score = np.einsum("qhd,khd->hqk", self.rope(q.reshape(n, self.heads, -1)), k) / np.sqrt(self.head_dim)
        score = np.where(np.tril(np.ones((n, n), bool)), score, -np.inf)
        p = np.exp(score - score.max(-1, keepdims=True))
        return np.einsum("hqk,khd->qhd", p / p.sum(-1, keepdims=True), v).reshape(n, -1)


class GpuHeads(qlrtest.Case):
    def logits(self, directory, ids, cache, *options):
        """Logits of all positions; the same whatever the order of blocks."""
        artifact, dump = directory / "m.qlr", directory / "logits.f32"
        qlrtest.run("qlr", "compile", directory, "--target", "emulator:sm_86", "--cache", cache, "--chunks", "1,8", *options,
                    "-o", artifact)
        results = []
        for device in ("emulator", "emulator:blocks=5,seed=3"):
            qlrtest.run("qlr", "run", artifact, "--device", device, "--prompt-ids", ",".join(map(str, ids)), "--temp", 0,
                        "-n", 0, "--threads", 1, "--ctx-size", 128, "--prefill-chunk", 8, "--dump-logits", dump, "--json")
            results.append(np.fromfile(dump, np.float32))
        self.assertTrue(np.array_equal(*results), "another order of blocks gives other bits")
        return results[0].reshape(len(ids), -1)

    def check(self, jobs):
        """Runs [(name, function)]; a function returns a relative error and the bound it must keep."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for name, job in [(name, pool.submit(job)) for name, job in jobs]:
                with self.subTest(name):
                    error, allowed = job.result()
                    print(f"{name}: {error:.1e}", flush=True)
                    self.assertLessEqual(error, allowed)

    def attention(self, head_dim, heads, kv_heads, cache, splits):
        config = qlrformat.base_config(heads * head_dim, 32, 1, heads, kv_heads, 50, theta=1e6)
        directory = self.tmp / f"{head_dim}-{heads}-{cache}"
        qlrformat.RandomCheckpoint(config, {}, seed=head_dim).write(directory)
        ids = np.random.default_rng(head_dim).integers(0, 50, TOKENS)
        got = self.logits(directory, ids, cache, "--splits", splits)
        model = (RoundedCache if cache == "bf16" else qlrformat.Model)(directory)
        # A key or value close to the middle of two bf16 may be rounded the other way.
        return kernels.relative(got, model.logits(ids)), 3e-4 if cache == "bf16" else 2e-6

    def test_attention(self):
        jobs = []
        for n, shape in enumerate(HEADS):
            for cache in ("f32", "bf16") if n % 4 == 0 else ("f32", "bf16")[n % 2:][:1]:
                splits = (0, 1, 3)[(n + (cache == "bf16")) % 3]  # 0: the compiler's choice
                name = "head_dim {}, {} heads, {} kv".format(*shape) + f", {cache} cache, splits {splits}"
                jobs.append((name, lambda shape=shape, cache=cache, splits=splits: self.attention(*shape, cache, splits)))
        self.check(jobs)

    def embedding(self, codec):
        config = qlrformat.base_config(88, 32, 1, 2, 1, 70)  # the last tile of columns and the last strip are not full
        directory = self.tmp / codec
        qlrformat.RandomCheckpoint(config, {"model.embed_tokens": qlrformat.Module(codec)}, seed=7).write(directory)
        ids = np.concatenate([np.arange(16), [69, 64, 33, 47]])  # every row of a strip
        return kernels.relative(self.logits(directory, ids, "f32"), qlrformat.Model(directory).logits(ids)), 2e-6

    def test_embedding(self):
        self.check([(f"embedding in {codec}", lambda codec=codec: self.embedding(codec)) for codec in EMBEDDINGS])


if __name__ == "__main__":
    qlrtest.main()
