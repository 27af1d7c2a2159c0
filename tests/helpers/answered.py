"""A run in which two models answered a benchmark, and traces were judged: what `polaris rollouts` reads."""

import json
from pathlib import Path

from polaris.grading import grade
from polaris.stage import manifest
from polaris.stage.records import TRACES, TRACES_FILE, write_rows
from polaris.stage.stage import Stage
from tests.helpers import tables

HOSTILE = "</pre><script>document.title = 'ruled'</script> {{ 7 * 7 }} \x1b[2J" + "W" * 300
QUESTIONS = [
    {"id": "one", "answers": ["4"], "problem": f"Find one. {HOSTILE}"},
    {"id": "two", "answers": ["5"]},
    {"id": "three", "answers": ["6"]},
]
# Of each model the responses to the questions, two each.
ANSWERS = {
    "first": ["\\boxed{4}", "\\boxed{2^{2}}", "\\boxed{5}", "no box", "\\boxed{1}", HOSTILE],
    "second": ["\\boxed{4}", "\\boxed{4}", "\\boxed{1}", "\\boxed{1}", "\\boxed{6}", "\\boxed{6}"],
}


def write_run(root: Path, answers: dict[str, list[str]] = ANSWERS) -> Path:
    """The folder of the run; the last response of `first` was cut."""
    run = root / "runs" / "small"
    problems = tables.problems(run / "benchmarks" / "made", QUESTIONS)
    settings = json.dumps(tables.GRADING | {"format": "none"})
    for model, texts in answers.items():
        cut = len(texts) - 1 if model == "first" else -1
        rows = [
            {"set": "made", "problem_id": QUESTIONS[n // 2]["id"], "sample": n % 2, "seed": n, "response": text,
             "tokens": len(text), "finish_reason": "length" if n == cut else "stop"}
            for n, text in enumerate(texts)
        ]  # fmt: skip
        given = tables.publish(run / "responses" / model, "responses.parquet", rows, tables.RESPONSES)
        out = run / "scores" / model / "data.json"
        tables.run(grade.main, "--settings", settings, "--responses", given, "--problems", problems, "--out", out)
    return run


def judge_traces(run: Path, reasons: list[str | None], model: str = "first") -> None:
    """The generalist's data of a model's responses, as if they were the traces."""
    given = {"problems": run / "benchmarks/made/data.json", "responses": run / "responses" / model / "data.json"}
    inputs = {name: manifest.read(path) for name, path in given.items()}
    rows = tables.read(given["responses"], "responses.parquet")
    columns = TRACES.names[:-1]
    module = "large_sft.traces.build_sft_data"
    with Stage(module, tables.Given(), inputs, run / "sft_data" / "data.json", "test") as stage:
        judged = [
            {name: row[name] for name in columns} | {"reason": why} for row, why in zip(rows, reasons, strict=True)
        ]
        write_rows(stage.log / TRACES_FILE, judged, TRACES)
        (stage.partial / "card.html").write_text("")
        stage.publish()
