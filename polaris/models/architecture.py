"""What a config.json says: a model's sizes and its RoPE, in either of the spellings that models have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polaris.stage.errors import UserError

UNSCALED = "default"  # transformers' word for RoPE without scaling
QWEN3 = ("qwen3", "qwen3_moe")


@dataclass(frozen=True)
class Sizes:
    """Sizes of a transformer, in elements.

    intermediate_size, moe_intermediate_size: inner width of a dense layer and of one expert
    experts: 0 for a dense model; tied: the output matrix is the embedding
    head_norms: queries and keys have norms of their own; qkv_bias: the three projections have biases. As in Qwen3
        unless said
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
    tied: bool
    head_norms: bool = field(default=True, kw_only=True)
    qkv_bias: bool = field(default=False, kw_only=True)


def required(config: Mapping[str, Any], where: str, *names: str) -> Any:
    """The value of the first of these keys that is there and not null. Raises UserError when none is."""
    value = next((config[name] for name in names if config.get(name) is not None), None)
    if value is None:
        raise UserError(f"{where}: the key {' (or '.join(names)}{')' * (len(names) - 1)} is missing")
    return value


def sizes(config: Mapping[str, Any], where: str) -> Sizes:
    """The sizes in a config.json; `where` begins the messages.

    Both spellings of a mixture are read: num_experts (the published Qwen3 models) and num_local_experts (transformers
    5). Where another model than a Qwen3 leaves out num_key_value_heads or head_dim, they follow from the heads, as in
    transformers. Raises UserError naming a key that is missing.
    """

    def need(*names: str) -> Any:
        return required(config, where, *names)

    experts = config.get("num_experts") or config.get("num_local_experts") or 0
    kind, hidden, heads = config.get("model_type"), need("hidden_size"), need("num_attention_heads")
    return Sizes(
        vocabulary=need("vocab_size"),
        hidden=hidden,
        layers=need("num_hidden_layers"),
        heads=heads,
        kv_heads=need("num_key_value_heads") if kind in QWEN3 else config.get("num_key_value_heads") or heads,
        head_dim=need("head_dim") if kind in QWEN3 else config.get("head_dim") or hidden // heads,
        intermediate_size=need("intermediate_size"),
        moe_intermediate_size=need("moe_intermediate_size") if experts else 0,
        experts=experts,
        experts_per_token=need("num_experts_per_tok") if experts else 0,
        tied=bool(config.get("tie_word_embeddings", False)),
        head_norms=kind in QWEN3,
        qkv_bias=kind == "qwen2",
    )


def rope(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """RoPE's values with `rope_type` and, where the model says it, `rope_theta`: one form for all spellings.

    Transformers 4 writes `rope_theta` and `rope_scaling` (with `type` or `rope_type`), transformers 5
    `rope_parameters`. Raises UserError where two of them contradict each other: libraries would choose differently.
    """
    values: dict[str, Any] = {}
    for key in ("rope_scaling", "rope_parameters"):
        given = config.get(key) or {}
        if not isinstance(given, Mapping):
            raise UserError(f"{where}: {key} is {given!r:.80}, and an object or null is needed")
        for name, value in given.items():
            if value is not None:
                _agree(values, "rope_type" if name == "type" else name, value, where)
    if config.get("rope_theta") is not None:
        _agree(values, "rope_theta", config["rope_theta"], where)
    return {"rope_type": UNSCALED} | values


def _agree(values: dict[str, Any], name: str, value: Any, where: str) -> None:
    if values.setdefault(name, value) != value:
        raise UserError(
            f"{where}: {name} of its RoPE is {values[name]!r:.80} and {value!r:.80}: libraries would read one or the "
            "other; keep the one that the model was trained with"
        )
