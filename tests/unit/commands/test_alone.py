"""Commands on plain folders and files: what they are given, and that nothing of it is changed."""

import json
import os
from pathlib import Path

import pytest

from polaris.commands.alone import asked, evaluate, files, generate, merge
from polaris.commands.alone.asked import Asked
from polaris.evaluation.settings import Resampling
from polaris.recipe import recipe
from polaris.stage import manifest
from polaris.stage.errors import UserError
from tests.helpers import merge_checkpoints, tables

ASKED = Asked(2, 1.0, 1.0, -1, 96, " Think.", 1, "cpu", 1, 0.5)
REPORT = Resampling(confidence=0.95, resamples=200, seed=0)


def folder(path: Path, positions: int = 4096) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"max_position_embeddings": positions}))
    return path


def test_names_tell_paths_apart(tmp_path):
    paths = [folder(tmp_path / name) for name in ("x/core/model", "y/core/model", "z/a b")]
    assert list(asked.named(paths[:1])) == ["core"] and list(asked.named(paths[2:])) == ["a_b"]
    assert list(asked.named(paths)) == ["x_core", "y_core", "z_a_b"]
    (tmp_path / "test.v2.jsonl").touch()
    assert list(asked.named([tmp_path / "test.v2.jsonl"])) == ["test"]
    with pytest.raises(UserError, match="it is named twice"):
        asked.named([paths[0], tmp_path / "x/../x/core/model"])


def test_room_for_the_prompt_as_far_as_the_model_has_it(tmp_path):
    small, large = folder(tmp_path / "small", 1000), folder(tmp_path / "large", 99_999)
    assert ASKED.room([large]) == 96 + asked.PROMPT and ASKED.room([large, small]) == 1000
    with pytest.raises(UserError, match="--max-tokens 96: .*/tiny has 96 positions; ask for less"):
        ASKED.room([folder(tmp_path / "tiny", 96)])
    with pytest.raises(UserError, match="with --temperature 0 all are the same; give --samples 1"):
        Asked(2, 0.0, 1.0, -1, 96, "", 1, "cpu", 1, 0.5)


def test_an_evaluation_has_a_recipe_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models = {"a": folder(tmp_path / "a")}
    values = evaluate.values("", models, {"chain": tmp_path / "chain.jsonl"}, ASKED)
    first = evaluate.written(None, values)
    assert first == Path("runs/evaluation/evaluation.yaml")
    made = recipe.load([first])
    assert made.run == "evaluation" and made.inputs.models["a"].path == tmp_path / "a" and made.report.pass_k == [2]
    assert made.evaluate.generate.sampling.max_tokens == 96 and made.evaluate.generate.k == {"chain": 2}
    assert evaluate.written(None, values) == first  # the same command goes on
    edited = first.read_text().replace("max_tokens: 96", "max_tokens: 64")
    first.write_text(edited)
    assert evaluate.written(None, values) == Path("runs/evaluation_2/evaluation.yaml")
    assert first.read_text() == edited
    with pytest.raises(UserError, match="runs/evaluation: this run has another recipe; .*--again runs/evaluation"):
        evaluate.written("evaluation", values)
    with pytest.raises(UserError, match="a run has a name of letters"):
        evaluate.written("../x", values)


def test_a_model_in_one_file_is_a_model(tmp_path):
    gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
    file, problems = tmp_path / "tiny.Q8.gguf", tmp_path / "chain.jsonl"
    problems.touch()
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(700)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    models, sets = asked.given([file, problems])
    assert (models, sets) == ([file], [problems]) and ASKED.room(models) == 700
    values = evaluate.values("", asked.named(models), asked.named(sets), ASKED)
    assert values["inputs"]["models"] == {"tiny": {"gguf": str(file)}}


def state(*folders: Path) -> dict[str, tuple]:
    """Bytes, mode, date and links of every file."""
    paths = [path for one in folders for path in (one.rglob("*") if one.is_dir() else [one]) if path.is_file()]
    return {str(p): (p.read_bytes(), p.stat().st_mode, p.stat().st_mtime_ns, p.stat().st_nlink) for p in paths}


def test_merges_of_two_folders(tmp_path, capsys):
    first = merge_checkpoints.weights(1)
    pair = [
        merge_checkpoints.save(tmp_path / "a", first),
        merge_checkpoints.save(tmp_path / "b", merge_checkpoints.near(first, 2)),
    ]
    for path in pair[0].iterdir():
        os.chmod(path, 0o600)
    before, out = state(*pair), tmp_path / "merges"
    merge.main(*pair, [0.3, 0.5], out, "same", dry_run=True)
    assert not out.exists() and "these two can be merged" in capsys.readouterr().out
    merge.main(*pair, [0.3, 0.5], out, "same", dry_run=False)
    assert {path.name for path in out.iterdir()} == {"alpha=0.30", "alpha=0.50"}
    mixed, one, two = (merge_checkpoints.load(path) for path in (out / "alpha=0.50", *pair))
    for name, value in mixed.items():
        assert (value.float() - (one[name].float() + two[name].float()) / 2).abs().max() < 0.02
    assert state(*pair) == before
    with pytest.raises(UserError, match="alpha=0.30: already exists"):
        merge.main(*pair, [0.3], out, "same", dry_run=False)
    with pytest.raises(UserError, match="--alphas: alpha: Input should be less than 1"):
        merge.main(*pair, [1.0], tmp_path / "other", "same", dry_run=False)
    assert not (tmp_path / "other").exists()


def test_an_output_is_no_input(tmp_path):
    (tmp_path / "pairs.jsonl").write_text('{"gold": 5, "answer": "5"}\n')
    before = state(tmp_path)
    with pytest.raises(UserError, match="this is the input; name another file"):
        files.grade(tmp_path / "pairs.jsonl", tmp_path / "pairs.jsonl", "none", "polaris", 20.0, as_json=False)
    assert state(tmp_path) == before


def test_a_file_of_answers_by_reason(tmp_path, capsys):
    rows = [{"gold": 5, "response": "\\boxed{5}"}, {"gold": 5, "response": "no"}, {"gold": 5, "answer": "6"}]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files.grade(tmp_path / "r.jsonl", None, "none", "polaris", 20.0, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert {row["reason"]: row["responses"] for row in found["reasons"]} == {"exact": 1, "no_answer": 1, "different": 1}
    files.grade(tmp_path / "r.jsonl", None, "none", "polaris", 20.0, as_json=False)
    assert "1 of 3 are right, 33.3 %" in capsys.readouterr().out


def test_the_probe_reads_a_runs_own_responses(tmp_path, capsys):
    right, wrong = "\\underline{x=1}</think>\\boxed{5}", "\\underline{x=2}</think>\\boxed{6}"
    made = manifest.read(tables.responses(tmp_path / "responses", [("1", right), ("1", right), ("1", wrong)]))
    problems = manifest.read(tables.problems(tmp_path / "rl", [{"id": "1", "answers": ["5"]}]))
    rollouts, golds = made.file("responses.parquet"), problems.file("problems.parquet")
    with pytest.raises(UserError, match="`gold` is missing .*--problems FILE gives it too"):
        files.probe(rollouts, [], None, None, "none", None, REPORT, 20.0)
    files.probe(rollouts, [golds], None, None, "none", None, REPORT, 20.0)
    found = json.loads(capsys.readouterr().out)
    assert found["rollouts"] == 3 and found["problems"] == 1 and found["grading"] == {"exact": 2, "different": 1}


def test_responses_for_people_and_the_other_commands(tmp_path):
    problems = tables.problems(tmp_path / "rl", [{"id": "1", "answers": ["5"]}])
    made = tables.responses(tmp_path / "responses", [("1", "x"), ("1", "y", "length")])
    rows = generate.rows(made, [problems])
    assert [(row["problem_id"], row["sample_id"], row["response"], row["gold"]) for row in rows] == [
        ("1", 0, "x", ["5"]),
        ("1", 1, "y", ["5"]),
    ]
    assert rows[1]["finish_reason"] == "length" and rows[0]["problem"] == "Find 1."
