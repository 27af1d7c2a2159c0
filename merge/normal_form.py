"""config.json and tokenizer.json in one normal form: two files that mean the same are then equal.

Sources: transformers 5.19 (configuration_qwen3.py, configuration_qwen3_moe.py, modeling_rope_utils.py) and tokenizers
0.23 (models/bpe/serialization.rs), which write the second spelling and read both.
"""

from collections.abc import Mapping
from typing import Any

from polaris.models.architecture import QWEN3, UNSCALED, rope
from polaris.stage.errors import UserError

# Keys of config.json that do not change what the weights mean.
FREE_KEYS = ("transformers_version", "_name_or_path", "use_cache")
RENAMED_KEYS = {"torch_dtype": "dtype", "num_local_experts": "num_experts"}
ROPE_KEYS = ("rope_theta", "partial_rotary_factor")  # beside rope_scaling in transformers 4, in rope_parameters in 5
# What an absent key means. Other architectures have other defaults: there, absent equals only null.
QWEN3_DEFAULTS = {
    "attention_bias": False,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "norm_topk_prob": False,
    "output_router_logits": False,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
}
# How the last user padded and cut is saved with a tokenizer, and does not change its tokens.
FREE_TOKENIZER_KEYS = ("padding", "truncation")


def config_form(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config.json without what does not matter, each key by one name; null is the same as absent.

    RoPE's parameters become `rope_theta` and `rope_parameters.factor` and so on, unless they contradict each other.
    """
    form = {key: value for key, value in config.items() if value is not None and key not in FREE_KEYS}
    for old, new in RENAMED_KEYS.items():
        if old in form and form.get(new, form[old]) == form[old]:
            form[new] = form.pop(old)
    form = _with_flat_rope(form)
    if form.get("model_type") in QWEN3:
        if not form.get("use_sliding_window"):
            form.pop("sliding_window", None)
            form.pop("max_window_layers", None)
            layers = form.get("layer_types", [])
            if set(layers) == {"full_attention"} and len(layers) == form.get("num_hidden_layers"):
                del form["layer_types"]
        form = {key: value for key, value in form.items() if value != QWEN3_DEFAULTS.get(key)}
    return form


def _with_flat_rope(form: dict[str, Any]) -> dict[str, Any]:
    """The form with RoPE's parameters as keys of their own; itself for one set per type of layer (Gemma 3)."""
    try:
        parameters = rope(form, "")
    except UserError:  # it contradicts itself: then the files are compared as they are
        return form
    flat = not any(isinstance(value, dict) for value in parameters.values())
    if not flat or any(parameters.setdefault(key, form[key]) != form[key] for key in ROPE_KEYS if key in form):
        return form
    if parameters["rope_type"] == UNSCALED:
        del parameters["rope_type"]
    rest = {key: value for key, value in form.items() if key not in (*ROPE_KEYS, "rope_parameters", "rope_scaling")}
    return rest | {key if key in ROPE_KEYS else f"rope_parameters.{key}": value for key, value in parameters.items()}


def tokenizer_form(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """A tokenizer.json (or vocab.json, added_tokens.json) without what does not change its tokens.

    Merges are pairs, which older files hold as texts with a blank between; an absent option of BPE is null or false.
    """
    form = {key: value for key, value in tokenizer.items() if key not in FREE_TOKENIZER_KEYS}
    model = form.get("model")
    if isinstance(model, dict) and model.get("type") == "BPE":
        model = {key: value for key, value in model.items() if value is not None and value is not False}
        for key in ("continuing_subword_prefix", "end_of_word_suffix"):
            if model.get(key) == "":
                del model[key]
        if isinstance(model.get("merges"), list):
            model["merges"] = [_pair(merge) for merge in model["merges"]]
        form["model"] = model
    return form


def _pair(merge: Any) -> Any:
    return merge.split(" ") if isinstance(merge, str) and merge.count(" ") == 1 else merge


def first_difference(ours: Any, theirs: Any, where: str = "") -> tuple[str, Any, Any] | None:
    """(place, our value, their value) of the first difference of two JSON values, None for equal ones.

    Objects are compared by key in order, lists by place; a value that only one of them has is None in the other.
    """
    if ours == theirs:
        return None
    if isinstance(ours, dict) and isinstance(theirs, dict):
        pairs = [(f"{where}.{key}" if where else key, key) for key in sorted(ours.keys() | theirs.keys())]
        found = (first_difference(ours.get(key), theirs.get(key), place) for place, key in pairs)
    elif isinstance(ours, list) and isinstance(theirs, list):
        longest = max(len(ours), len(theirs))
        one, other = (values + [None] * (longest - len(values)) for values in (ours, theirs))
        found = (first_difference(one[i], other[i], f"{where}[{i}]") for i in range(longest))
    else:
        return where, ours, theirs
    return next((difference for difference in found if difference), (where, ours, theirs))
