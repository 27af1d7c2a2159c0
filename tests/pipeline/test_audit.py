"""The audit with tiny local models, through to its judgements; its results published, verified, tampered with."""

import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polaris.commands.record import layout
from polaris.commands.record.verifying import verify
from polaris.stage.manifest import file_digest
from tests.helpers.engine_process import engine_python
from tests.helpers.once import once

from .conftest import snakemake

# benchmark -> its date: two that V2's models may have seen, one that only the released ones may, one newer than all
SETS = {"aime25": "2025-02", "hmmt25": "2025-02", "hmmt_nov25": "2025-11-08", "fresh": "2026-05"}
DATES = {"base_small": "2025-08", "format_sft": "2026-03", "core_filtered": "2026-03"}
QUESTIONS, K = 16, 4
OVERLAY = """
extends: [polaris_v2_audit]
run: audit
device: cpu
engines: {{evaluation: {{dtype: float32, max_model_len: 256, max_num_seqs: 64, replicas: 1, kv_cache_gib: 0.25}}}}
gradings: {{evaluation: {{workers: 1, max_failure_rate: 0.1}}}}
inputs:
  models: {{polaris_v1: null, r1_llama: null, {models}}}
  benchmarks: [{sets}]
evaluate:
  generate: {{k: {k}, sampling: {{max_tokens: 96}}, instruction: " Underline key results."}}
  extra_evaluations: {{card: {{k: {k}}}, no_instruction: {{k: {k}}}}}
report: {{resamples: 400, length_groups: [24, 48]}}
"""


def make(folder: Path, finished: Path) -> None:
    """The finished audit in `folder`/runs/audit."""
    problems = pq.read_table(finished / "benchmarks/chain/problems.parquet").to_pylist()
    for name in SETS:
        lines = [json.dumps({key: row[key] for key in ("id", "problem", "answers")}) for row in problems[:QUESTIONS]]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    models = [f"{name}: {{path: {finished / name / 'model'}, date: {date}}}" for name, date in DATES.items()]
    free = {"fresh": "MIT"}
    sets = [
        f"{{{name}: {{file: {name}.jsonl, gold: every, date: {date}, licence: {free.get(name, 'null')}}}}}"
        for name, date in SETS.items()
    ]
    k = json.dumps(dict.fromkeys(SETS, K))
    (folder / "audit.yaml").write_text(OVERLAY.format(models=", ".join(models), sets=", ".join(sets), k=k))
    done = snakemake(folder, configs=[str(folder / "audit.yaml")])
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.fixture(scope="module")
def audit(finished, tmp_path_factory) -> Path:
    shared = tmp_path_factory.getbasetemp().parent / "audit"
    return once(shared, lambda folder: make(folder, finished))


def polaris(folder: Path, *words: object) -> subprocess.CompletedProcess:
    command = [engine_python(), "-m", "polaris.commands.cli", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def test_every_published_difference_is_judged_and_sets_are_dated(audit):
    report = json.loads((audit / "runs/audit/report/results.json").read_text())
    judged = {(row["a"], row["b"], row["benchmark"]): row["judgement"] for row in report["published_differences"]}
    pairs = [("format_sft", "base_small"), ("core_filtered", "base_small"), ("core_filtered", "format_sft")]
    assert set(judged) == {(*pair, name) for pair in pairs for name in ("aime25", "hmmt25")}
    assert set(judged.values()) <= {"consistent", "above", "below", "cannot be told"}
    newer = {row["name"]: row["newer"] for row in report["dates"]}
    assert newer == {"base_small": ["hmmt_nov25", "fresh"], "format_sft": ["fresh"], "core_filtered": ["fresh"]}
    # Whatever was judged rests on sets that both may have seen; nothing on the newest set does.
    named = {(row["a"], row["b"], row["benchmark"]) for row in report["on_seen_sets"]}
    assert {place for place, word in judged.items() if word != "cannot be told"} <= named
    assert not any(benchmark == "fresh" for _, _, benchmark in named)
    spread = {row["name"] for row in report["spreads"]}
    assert spread == set(DATES)
    text = (audit / "runs/audit/report/report.md").read_text()
    assert "## Newer than the models" in text and "Nothing was trained" in text and "| judgement |" in text
    plan = polaris(audit, "plan", "--configfile", "audit.yaml")
    assert plan.returncode == 0 and "detectable difference, points" in plan.stdout
    assert f"aime25      {QUESTIONS}         {K}" in plan.stdout, plan.stdout


def test_its_results_are_published_verified_and_what_is_changed_is_found(audit, tmp_path):
    out = tmp_path / "out"
    words = ["publish", *DATES, "--no-weights", "--run", "audit", "--to", out, "--license", "mit"]
    done = polaris(audit, *words)
    assert done.returncode == 0, done.stderr
    assert "aime25: no licence is known; its questions and" in done.stdout
    whole = polaris(audit, "verify", out)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    responses = QUESTIONS * K * 8  # three models, three with the card's sampling, two without an instruction
    assert f"{responses} responses graded again: every verdict and number is as published" in whole.stdout
    for change in (flip, reword):
        name = layout.responses_file("core_filtered", "fresh")
        before = (out / name).read_bytes()
        rows = pq.read_table(out / name).to_pylist()
        expected = change(rows)
        pq.write_table(pa.Table.from_pylist(rows, schema=layout.ROWS), out / name)
        reseal(out, name)
        said = verify(out, {}).said
        assert said[0].startswith(f"{name}: problem {rows[3]['problem_id']}, sample {rows[3]['sample']}: {expected}")
        (out / name).write_bytes(before)
        reseal(out, name)
    assert not verify(out, {}).said


def flip(rows: list[dict]) -> str:
    rows[3]["correct"] = not rows[3]["correct"]
    rows[3]["reason"] = "exact" if rows[3]["correct"] else "different"
    return f"it is stored as {'right' if rows[3]['correct'] else 'wrong'} ("


def reword(rows: list[dict]) -> str:
    rows[3]["response"] += " "
    return "this is not the response that was graded: its digest differs"


def reseal(out: Path, name: str) -> None:
    """Give results.json the digest of the file as it is now."""
    record = json.loads((out / layout.RECORD).read_text())
    record["files"][name] = {"size": (out / name).stat().st_size, "xxh3": file_digest(out / name)}
    (out / layout.RECORD).write_text(json.dumps(record))
