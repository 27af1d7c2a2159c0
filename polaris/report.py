"""Verb: the page and results.json, the same numbers twice: for people and for programs.

results.json: `models pairs alphas timings lineage` as `polaris.results` and `polaris.lineage` describe them row by row,
and `checkpoints curves difficulty data`, which the page also shows. Scores are shares in [0, 1].
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from polaris import lineage, results
from polaris.errors import UserError
from polaris.manifest import Manifest
from polaris.page import page
from polaris.records import GRADED, read_table
from polaris.results import Verdicts
from polaris.sections import ReportPage
from polaris.stage import Stage, run_verb


def main() -> None:
    flags = ("scores", "checkpoints", "data")
    with Stage.from_command_line("polaris.report", ReportPage, repeated=flags) as stage:
        found = collect(stage.settings, *(stage.inputs[flag] for flag in flags), stage.folder.parent)
        (stage.partial / "results.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        (stage.partial / "index.html").write_text(page(found))
        stage.say(f"{stage.folder / 'index.html'}")
        stage.publish(metrics={"models": len(found["checkpoints"]), "comparisons": len(found["pairs"])})


def collect(
    settings: ReportPage,
    scores: Sequence[Manifest],
    checkpoints: Sequence[Manifest],
    data: Sequence[Manifest],
    run: Path,
) -> dict[str, Any]:
    """Everything that results.json holds. Raises UserError for missing models, benchmarks, problems or samples."""
    wanted = list(dict.fromkeys([*settings.ladder, *settings.generalists, *settings.alphas.values()]))
    tables = {one.stage: read_verdicts(one) for one in scores}
    results.check_tables(tables, wanted)
    trained = {row["name"]: row for row in lineage.checkpoint_rows(checkpoints)}
    if missing := [name for name in wanted if name not in trained]:
        raise UserError(f"--checkpoints: there is none of {', '.join(missing)}, which the report's settings name")

    numbers = results.Numbers(
        {name: tables[name] for name in wanted}, settings.confidence, settings.resamples, settings.seed
    )
    start = {name: row["start"] for name, row in trained.items()}
    pairs = results.compared(settings.ladder, settings.generalists, settings.alphas, start)
    stages, run = lineage.with_ancestors([*checkpoints, *data, *scores]), run.resolve()
    return {
        "run": run.name,
        "settings": settings.model_dump(mode="json"),
        "benchmarks": numbers.benchmarks,
        "models": results.model_rows(numbers, trained),
        "pairs": results.pair_rows(numbers, pairs),
        "alphas": results.alpha_rows(numbers, settings.alphas),
        "checkpoints": list(trained.values()),
        "curves": lineage.curve_rows(checkpoints),
        "difficulty": lineage.difficulty_rows(data),
        "data": [{"stage": lineage.label(one, run), "metrics": one.metrics} for one in data],
        "timings": lineage.timing_rows(stages, run),
        "lineage": lineage.lineage_rows(stages, run),
    }


def read_verdicts(scores: Manifest) -> dict[str, Verdicts]:
    """Benchmark -> verdicts, from one model's graded.parquet, in the order of the file."""
    table = read_table(scores.file("graded.parquet"), GRADED)
    column = {name: table[name].to_numpy() for name in ("set", "problem_id", "sample", "correct", "finish_reason")}
    if not len(table):
        raise UserError(f"{scores.file('graded.parquet')}: there is no verdict in it")
    verdicts = {}
    for name in dict.fromkeys(column["set"]):
        mine = column["set"] == name
        verdicts[name] = results.tabulate(
            f"{scores.file('graded.parquet')}: benchmark {name}",
            column["problem_id"][mine].astype(str),
            column["sample"][mine],
            column["correct"][mine].astype(np.bool_),
            column["finish_reason"][mine] == "length",
        )
    return verdicts


if __name__ == "__main__":
    run_verb(main)
