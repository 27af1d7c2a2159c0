"""A finished evaluation of two models on two benchmarks, graded and reported by the real stages."""

import json
from pathlib import Path
from typing import Any

from polaris.commands import publish
from polaris.commands.runs import Place
from polaris.grading import grade
from polaris.report import report
from polaris.stage.records import RESPONSES, write_rows
from polaris.stage.stage import Stage
from tests.helpers import tables
from tests.helpers.report_run import Given, Run

MODELS, K = ("weak", "strong"), 2
FREE, BOUND = "MIT", "CC-BY-NC-SA-4.0"
QUESTION = "A very long walk around the lake takes Anna exactly {n} minutes; how many seconds is that?"
GRADING = tables.GRADING | {"format": "none"}
GENERATED = {
    "k": {"open": K, "bound": K},
    "instruction": " Box it.",
    "sampling": {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "max_tokens": 99, "seed": 1},
    "engine": {},
}
RECIPE = f"""
extends: [evaluation]
run: audit
inputs:
  models: {{weak: {{path: /private/weak}}, strong: {{path: /private/strong}}}}
  benchmarks:
    open: {{hub: a/open, revision: {"a" * 40}, split: test, gold: every, licence: {FREE}}}
    bound: {{file: /private/bound.jsonl, gold: every, licence: {BOUND}}}
evaluate: {{generate: {{k: {{open: {K}, bound: {K}}}}}}}
"""


def text(model: str, n: int, sample: int) -> str:
    """A response: the strong model is right but for one, the weak one never; the first sample quotes its question."""
    right = model == "strong" and (n, sample) != (3, 1)
    quote = QUESTION.format(n=n) if sample == 0 else "Well:"
    return f"{quote} \\boxed{{{60 * n if right else 7}}}" + ("\0" if n == 2 else "")


def make(root: Path) -> Place:
    """The run `runs/audit` in `root`, which is the working directory."""
    run, problems = Run(root / "runs/audit"), {}
    for name in ("open", "bound"):
        rows = [{"id": f"q{n}", "problem": QUESTION.format(n=n), "answers": [str(60 * n)]} for n in range(1, 5)]
        problems[name] = tables.problems(Path(f"runs/audit/benchmarks/{name}"), rows)
    for model in MODELS:
        run.model(model, model, folder=f"models/{model}")
        responses = _responses(model, Path(f"runs/audit/responses/{model}/data.json"))
        out = Path(f"runs/audit/scores/{model}/data.json")
        words = ("--settings", json.dumps(GRADING), "--responses", responses, "--problems", *problems.values())
        tables.run(grade.main, *words, "--out", out)
        run.paths["scores"].append(out)
    given = {"models": list(MODELS), "published": "x", "published_values": {
        "source": "a blog", "average_of": [], "values": {"weak": {"open": 10.0}, "strong": {"open": 80.0}},
    }}  # fmt: skip
    tables.run(report.main, *run.arguments(**given, length_groups=[15], resamples=200))
    (root / "audit.yaml").write_text(RECIPE)
    return Place(Path("runs/audit"), [str(root / "audit.yaml")])


def _responses(model: str, out: Path) -> Path:
    rows = [
        {"set": name, "problem_id": f"q{n}", "sample": sample, "seed": sample, "response": text(model, n, sample)}
        | {"tokens": 9, "finish_reason": "stop"}
        for name in ("open", "bound")
        for n in range(1, 5)
        for sample in range(K)
    ]
    with Stage("polaris.stage.manifest", Given(**GENERATED), {}, out, "test") as stage:
        write_rows(stage.partial / "responses.parquet", rows, RESPONSES)
        stage.publish()
    return out


def published(place: Place, to: Path, models: tuple[str, ...] = MODELS, weights: bool = False) -> dict[str, Any]:
    """`polaris publish MODELS --to TO --license mit`; its results.json."""
    publish.main(place, models, to, "mit", None, weights)
    return json.loads((to / "results/results.json").read_text())
