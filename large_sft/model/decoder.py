"""The architecture of a Qwen3, Qwen3-MoE, Qwen2.5 or Llama, read from its config.json, and the tensors it has."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from polaris.models.architecture import QWEN3, UNSCALED, Sizes, required, rope, sizes
from polaris.stage.errors import UserError

TRAINED = (*QWEN3, "qwen2", "llama")
# What megatron-core's Llama 3 RoPE takes besides the factor (rotary_pos_embedding.py:92-98).
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
LLAMA_BASE = 10_000.0  # of configurations that say no rope_theta, such as Llama 2's


@dataclass(frozen=True)
class Decoder(Sizes):
    """Sizes of a model, and what else its layers need to be built.

    moe_layers: one flag per layer, True where the layer holds a mixture of experts
    normalized_gates: the weights of the chosen experts sum to one; context: in tokens
    rope_factor: by which Llama 3 stretches RoPE's long waves, None: it does not
    """

    moe_layers: tuple[bool, ...]
    normalized_gates: bool
    norm_epsilon: float
    rope_base: float
    rope_factor: float | None
    context: int

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the Hugging Face layout with its shape (experts one by one, as safetensors hold them)."""
        h, q, kv = self.hidden, self.heads * self.head_dim, self.kv_heads * self.head_dim
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocabulary, h)}
        for layer, mixture in enumerate(self.moe_layers):
            prefix = f"model.layers.{layer}."
            shapes |= {
                prefix + "input_layernorm.weight": (h,),
                prefix + "self_attn.q_proj.weight": (q, h),
                prefix + "self_attn.k_proj.weight": (kv, h),
                prefix + "self_attn.v_proj.weight": (kv, h),
                prefix + "self_attn.o_proj.weight": (h, q),
                prefix + "post_attention_layernorm.weight": (h,),
            }
            if self.head_norms:
                shapes |= {f"{prefix}self_attn.{name}_norm.weight": (self.head_dim,) for name in ("q", "k")}
            if self.qkv_bias:
                biases = (("q", q), ("k", kv), ("v", kv))
                shapes |= {f"{prefix}self_attn.{name}_proj.bias": (width,) for name, width in biases}
            if mixture:
                shapes[prefix + "mlp.gate.weight"] = (self.experts, h)
            blocks = [f"experts.{e}." for e in range(self.experts)] if mixture else [""]
            width = self.moe_intermediate_size if mixture else self.intermediate_size
            for block in blocks:
                shapes |= {
                    f"{prefix}mlp.{block}gate_proj.weight": (width, h),
                    f"{prefix}mlp.{block}up_proj.weight": (width, h),
                    f"{prefix}mlp.{block}down_proj.weight": (h, width),
                }
        shapes["model.norm.weight"] = (h,)
        if not self.tied:
            shapes["lm_head.weight"] = (self.vocabulary, h)
        return shapes


def read_config(config: Mapping[str, Any], where: str) -> Decoder:
    """The architecture a config.json describes; `where` begins the messages.

    Raises UserError for another architecture and for anything that would be ignored.
    """
    kind = config.get("model_type")
    if kind not in TRAINED:
        raise UserError(f"{where}: model_type is {kind!r}; the generalist can be one of {', '.join(TRAINED)}")
    _check_layers(config, where)
    scaling = rope(config, where)
    mixture, size = kind == "qwen3_moe", sizes(config, where)
    if mixture and not size.experts:
        raise UserError(f"{where}: the key num_experts (or num_local_experts) is missing")
    if size.experts and not mixture:
        raise UserError(f"{where}: num_experts is {size.experts}, but model_type is {kind!r}; correct one of them")
    if kind == "llama":
        scaling.setdefault("rope_theta", LLAMA_BASE)
    every, dense = config.get("decoder_sparse_step", 1), set(config.get("mlp_only_layers") or ())
    return Decoder(
        **asdict(size),
        moe_layers=tuple(mixture and i not in dense and (i + 1) % every == 0 for i in range(size.layers)),
        normalized_gates=bool(config.get("norm_topk_prob", False)),
        norm_epsilon=required(config, where, "rms_norm_eps"),
        rope_base=float(required(scaling, where, "rope_theta")),
        rope_factor=_rope_factor(scaling, where),
        context=required(config, where, "max_position_embeddings"),
    )


def _check_layers(config: Mapping[str, Any], where: str) -> None:
    """Raises UserError where a layer would be built otherwise than the configuration says."""
    for name, allowed in (
        ("attention_bias", (None, False)),
        ("mlp_bias", (None, False)),
        ("partial_rotary_factor", (None, 1.0)),
        ("hidden_act", ("silu",)),
    ):
        if config.get(name) not in allowed:
            raise UserError(f"{where}: {name} is {config.get(name)!r}; only {allowed[-1]!r} is supported")
    if config.get("use_sliding_window") or set(config.get("layer_types") or ()) - {"full_attention"}:
        key = "use_sliding_window" if config.get("use_sliding_window") else "layer_types"
        raise UserError(f"{where}: {key} is {config[key]!r:.80}; only full attention is supported")
    if config.get("quantization_config"):
        raise UserError(f"{where}: quantization_config is set; quantised weights cannot be trained: take the bf16 ones")


def _rope_factor(scaling: Mapping[str, Any], where: str) -> float | None:
    """Llama 3's factor, None for RoPE as it is. Raises UserError for another scaling, and for other waves of it."""
    kind = scaling["rope_type"]
    if kind == UNSCALED:
        return None
    if kind != "llama3":
        raise UserError(f"{where}: RoPE scaling {kind!r} is set; train the model at its own context, without scaling")
    for name, value in LLAMA3.items():
        if required(scaling, where, name) != value:
            raise UserError(f"{where}: {name} of its RoPE is {scaling[name]!r}; megatron-core takes {value:g} only")
    return float(required(scaling, where, "factor"))
