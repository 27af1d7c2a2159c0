"""What the files tell before anything runs, and what is only not known."""

import json
import re
from pathlib import Path

import pytest

from polaris.hardware.gpus import GPUS
from polaris.hardware.shapes import KNOWN, between
from polaris.models.settings import HubModel
from polaris.planning import input_checks, preflight
from polaris.planning.planned_range import planned_stages
from polaris.recipe import recipe
from tests.helpers.models import edit_json, write_model
from tests.helpers.recipes import ROOT

H100 = GPUS["H100-80GB"]
QWEN = {"hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32}
QWEN |= {"intermediate_size": 96, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "hidden_act": "silu"}
QWEN |= {"max_position_embeddings": 262144}


def model(folder: Path, **config: object) -> Path:
    edit_json(write_model(folder) / "config.json", **QWEN | config)
    return folder


def refused(tmp_path: Path, overlay: str, name: str = "polaris_v2") -> list[str]:
    (tmp_path / "mine.yaml").write_text(overlay)
    asked = recipe.load([ROOT / f"configs/{name}.yaml", tmp_path / "mine.yaml"])
    return input_checks.refusals(asked, input_checks.folders_of(asked, tmp_path / "run"))


def test_lengths_are_held_against_the_model_that_is_asked(tmp_path):
    folder = model(tmp_path / "m", max_position_embeddings=40960)
    texts = refused(tmp_path, f"inputs: {{base_small: {{path: {folder}}}}}")
    keys = [text.partition(": ")[0] for text in texts]
    assert f"small_rl.difficulty.engine.max_model_len: 66560 tokens, but {folder}/config.json allows 40960" in texts[3]
    assert keys[:3] == [f"small_rl.rl.{name}.engine.max_model_len" for name in ("grpo", "core", "core_filtered")]
    assert keys[-1] == "evaluate.generate.engine.max_model_len" and len(set(keys)) == len(keys)
    # V1 raises the context from stage to stage, and stretches the evaluation: nothing is in the way there.
    assert refused(tmp_path, f"inputs: {{base_small: {{path: {folder}}}}}", "polaris_v1_4b") == []
    less = "small_rl: {rl: {stage2: {context: null}}}"
    (text,) = refused(tmp_path, f"inputs: {{base_small: {{path: {folder}}}}}\n{less}", "polaris_v1_4b")
    assert text.startswith("small_rl.rl.stage2.engine.max_model_len: 49152 tokens, but") and "raise `context`" in text


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "gpt_neox"}, "base_large: .*config.json: model_type is 'gpt_neox'"),
        ({"model_type": "qwen3", "use_sliding_window": True}, "use_sliding_window"),
        ({"model_type": "qwen3", "max_position_embeddings": 4096}, "large_sft.sft_data.max_tokens: 32768 tokens, but"),
        ({"model_type": "qwen3", "quantization_config": {"quant_method": "awq"}}, r"weights are quantised \(awq\)"),
        ({"model_type": "qwen3", "vocab_size": 3}, "vocab_size is 3, but the tokenizer beside it has ids up to"),
    ],
)
def test_the_generalist_is_looked_at_before_anything_is_paid(tmp_path, config, words):
    folder = model(tmp_path / "m", **config)
    texts = "\n".join(refused(tmp_path, f"inputs: {{base_large: {{path: {folder}}}}}"))
    assert re.search(words, texts)


def test_traces_longer_than_a_pack(tmp_path):
    (text,) = refused(tmp_path, "large_sft: {sft_data: {max_tokens: 40000}}")
    assert text.startswith("large_sft.sft_data.max_tokens: 40000 tokens of a trace do not fit into")


def test_a_model_of_the_cache_is_looked_at_as_a_local_one(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    folder = model(tmp_path / "models--org--mine/snapshots" / ("0" * 40))
    edit_json(folder / "tokenizer_config.json", eos_token="<|endoftext|>")
    source = HubModel(hub="org/mine", revision="0" * 40)
    assert input_checks.folder_of(source, tmp_path / "run") == folder
    overlay = f"inputs: {{base_small: {{hub: org/mine, revision: '{'0' * 40}'}}}}"
    (text,) = refused(tmp_path, overlay)
    assert text.startswith("inputs.base_small: ") and "the chat template ends a turn with '<|im_end|>', but" in text


def test_local_files_are_read_as_their_stages_will_read_them(tmp_path):
    file = tmp_path / "mine.jsonl"
    overlay = f"inputs: {{problems: {{rl: {{file: {file}, gold: every}}}}}}"
    file.write_text('{"Question text": "1 + 1?", "Key": 2}\n')
    (text,) = refused(tmp_path, overlay, "laptop")
    assert f"inputs.problems.rl: {file}: these columns are no known layout of problems: key, question text" in text
    assert "`columns: {problem: <its text>, answer: <its gold answer>}`" in text
    mapped = overlay.replace("every", "every, columns: {problem: Question text, answer: Key}")
    assert refused(tmp_path, mapped, "laptop") == []
    file.write_text('{"Question text": "1 + 1?", "Key": 2}\n{"Question text": "2 + 2?", "Key": null}\n')
    (text,) = refused(tmp_path, mapped, "laptop")
    assert f"{file}: line 2 has no gold answer" in text
    (text,) = refused(tmp_path, mapped.replace("every,", "some, count: 3,"), "laptop")
    assert "2 problems are read, 3 were expected" in text


@pytest.mark.slow
def test_what_is_not_known_is_a_range_and_no_refusal(tmp_path, monkeypatch):
    """A hub's model of no table and a set that nobody has counted: planned from the lowest to the highest, and said."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "mine.yaml").write_text(
        f"inputs: {{base_small: {{hub: org/Own-0.5B, revision: '{'0' * 40}'}}, problems: {{rl: {{hub: org/set, "
        f"revision: '{'0' * 40}', split: train, gold: some}}}}}}\n"
    )
    asked = recipe.load([ROOT / "configs/one_gpu.yaml", tmp_path / "mine.yaml"])
    stages, guessed = planned_stages(asked, H100, tmp_path)
    assert guessed.keys() == {"inputs.base_small", "inputs.problems.rl"} and not [one for one in stages if one.wrong]
    difficulty = next(one for one in stages if one.name == "difficulty")
    assert difficulty.tokens[1] / difficulty.tokens[0] == pytest.approx(200)  # of 100 times the problems, of lengths 2
    found = list(preflight.findings(asked, tmp_path / "run", H100))
    assert {one.level for one in found if one.what == "plan"} == {"look"}
    assert not [one for one in found if one.what in ("plan", "contents", "disk") and one.level == "wrong"]


@pytest.mark.parametrize(("hub", "parameters"), [("a/Own-7B", 7e9), ("a/own-135M-Instruct", 135e6), ("a/X-70b", 70e9)])
def test_a_model_of_a_size_lies_between_two_known_ones(hub, parameters):
    for shape in between(hub):  # of a very small one the known vocabularies alone are more
        assert 0.7 * parameters < shape.parameters < 2 * parameters and not shape.experts
    mixture = between("a/Own-100B-A10B")
    assert all(one.experts and one.parameters == pytest.approx(100e9, rel=0.05) for one in mixture)
    sizes = [one.parameters for one in KNOWN.values() if not one.experts]
    assert tuple(one.parameters for one in between("a/own")) == (min(sizes), max(sizes))


def test_the_hub_says_what_a_model_is_before_its_weights_are_fetched(tmp_path, monkeypatch):
    """From a folder in the place of the hub; nothing of it lies in the cache afterwards."""
    asked = {}

    def snapshot(hub, revision, kind, patterns, leave_out, into):
        asked.update(hub=hub, patterns=patterns)
        return model(into, vocab_size=3)

    monkeypatch.setattr(input_checks, "snapshot", snapshot)
    (tmp_path / "mine.yaml").write_text(f"inputs: {{base_small: {{hub: org/own-1B, revision: '{'0' * 40}'}}}}")
    own = recipe.load([ROOT / "configs/one_gpu.yaml", tmp_path / "mine.yaml"])
    texts = [one.text for one in preflight.contents(own, tmp_path / "run") if one.level == "wrong"]
    assert asked["hub"] == "org/own-1B" and "*.safetensors" not in json.dumps(asked["patterns"])
    assert len(texts) == 1 and "vocab_size is 3" in texts[0]
