"""`polaris study`: what the replicates of a recipe found, as one small record each, and the page over all of them.

A replicate N is the run `study_N` of the laptop recipe with `replicate: N`, or `sparse_N` of that of sparse rewards.
Its record has enough for a reader to recompute every number of the page without the run; what the run has not finished
is named as missing.
"""

import argparse
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
from polaris.report.study_designs import DESIGNS, LAPTOP, OWN, SPARSE, SPECIALIST, Design
from polaris.stage import manifest
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest, digest_of, replace_file
from polaris.stage.records import GRADED, RESPONSES, read_rows
from small_rl.reward.results import result_form, underlined

CONFIGS = {LAPTOP: ["laptop.yaml", "laptop_study.yaml"], SPARSE: ["laptop_sparse.yaml"]}
FOLDER = ROOT / "configs"
PER_STEP = ("entropy", "accuracy", "response_steps")  # of log/metrics.jsonl


def record(of: Recipe, files: Sequence[str], run: Path) -> dict[str, Any]:
    """What one replicate found; docs/evaluation.md tells its keys. Raises UserError where nothing was scored yet."""
    scores = {
        name: manifest.read(path) for name in of.checkpoints if (path := run / "scores" / name / "data.json").exists()
    }
    if not scores:
        raise UserError(f"{run}/scores: no model of this run was scored yet")
    verdicts = {name: read_verdicts(one) for name, one in scores.items()}
    trained = [manifest.read(run / of.checkpoints[name] / "checkpoint.json") for name in scores]
    stages = lineage.with_ancestors([*trained, *scores.values()])
    seconds = {row["stage"]: row["seconds"] for row in lineage.timing_rows(stages, run.resolve())}
    by_label = {lineage.label(one, run.resolve()): one for one in stages}
    return {
        "replicate": of.replicate,
        "run": of.run,
        "recipe": list(files),
        "commit": commit(),
        "seconds": round(sum(seconds.values())),
        "tools": stages[-1].tools,
        "missing": [name for name in of.checkpoints if name not in scores],
        "benchmarks": {
            name: {
                "problems": len(one.problems),
                "k": one.samples,
                "ids": digest_of(one.problems),
                "selects": name in of.select_on,
            }
            for name, one in next(iter(verdicts.values())).items()
        },
        "alphas": {SPECIALIST: of.alphas_of(""), OWN: of.alphas_of(SELF)},
        "models": {name: model_record(one) for name, one in verdicts.items()},
        "rl": {name: rl_record(by_label[name]) for name in of.small_rl.rl if name in by_label},
        "underlined": {
            name: underlined_record(manifest.read(run / "responses" / name / "data.json"), scores[name])
            for name in of.small_rl.rl
            if name in scores
        },
        "stages": {
            label: {"content": one.content, "settings": digest_of(one.settings), "code": one.code}
            | {"seconds": seconds[label]}
            | {key: one.metrics[key] for key in ("kept",) if key in one.metrics}
            for label, one in by_label.items()
        },
    }


def model_record(verdicts: Mapping[str, Verdicts]) -> dict[str, Any]:
    """avg@k, and how many samples of each problem are right, in the order of the problems' sorted ids."""
    return {
        "accuracy": {name: round(float(one.correct_PG.mean()), 6) for name, one in verdicts.items()},
        "correct": {name: one.correct_PG.sum(axis=1).tolist() for name, one in verdicts.items()},
    }


def rl_record(made: Manifest) -> dict[str, Any]:
    """Curves of an RL stage's own rollouts, a number per step."""
    lines = [json.loads(line) for line in made.file("log/metrics.jsonl").read_text().splitlines()]
    return {"steps": made.steps["reached"]} | {key: [line[key] for line in lines] for key in PER_STEP}


def underlined_record(made: Manifest, scores: Manifest) -> dict[str, Any]:
    """Underlined results of a model's stored responses, right and wrong ones apart: benchmark -> numbers per response.

    spans: all of them; distinct: different results among them
    """
    rows = read_rows(made.file("responses.parquet"), RESPONSES)
    verdicts = read_rows(scores.file("graded.parquet"), GRADED)
    found: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for row, verdict in zip(rows, verdicts, strict=True):
        spans = underlined(row["response"])
        kinds = found.setdefault(row["set"], {"right": [], "wrong": []})
        kinds["right" if verdict["correct"] else "wrong"].append((len(spans), len({*map(result_form, spans)} - {""})))
    return {name: {kind: _mean_spans(pairs) for kind, pairs in kinds.items()} for name, kinds in found.items()}


def _mean_spans(pairs: Sequence[tuple[int, int]]) -> dict[str, float]:
    if not pairs:
        return {"responses": 0}
    spans, distinct = (round(fmean(numbers), 4) for numbers in zip(*pairs, strict=True))
    return {"responses": len(pairs), "spans": spans, "distinct": distinct}


def commit() -> str | None:
    """The tree that this command runs from, marked where files differ from it; None without git."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    told = subprocess.run(asked, check=False, capture_output=True, text=True)
    return told.stdout.strip() or None


def text_of(found: Mapping[str, Any]) -> str:
    """JSON with a line per list of numbers."""
    text = json.dumps(found, indent=1, ensure_ascii=False)
    return (
        re.sub(
            r"\[[\s\d.,e+-]*\]",
            lambda numbers: " ".join(numbers[0].split()).replace("[ ", "[").replace(" ]", "]"),
            text,
        )
        + "\n"
    )


def read_records(folder: Path, of: Design, replicates: Iterable[int]) -> list[dict[str, Any]]:
    """The records of a study that are there. Raises UserError where two were not asked the same questions."""
    paths = [path for n in replicates if (path := folder / f"{of.records}_{n}.json").exists()]
    records = [json.loads(path.read_text()) for path in paths]
    for path, one in zip(paths, records, strict=True):
        if one["benchmarks"] != records[0]["benchmarks"]:
            raise UserError(f"{path}: its benchmarks differ from those of {paths[0]}: they are no replicates")
    return records


def write(of: Design, replicates: Sequence[int], to: Path) -> str | None:
    """Write a study's records from the runs that there are, then its pages over all records. What to say; None without
    any.
    """
    files = [f"configs/{name}" for name in CONFIGS[of]]
    for number in replicates:
        made = recipe.load([FOLDER / name for name in CONFIGS[of]], {"run": f"{of.run}_{number}", "replicate": number})
        run = Path("runs") / made.run
        if any(run.glob("scores/*/data.json")):
            replace_file(to / f"{of.records}_{number}.json", text_of(record(made, files, run)))
    records = read_records(to, of, replicates)
    if not records:
        return None
    absent = [number for number in replicates if number not in {one["replicate"] for one in records}]
    replace_file(to / of.markdown, study_page.markdown(of, records, absent))
    replace_file(to / of.page, study_page.page(of, records, absent))
    if any(name in records[0]["models"] for name in of.ladder):
        images = to.parent / "images"
        images.mkdir(exist_ok=True)
        replace_file(images / f"{of.records}.svg", study_page.picture(of, records))
    return f"{to}/{of.markdown} and {of.page}: {len(records)} replicates, {len(absent)} missing"


def main(argv: Sequence[str]) -> None:
    """Write what the replicates of each study have found. Raises UserError without any."""
    parser = argparse.ArgumentParser(prog="polaris study")
    parser.add_argument("replicates", nargs="+", type=int, help="0 1 2: the runs study_0 sparse_0 study_1 ...")
    parser.add_argument("--to", type=Path, default=Path("docs/study"), help="folder of the records and the pages")
    args = parser.parse_args(argv)
    args.to.mkdir(parents=True, exist_ok=True)
    said = [line for of in DESIGNS if (line := write(of, args.replicates, args.to))]
    if not said:
        raise UserError(f"{args.to}: no replicate has a record, and none of the runs a scored model; run `make study`")
    print("\n".join(said))
