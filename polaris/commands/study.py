"""`polaris study`: one small record per replicate of a recipe, and the page over all of them.

Replicate N is the run `study_N` of the laptop recipe with `replicate: N`, `sparse_N` of the recipe of sparse rewards,
`tournament_N` of that of the roads into a generalist, or `smollm2_N` of that of a real language model. From its record
a reader can recompute every number of the page without the run. What the run has not finished is listed as missing.
"""

import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from polaris.evaluation import lineage
from polaris.evaluation.scores import read_verdicts
from polaris.evaluation.verdicts import Verdicts
from polaris.recipe import recipe
from polaris.recipe.recipe import SELF, Recipe
from polaris.report import study_page
from polaris.report.study_designs import DESIGNS, LAPTOP, SELF_SWEEP, SMOLLM2, SPARSE, SPECIALIST_SWEEP, Design
from polaris.stage import manifest
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from polaris.stage.json_files import read_object
from polaris.stage.manifest import Manifest, digest_of, replace_file
from polaris.stage.records import GRADED, RESPONSES, read_rows
from polaris.stage.terminal import say
from polaris.tournament import page as tournament_page
from polaris.tournament.costs import costs
from polaris.tournament.roads import TOURNAMENT
from small_rl.reward.results import result_form, underlined

CONFIGS = {
    LAPTOP: ["laptop.yaml", "laptop_study.yaml"],
    SPARSE: ["laptop_sparse.yaml"],
    SMOLLM2: ["smollm2.yaml", "smollm2_study.yaml"],
    TOURNAMENT: ["laptop_tournament.yaml"],
}
PAGES = {design: study_page for design in DESIGNS} | {TOURNAMENT: tournament_page}
FOLDER = ROOT / "configs"
PER_STEP = ("entropy", "accuracy", "response_steps")  # of log/metrics.jsonl


def record(recipe: Recipe, files: Sequence[str], run: Path) -> dict[str, Any]:
    """The record of one replicate; docs/evaluation.md has its keys. Raises UserError where no model was scored yet.

    files: of the recipe, as the record names them; run: its folder
    """
    scores = {
        name: manifest.read(path)
        for name in recipe.evaluations
        if (path := run / "scores" / name / "data.json").exists()
    }
    if not scores:
        raise UserError(f"{run}/scores: no model of this run was scored yet")
    verdicts = {name: read_verdicts(scored) for name, scored in scores.items()}
    usual = next(iter(verdicts.values()))  # of a checkpoint: extra evaluations come last
    trained = [
        manifest.read(run / recipe.checkpoints[recipe.evaluations[name][0]] / "checkpoint.json") for name in scores
    ]
    stages = lineage.with_ancestors([*trained, *scores.values()])
    seconds = {row["stage"]: row["seconds"] for row in lineage.timing_rows(stages, run.resolve())}
    by_label = {lineage.label(stage, run.resolve()): stage for stage in stages}
    return {
        "replicate": recipe.replicate,
        "run": recipe.run,
        "recipe": list(files),
        "commit": commit(),
        "seconds": round(sum(seconds.values())),
        "tools": stages[-1].tools,
        "missing": [name for name in recipe.evaluations if name not in scores],
        "benchmarks": {
            name: {
                "problems": len(table.problems),
                "k": table.samples,
                "ids": digest_of(table.problems),
                "selects": name in recipe.select_on,
            }
            for name, table in usual.items()
        },
        "alphas": sweeps(recipe),
        "models": {name: model_record(tables, usual) for name, tables in verdicts.items()},
        "rl": {name: rl_record(by_label[name]) for name in recipe.rl if name in by_label},
        "underlined": {
            name: underlined_record(manifest.read(run / "responses" / name / "data.json"), scores[name])
            for name in recipe.rl
            if name in scores
        },
        "stages": {label: stage_record(stage, seconds[label]) for label, stage in by_label.items()},
    }


def stage_record(stage: Manifest, seconds: float) -> dict[str, Any]:
    """What a stage was made with, its wall time, and what a filter kept."""
    made = {"content": stage.content, "settings": digest_of(stage.settings), "code": stage.code, "seconds": seconds}
    return made | {key: stage.metrics[key] for key in ("kept",) if key in stage.metrics}


def sweeps(recipe: Recipe) -> dict[str, dict[str, str]]:
    """Sweep, as the claims call it -> alpha -> model; empty where the recipe has none."""
    after = recipe.merge.after if recipe.merge else []
    named = {SPECIALIST_SWEEP: "", SELF_SWEEP: SELF} | {f"merge of {name}": f"_{name}" for name in after}
    return {name: recipe.alphas_of(sweep) for name, sweep in named.items()}


def model_record(verdicts: Mapping[str, Verdicts], usual: Mapping[str, Verdicts]) -> dict[str, Any]:
    """avg@k, and how many samples of each problem are right, in the order of the problems' sorted ids.

    k: samples of a problem, where an extra evaluation takes other numbers of them than the `usual` one
    """
    other = {name: table.samples for name, table in verdicts.items() if table.samples != usual[name].samples}
    return ({"k": other} if other else {}) | {
        "accuracy": {name: round(float(table.correct_PG.mean()), 6) for name, table in verdicts.items()},
        "correct": {name: table.correct_PG.sum(axis=1).tolist() for name, table in verdicts.items()},
    }


def rl_record(stage: Manifest) -> dict[str, Any]:
    """Curves of an RL stage's own rollouts, a number per step."""
    lines = [json.loads(line) for line in stage.file("log/metrics.jsonl").read_text().splitlines()]
    return {"steps": stage.steps["reached"]} | {key: [line[key] for line in lines] for key in PER_STEP}


def underlined_record(responses: Manifest, scores: Manifest) -> dict[str, Any]:
    """Underlined results of a model's stored responses: benchmark -> right or wrong -> means per response.

    spans: number of underlined results; distinct: of different ones
    """
    rows = read_rows(responses.file("responses.parquet"), RESPONSES)
    verdicts = read_rows(scores.file("graded.parquet"), GRADED)
    spans_by_set: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for row, verdict in zip(rows, verdicts, strict=True):
        spans = underlined(row["response"])
        kinds = spans_by_set.setdefault(row["set"], {"right": [], "wrong": []})
        kinds["right" if verdict["correct"] else "wrong"].append((len(spans), len({*map(result_form, spans)} - {""})))
    return {name: {kind: _mean_spans(pairs) for kind, pairs in kinds.items()} for name, kinds in spans_by_set.items()}


def _mean_spans(pairs: Sequence[tuple[int, int]]) -> dict[str, float]:
    if not pairs:
        return {"responses": 0}
    spans, distinct = (round(fmean(numbers), 4) for numbers in zip(*pairs, strict=True))
    return {"responses": len(pairs), "spans": spans, "distinct": distinct}


def commit() -> str | None:
    """The commit of this folder, 12 hex digits, marked where files differ from it; None without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip() or None
    except FileNotFoundError:
        return None


def text_of(record: Mapping[str, Any]) -> str:
    """JSON with a line per list of numbers."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    return (
        re.sub(
            r"\[[\s\d.,e+-]*\]",
            lambda numbers: " ".join(numbers[0].split()).replace("[ ", "[").replace(" ]", "]"),
            text,
        )
        + "\n"
    )


def read_records(folder: Path, design: Design, replicates: Iterable[int]) -> list[dict[str, Any]]:
    """The records of a study that exist. Raises UserError where two have different benchmarks."""
    paths = [path for n in replicates if (path := folder / f"{design.records}_{n}.json").exists()]
    records = [read_object(path) for path in paths]
    for path, record in zip(paths, records, strict=True):
        if record["benchmarks"] != records[0]["benchmarks"]:
            raise UserError(f"{path}: its benchmarks differ from those of {paths[0]}: they are no replicates")
    return records


def write(design: Design, replicates: Sequence[int], to: Path) -> str | None:
    """Write a study's records from the runs that exist, then its pages over all records.

    Returns a line that says so; None where there is no record.
    """
    files = [f"configs/{name}" for name in CONFIGS[design]]
    for number in replicates:
        settings = recipe.load(
            [FOLDER / name for name in CONFIGS[design]], {"run": f"{design.run}_{number}", "replicate": number}
        )
        run = Path("runs") / settings.run
        if any(run.glob("scores/*/data.json")):
            found = record(settings, files, run) | ({"costs": costs(settings, run)} if design is TOURNAMENT else {})
            replace_file(to / f"{design.records}_{number}.json", text_of(found))
    records = read_records(to, design, replicates)
    if not records:
        return None
    absent = [number for number in replicates if number not in {one["replicate"] for one in records}]
    replace_file(to / design.markdown, PAGES[design].markdown(design, records, absent))
    replace_file(to / design.page, PAGES[design].page(design, records, absent))
    if any(name in records[0]["models"] for name in design.ladder):
        images = to.parent / "images"
        images.mkdir(exist_ok=True)
        replace_file(images / f"{design.records}.svg", study_page.picture(design, records))
    return f"{to}/{design.markdown} and {design.page}: {len(records)} replicates, {len(absent)} missing"


def main(replicates: Sequence[int], to: Path) -> None:
    """`polaris study`. to: folder of the records and the pages. Raises UserError where no replicate has a record."""
    to.mkdir(parents=True, exist_ok=True)
    lines = [written for design in CONFIGS if (written := write(design, replicates, to))]
    if not lines:
        raise UserError(f"{to}: no replicate has a record, and none of the runs a scored model; run `make study`")
    say("\n".join(lines))
