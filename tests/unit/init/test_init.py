"""A recipe out of what somebody brings: what it says, what it refuses, what it never overwrites."""

import json
from pathlib import Path

import pytest

from polaris.init import init
from polaris.planning import plan
from polaris.recipe.recipe import load
from polaris.stage.errors import UserError
from tests.helpers.models import edit_json, write_model


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a model, 30 problems to train on and 12 of a benchmark."""
    monkeypatch.chdir(tmp_path)
    sizes = {"hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    edit_json(
        write_model(tmp_path / "model") / "config.json",
        **sizes,
        head_dim=32,
        intermediate_size=288,
        max_position_embeddings=4096,
        hidden_act="silu",
        rms_norm_eps=1e-6,
        rope_theta=1e6,
    )
    for name, number in (("train", 30), ("held", 12)):
        rows = [json.dumps({"Text": f"{name}: {i} + 1?", "Key": i + 1}) for i in range(number)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    return tmp_path


FLAGS = {"model": "model", "problems": "train.jsonl", "benchmark": "held.jsonl", "generalist": "none"}
FLAGS |= {"hardware": "cpu", "columns": "problem=Text answer=Key"}


def run(**changes: str) -> str:
    """`polaris init mine.yaml` with these flags: the recipe's text."""
    flags = {name: value for name, value in (FLAGS | changes).items() if value}
    given = {name: flags.get(name) for name in init.QUESTIONS}
    init.main(Path("mine.yaml"), given, flags.get("columns", "").split(), flags.get("instruction"))
    return Path("mine.yaml").read_text()


@pytest.mark.slow
def test_a_recipe_of_fifteen_lines_that_passes_the_plan(here, capsys):
    text = run()
    assert len(text.splitlines()) <= 15
    made = load(["mine.yaml"])
    assert made.run == "mine" and made.inputs.base_small.path == here / "model" and made.large_sft is None
    assert made.evaluate.generate.k == {"held": 4} and made.inputs.problems["rl"].gold == "every"
    plan.main(["mine.yaml"], None, None, None, False, False)
    said = capsys.readouterr().out
    for words in ("qwen3, 0.0 M parameters, 4096 positions; a turn ends with <|im_end|>", "30 problems", "12 problems"):
        assert words in said
    assert words in text and "no GPU is planned for" in said


def test_presets_and_the_hub_on_one_node(here, capsys):
    changes = {"model": "Qwen/Qwen3-4B", "benchmark": "aime26 math-ai/other held.jsonl", "hardware": "one_node"}
    text = run(**changes, generalist="qwen3_30b_a3b")
    assert "base_small: qwen3_4b #" in text and "polaris pin mine.yaml" in capsys.readouterr().out
    made = load(["mine.yaml"])
    assert list(made.inputs.benchmarks) == ["aime26", "other", "held"] and made.select_on == ["held"]
    assert made.small_rl.rl["core"].validation.benchmark == "aime26" and made.report.published is None
    assert made.inputs.problems["format"] == made.inputs.problems["rl"]
    assert made.inputs.problems["distill"].hub.startswith("allenai/")


def test_gpus_by_their_number_and_kind(here):
    text = run(model="qwen3_4b", benchmark="aime26", hardware="8xH100-80GB")
    assert 'hardware: {nodes: 1, gpus_per_node: 8, gpu: "H100-80GB"}' in text
    made = load(["mine.yaml"])
    assert (made.hardware.gpu, made.small_rl.rl["grpo"].gpus_per_node) == ("H100-80GB", 8)
    Path("mine.yaml").unlink()
    assert "extends: [one_gpu]" in run(model="qwen3_0_6b", benchmark="aime26", hardware="1xRTX-4090")
    Path("mine.yaml").unlink()
    both = {"model": "qwen3_0_6b", "generalist": "qwen3_1_7b", "benchmark": "aime26 aime25"}
    assert "extends: [one_gpu_80gb]" in run(**both, hardware="1xH200")
    assert load(["mine.yaml"]).large_sft.sft.layout.gpus_per_node == 1
    Path("mine.yaml").unlink()
    assert "nodes: 4" in run(model="qwen3_4b", benchmark="aime26", hardware="4x8xH100-80GB")


@pytest.mark.slow
def test_a_generalist_on_a_cpu_and_an_own_instruction(here):
    text = run(generalist="model", benchmark="held.jsonl train.jsonl", instruction="Think.")
    made = load(["mine.yaml"])
    assert made.inputs.problems["distill"] == made.inputs.problems["rl"] and "merge: {select_on: [train]}" in text
    asked = [made.small_rl.difficulty, made.evaluate.generate, *made.small_rl.rl.values()]
    assert {one.instruction for one in asked} == {"Think."}


@pytest.mark.slow
def test_some_golds_are_missing(here):
    with Path("train.jsonl").open("a") as file:
        file.write('\n{"Text": "Prove it.", "Key": null}')
    assert (
        "31 problems, 30 of them with a gold answer" in run()
        and load(["mine.yaml"]).inputs.problems["rl"].gold == "some"
    )
    Path("mine.yaml").unlink()
    with pytest.raises(UserError, match="train.jsonl: line 31 has no gold answer"):
        run(benchmark="train.jsonl")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"columns": ""}, r"train.jsonl: these columns .*: key, text; needed .*here: --columns problem=<column>"),
        ({"columns": "problem=Txt answer=Key"}, r"columns.problem: there is no column Txt; did you mean Text\?"),
        ({"columns": "gold=Key"}, "--columns: gold=Key: write <what it is>=<its column>"),
        ({"model": "modell"}, "modell: there is no such folder, and no preset of that name"),
        ({"model": "qwen3_4"}, r"no preset of that name; did you mean qwen3_4b\?"),
        ({"problems": "trian.jsonl"}, "trian.jsonl: there is no such file, and no preset of that name"),
        ({"hardware": "gpu"}, "--hardware: gpu is none of cpu, one_gpu, one_node, cluster, and no number of GPUs"),
        ({"hardware": "8xH100"}, "--hardware: gpu: H100 is no GPU whose memory is known here"),
        ({"hardware": ""}, r"--hardware: hardware \(cpu, .*\) is missing"),
        ({"hardware": "one_node", "generalist": "model"}, "--benchmark: give two"),
        (
            {"hardware": "one_gpu"},
            r"mine.yaml was not written:\n  small_rl.rl.grpo.engine.max_model_len: 9216 tokens, but",
        ),
    ],
)
def test_what_is_refused_leaves_no_file(here, changes, words):
    with pytest.raises(UserError, match=words):
        run(**changes)
    assert not Path("mine.yaml").exists()


def test_a_model_whose_turn_ends_with_another_token(here):
    edit_json(here / "model/tokenizer_config.json", eos_token="<|endoftext|>")
    with pytest.raises(UserError, match="the chat template ends a turn with '<|im_end|>', but"):
        run()


def test_a_file_that_is_there_stays(here):
    Path("mine.yaml").write_text("mine")
    with pytest.raises(UserError, match="mine.yaml: this file is there already"):
        run()
    assert Path("mine.yaml").read_text() == "mine"


def test_questions_on_a_terminal(here, monkeypatch):
    replies = iter(["", "model", "train.jsonl", "held.jsonl", "none", "cpu"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: next(replies))
    init.main(Path("mine.yaml"), dict.fromkeys(init.QUESTIONS), ["problem=Text", "answer=Key"], None)
    assert load(["mine.yaml"]).evaluate.generate.k == {"held": 4}
