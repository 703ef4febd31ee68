#!/usr/bin/env python3
"""Random Qwen2 models against Hugging Face transformers: logits of prefill and of token-by-token decode, f32 cache."""
import json
import os

import numpy as np

import qlrtest

MODELS = {
    "gqa7-head64": dict(hidden=448, ffn=600, layers=2, heads=7, kv_heads=1, vocab=500, theta=1e6, tied=True, new=False),
    "gqa2-head128": dict(hidden=512, ffn=768, layers=2, heads=4, kv_heads=2, vocab=333, theta=1e6, tied=False, new=True),
    "odd-widths": dict(hidden=200, ffn=332, layers=3, heads=5, kv_heads=5, vocab=301, theta=10000.0, tied=False, new=False),
    "head64-tied-new": dict(hidden=320, ffn=448, layers=2, heads=5, kv_heads=1, vocab=777, theta=10000.0, tied=True, new=True),
    "gqa7-head128": dict(hidden=896, ffn=500, layers=1, heads=7, kv_heads=1, vocab=260, theta=1e6, tied=True, new=True),
    "bf16": dict(hidden=256, ffn=320, layers=2, heads=4, kv_heads=2, vocab=400, theta=1e6, tied=False, new=True,
                 dtype="bfloat16"),
}
TOKENS = 150  # 128 + 2 * 8 + 6: every chunk size is used
BOUND = 1e-4


def rewrite_config(directory, new, theta):
    """config.json in one of the two layouts that are in the wild."""
    path = directory / "config.json"
    config = json.loads(path.read_text())
    dtype = config.pop("dtype", None) or config.pop("torch_dtype", None) or "float32"
    config.pop("rope_parameters", None), config.pop("rope_theta", None), config.pop("layer_types", None)
    if new:
        config.update(dtype=dtype, rope_parameters={"rope_theta": theta, "rope_type": "default"}, sliding_window=None,
                      layer_types=["full_attention"] * config["num_hidden_layers"], pad_token_id=None)
    else:
        config.update(torch_dtype=dtype, rope_theta=theta, sliding_window=4096, transformers_version="4.40.1")
    path.write_text(json.dumps(config))


def make(directory, spec, seed):
    """A random model saved by transformers; returns its fp32 logits for fixed ids."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=spec["vocab"], hidden_size=spec["hidden"], intermediate_size=spec["ffn"],
        num_hidden_layers=spec["layers"], num_attention_heads=spec["heads"], num_key_value_heads=spec["kv_heads"],
        max_position_embeddings=512, rope_parameters={"rope_theta": spec["theta"], "rope_type": "default"},
        rms_norm_eps=1e-6, tie_word_embeddings=spec["tied"], use_sliding_window=False, bos_token_id=0, eos_token_id=None)
    model = Qwen2ForCausalLM(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 1:
                p.copy_(torch.randn_like(p) * 0.2 + (0 if name.endswith("bias") else 1))
            else:
                p.copy_(torch.randn_like(p) * (1.0 if "embed" in name and not spec["tied"] else p.shape[1] ** -0.5))
    dtype = getattr(torch, spec.get("dtype", "float32"))
    model.to(dtype).save_pretrained(directory, safe_serialization=True)
    rewrite_config(directory, spec["new"], spec["theta"])
    ids = np.random.default_rng(seed).integers(0, spec["vocab"], TOKENS)
    # Loaded again, for .to(bfloat16) above rounds the frequencies of RoPE as well.
    model = Qwen2ForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(ids)[None]).logits[0].numpy()
    return ids, logits


class Oracle(qlrtest.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            import torch  # noqa: F401
            import transformers  # noqa: F401
        except ImportError as e:
            raise qlrtest.unittest.SkipTest(f"no oracle: {e}") from None
        os.environ["TRANSFORMERS_VERBOSITY"] = "error"

    def logits(self, artifact, ids, chunk, level):
        dump = self.tmp / "logits.f32"
        qlrtest.run_json("qlr", "run", artifact, "--prompt-ids", ",".join(map(str, ids)), "--temp", 0, "-n", 0,
                         "--prefill-chunk", chunk, "--dump-logits", dump, "--cpu-level", level)
        return np.fromfile(dump, np.float32)

    def test_logits(self):
        for seed, (name, spec) in enumerate(MODELS.items()):
            directory = self.tmp / name
            ids, want = make(directory, spec, seed)
            artifact = self.tmp / f"{name}.qlr"
            qlrtest.run("qlr", "compile", directory, "--target", "host", "--cache", "f32", "-o", artifact)
            largest = np.abs(want).max()
            for level in qlrtest.cpu_levels():
                got = {}
                for chunk in (128, 8, 1):
                    with self.subTest(model=name, level=level, chunk=chunk):
                        got[chunk] = self.logits(artifact, ids, chunk, level)[:want.size].reshape(want.shape)
                        self.assertLessEqual(np.abs(got[chunk] - want).max() / largest, BOUND)
                with self.subTest(model=name, level=level, what="prefill and decode agree"):
                    self.assertLessEqual(np.abs(got[128] - got[1]).max() / largest, BOUND)


if __name__ == "__main__":
    qlrtest.main()
