"""Models with random weights as finished stages: a mixture of 2.5 B parameters with Qwen3's vocabulary, and a tiny
one.
"""

import json
from pathlib import Path
from typing import Any

from large_sft.model.decoder import read_config
from tests.helpers.stages import publish

CONFIG = {
    "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "vocab_size": 151936, "hidden_size": 2048,
    "num_hidden_layers": 6, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768, "num_experts": 64, "num_experts_per_tok": 8, "decoder_sparse_step": 1,
    "mlp_only_layers": [], "norm_topk_prob": True, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "hidden_act": "silu",
    "attention_bias": False, "max_position_embeddings": 262144, "tie_word_embeddings": False, "dtype": "bfloat16",
}  # fmt: skip
TINY = CONFIG | {"vocab_size": 512, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16,
                 "num_key_value_heads": 2, "intermediate_size": 96, "moe_intermediate_size": 32, "num_experts": 4,
                 "num_experts_per_tok": 2, "dtype": "float32"}  # fmt: skip


def random_model(folder: Path, config: dict, device: str, tokenizer: Any = None) -> Path:
    """A model with random weights, made on the device; its manifest."""
    import torch
    from safetensors.torch import save_file

    (folder / "model").mkdir(parents=True)
    (folder / "model/config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    dtype = getattr(torch, config["dtype"])
    shapes = read_config(config, "made here").parameters()
    tensors = {
        name: (torch.ones(shape) if len(shape) == 1 else torch.randn(shape, device=device) * 0.02).to("cpu", dtype)
        for name, shape in shapes.items()
    }
    save_file(tensors, folder / "model/model.safetensors", metadata={"format": "pt"})
    if tokenizer is not None:
        tokenizer.save_pretrained(folder / "model")
    return publish(folder)
