"""Which two config.json and tokenizer.json mean the same, and which only look alike."""

import pytest

from merge.normal_form import config_form, first_difference, tokenizer_form

QWEN3 = {"model_type": "qwen3_moe", "num_hidden_layers": 2}
GEMMA = {"model_type": "gemma3_text"}  # tied, with sliding windows, unless its config.json says otherwise
FULL, SLIDING = "full_attention", "sliding_attention"


def parameters(**more):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, **more}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"torch_dtype": "bfloat16"}, {"dtype": "bfloat16"}),
        ({"torch_dtype": "bfloat16", "dtype": "bfloat16"}, {"dtype": "bfloat16"}),
        ({"transformers_version": "4.51", "use_cache": True}, {"transformers_version": "5.19", "use_cache": False}),
        ({"pad_token_id": None}, {}),
        ({"rope_theta": 1000000}, parameters()),
        ({"rope_theta": 1e6, "rope_scaling": None}, parameters()),
        ({"rope_theta": 1e6, **parameters()}, parameters()),
        ({"rope_theta": 1e6, "rope_scaling": {"type": "yarn", "factor": 4}}, parameters(rope_type="yarn", factor=4.0)),
        ({"rope_theta": 1e4, "partial_rotary_factor": 0.5}, parameters(rope_theta=1e4, partial_rotary_factor=0.5)),
        ({"num_experts": 8}, {"num_local_experts": 8}),
        ({"num_experts": 8, "num_local_experts": 8}, {"num_experts": 8}),
        ({"layer_types": [FULL, FULL]}, {}),
        ({"layer_types": [FULL, FULL], "sliding_window": 4096, "max_window_layers": 1}, {"use_sliding_window": False}),
        ({"tie_word_embeddings": False, "norm_topk_prob": False, "attention_bias": False}, {}),
        ({"mlp_only_layers": [], "decoder_sparse_step": 1}, {}),
    ],
)
def test_configs_that_mean_the_same_have_one_form(one, other):
    assert config_form(QWEN3 | one) == config_form(QWEN3 | other)


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ({"torch_dtype": "bfloat16"}, {"dtype": "float16"}, ("dtype", "bfloat16", "float16")),
        ({"rope_theta": 1e6}, parameters(rope_theta=1e4), ("rope_theta", 1e6, 1e4)),
        ({"rope_theta": 1e6}, {}, ("rope_theta", 1e6, None)),
        ({"rope_theta": 1e6}, parameters(rope_type="yarn"), ("rope_parameters.rope_type", None, "yarn")),
        (parameters(factor=2.0), parameters(factor=4.0), ("rope_parameters.factor", 2.0, 4.0)),
        ({"rope_theta": 1e4, **parameters()}, parameters(), ("rope_parameters", parameters()["rope_parameters"], None)),
        ({"num_experts": 8}, {"num_local_experts": 4}, ("num_experts", 8, 4)),
        ({"num_experts": 8, "num_local_experts": 4}, {"num_experts": 8}, ("num_local_experts", 4, None)),
        ({"layer_types": [FULL, SLIDING]}, {}, ("layer_types", [FULL, SLIDING], None)),
        ({"layer_types": [FULL]}, {}, ("layer_types", [FULL], None)),  # the other layer may be anything
        ({"use_sliding_window": True}, {}, ("use_sliding_window", True, None)),
        (
            {"use_sliding_window": True, "layer_types": [FULL, FULL]},
            {"use_sliding_window": True},
            ("layer_types", [FULL, FULL], None),
        ),
        ({"tie_word_embeddings": True}, {}, ("tie_word_embeddings", True, None)),
        ({**GEMMA, "tie_word_embeddings": False}, GEMMA, ("tie_word_embeddings", False, None)),
        ({**GEMMA, "layer_types": [FULL, FULL]}, GEMMA, ("layer_types", [FULL, FULL], None)),
        ({"mlp_only_layers": [0]}, {}, ("mlp_only_layers", [0], None)),
        ({"vocab_size": 0}, {}, ("vocab_size", 0, None)),
    ],
)
def test_configs_that_mean_something_else_differ_by_a_key(one, other, difference):
    assert first_difference(config_form(QWEN3 | one), config_form(QWEN3 | other)) == difference


BPE = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}
WORDS = {"type": "WordPiece"}  # an absent prefix is ##


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"merges": ["a b"]}, {}),
        ({"ignore_merges": False, "byte_fallback": False, "fuse_unk": False, "dropout": None}, {}),
        ({"continuing_subword_prefix": "", "end_of_word_suffix": ""}, {"continuing_subword_prefix": None}),
    ],
)
def test_tokenizers_that_read_alike_have_one_form(one, other):
    padded = {"model": BPE | one, "padding": {"length": 8}, "truncation": {"max_length": 9}}
    assert tokenizer_form(padded) == tokenizer_form({"model": BPE | other})


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ({"merges": ["b a"]}, {}, ("model.merges[0][0]", "b", "a")),
        ({"merges": ["a b", "ab a"]}, {}, ("model.merges[1]", ["ab", "a"], None)),
        ({"merges": ["a b c"]}, {}, ("model.merges[0]", "a b c", ["a", "b"])),
        ({"vocab": {"a": 0, "b": 2, "ab": 1}}, {}, ("model.vocab.ab", 1, 2)),
        ({"ignore_merges": True}, {}, ("model.ignore_merges", True, None)),
        ({"end_of_word_suffix": "</w>"}, {}, ("model.end_of_word_suffix", "</w>", None)),
        (WORDS | {"continuing_subword_prefix": ""}, WORDS, ("model.continuing_subword_prefix", "", None)),
    ],
)
def test_tokenizers_that_read_otherwise_differ_by_a_key(one, other, difference):
    forms = [tokenizer_form({"model": BPE | model}) for model in (one, other)]
    assert first_difference(*forms) == difference


@pytest.mark.parametrize(
    ("ours", "theirs", "difference"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ("a[1].b", 2, 3)),
        ({"b": 1, "a": 2}, {}, ("a", 2, None)),
        ([None], [], ("", [None], [])),  # what is null is not what is missing
        ({"a": 1}, {"a": 1.0}, None),
        ({"a": {}}, {"a": []}, ("a", {}, [])),
    ],
)
def test_the_first_difference_is_the_same_every_time(ours, theirs, difference):
    assert first_difference(ours, theirs) == difference
