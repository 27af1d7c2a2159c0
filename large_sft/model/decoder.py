"""The architecture of a Qwen3 or Qwen3-MoE model, read from its config.json, and the tensors that follow from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from polaris.models.architecture import UNSCALED, Sizes, required, rope, sizes
from polaris.stage.errors import UserError


@dataclass(frozen=True)
class Decoder(Sizes):
    """Sizes of a model, and what else its layers need to be built.

    moe_layers: one flag per layer, True where the layer holds a mixture of experts
    normalized_gates: the weights of the chosen experts sum to one; context: in tokens
    """

    moe_layers: tuple[bool, ...]
    normalized_gates: bool
    norm_epsilon: float
    rope_base: float
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


def read_config(config: Mapping[str, Any], where: str) -> Decoder:
    """The architecture a config.json describes; `where` begins the messages.

    Raises UserError for another architecture and for anything that would be ignored.
    """
    kind = config.get("model_type")
    if kind not in ("qwen3", "qwen3_moe"):
        raise UserError(f"{where}: model_type is {kind!r}; only qwen3 and qwen3_moe can be trained here")
    for name, allowed in (("attention_bias", (None, False)), ("hidden_act", ("silu",))):
        if config.get(name) not in allowed:
            raise UserError(f"{where}: {name} is {config.get(name)!r}; only {allowed[-1]!r} is supported")
    if config.get("use_sliding_window"):
        raise UserError(f"{where}: use_sliding_window is true; only full attention is supported")
    if config.get("quantization_config"):
        raise UserError(f"{where}: quantization_config is set; quantised weights cannot be trained: take the bf16 ones")
    scaling = rope(config, where)
    if scaling["rope_type"] != UNSCALED:
        scaled = scaling["rope_type"]
        raise UserError(f"{where}: RoPE scaling {scaled!r} is set; train the model at its own context, without scaling")
    mixture, size = kind == "qwen3_moe", sizes(config, where)
    if mixture and not size.experts:
        raise UserError(f"{where}: the key num_experts (or num_local_experts) is missing")
    if size.experts and not mixture:
        raise UserError(f"{where}: num_experts is {size.experts}, but model_type is {kind!r}; correct one of them")
    every, dense = config.get("decoder_sparse_step", 1), set(config.get("mlp_only_layers") or ())
    return Decoder(
        **asdict(size),
        moe_layers=tuple(mixture and i not in dense and (i + 1) % every == 0 for i in range(size.layers)),
        normalized_gates=bool(config.get("norm_topk_prob", False)),
        norm_epsilon=required(config, where, "rms_norm_eps"),
        rope_base=float(required(scaling, where, "rope_theta")),
        context=required(config, where, "max_position_embeddings"),
    )
