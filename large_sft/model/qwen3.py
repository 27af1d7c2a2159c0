"""The architecture of a Qwen3 or Qwen3-MoE model, read from its config.json, and the tensors that follow from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from polaris.stage.errors import UserError


@dataclass(frozen=True)
class Qwen3:
    """Sizes of a model.

    moe_layers: one flag per layer, True where the layer holds a mixture of experts
    intermediate_size, moe_intermediate_size: inner width of a dense layer and of one expert
    normalized_gates: the weights of the chosen experts sum to one
    """

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    moe_intermediate_size: int
    experts: int
    experts_per_token: int
    moe_layers: tuple[bool, ...]
    normalized_gates: bool
    norm_epsilon: float
    rope_base: float
    context: int
    tied: bool

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
                prefix + "self_attn.q_norm.weight": (self.head_dim,),
                prefix + "self_attn.k_norm.weight": (self.head_dim,),
                prefix + "post_attention_layernorm.weight": (h,),
            }
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


def read_config(config: Mapping[str, Any], where: str) -> Qwen3:
    """The architecture a config.json describes; `where` begins the messages.

    Both spellings are read: num_experts and rope_theta (the published models), num_local_experts and rope_parameters
    (what transformers 5 writes). Raises UserError for another architecture and for anything that would be ignored.
    """

    def need(*names: str) -> Any:
        value = next((config[name] for name in names if config.get(name) is not None), None)
        if value is None:
            raise UserError(f"{where}: the key {' (or '.join(names)}{')' * (len(names) - 1)} is missing")
        return value

    kind = config.get("model_type")
    if kind not in ("qwen3", "qwen3_moe"):
        raise UserError(f"{where}: model_type is {kind!r}; only qwen3 and qwen3_moe can be trained here")
    for name, allowed in (("attention_bias", (None, False)), ("hidden_act", ("silu",))):
        if config.get(name) not in allowed:
            raise UserError(f"{where}: {name} is {config.get(name)!r}; only {allowed[-1]!r} is supported")
    if config.get("use_sliding_window"):
        raise UserError(f"{where}: use_sliding_window is true; only full attention is supported")
    rope = config.get("rope_parameters") or {**(config.get("rope_scaling") or {}), "rope_theta": need("rope_theta")}
    if (scaled := rope.get("rope_type", rope.get("type", "default"))) != "default":
        raise UserError(f"{where}: RoPE scaling {scaled!r} is set; train the model at its own context, without scaling")
    mixture = kind == "qwen3_moe"
    layers = need("num_hidden_layers")
    every, dense = config.get("decoder_sparse_step", 1), set(config.get("mlp_only_layers") or ())
    return Qwen3(
        vocabulary=need("vocab_size"),
        hidden=need("hidden_size"),
        layers=layers,
        heads=need("num_attention_heads"),
        kv_heads=need("num_key_value_heads"),
        head_dim=need("head_dim"),
        intermediate_size=need("intermediate_size"),
        moe_intermediate_size=need("moe_intermediate_size") if mixture else 0,
        experts=need("num_experts", "num_local_experts") if mixture else 0,
        experts_per_token=need("num_experts_per_tok") if mixture else 0,
        moe_layers=tuple(mixture and i not in dense and (i + 1) % every == 0 for i in range(layers)),
        normalized_gates=bool(config.get("norm_topk_prob", False)),
        norm_epsilon=need("rms_norm_eps"),
        rope_base=float(rope.get("rope_theta") or need("rope_theta")),
        context=need("max_position_embeddings"),
        tied=bool(config.get("tie_word_embeddings", False)),
    )
