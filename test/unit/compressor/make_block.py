#!/usr/bin/env python3
"""Makes block/: a random one-layer Qwen2 model, hidden states that enter its layer, and those that leave it according to
Hugging Face transformers. Run it again to check the committed files (the weights come from a seed)."""
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

out = Path(__file__).parent / "block"
config = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "hidden_size": 56,
          "intermediate_size": 40, "num_hidden_layers": 1, "num_attention_heads": 7, "num_key_value_heads": 1,
          "vocab_size": 32, "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
          "tie_word_embeddings": True, "torch_dtype": "float32", "use_sliding_window": False, "bos_token_id": 0,
          "eos_token_id": 0}
torch.manual_seed(5)
model = Qwen2ForCausalLM(Qwen2Config(**config)).eval()
with torch.no_grad():
    for name, p in model.named_parameters():
        p.copy_(1 + 0.1 * torch.randn_like(p) if "norm" in name else torch.randn_like(p) * (0.5 if "bias" in name else 0.15))
    seen = {}
    layer = model.model.layers[0]
    layer.register_forward_pre_hook(lambda m, a, k: seen.update(hidden_in=a[0] if a else k["hidden_states"]), with_kwargs=True)
    layer.register_forward_hook(lambda m, a, r: seen.update(hidden_out=r[0] if isinstance(r, tuple) else r))
    model(inputs_embeds=torch.randn(2, 11, config["hidden_size"]))
tensors = {n: p.contiguous() for n, p in model.state_dict().items() if n != "lm_head.weight"}
out.mkdir(exist_ok=True)
save_file({**tensors, **{n: t.reshape(2, 11, -1).contiguous() for n, t in seen.items()}}, out / "model.safetensors")
(out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
