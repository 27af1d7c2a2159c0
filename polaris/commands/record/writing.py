"""The results of some evaluations of a finished run, written into a folder that is about to be published."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from polaris.commands.record import layout, numbers
from polaris.commands.record.hub_results import hub_files
from polaris.commands.record.layout import Benchmark, File, Record
from polaris.evaluation.lineage import input_paths
from polaris.evaluation.results import evaluated_model
from polaris.evaluation.scores import read_verdicts
from polaris.evaluation.settings import Resampling
from polaris.grading.settings import Grading
from polaris.problems.contamination import Held, HeldOut
from polaris.recipe.recipe import Recipe
from polaris.recipe.recipe_files import as_written
from polaris.report.settings import ReportPage
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest, file_digest
from polaris.stage.records import GRADED, PROBLEMS, RESPONSES, read_problems, read_rows, write_rows
from polaris.stage.settings import validated

QUOTE = 8  # words in a row that a response has from its question: then it quotes it
OF_THE_MACHINE = ("interpreters", "environment")
Problems = Mapping[str, dict[str, Any]]  # by id


def write(
    report: Mapping[str, Any], recipe: Recipe, models: Sequence[str], run: Path, out: Path, repository: str | None
) -> tuple[Record, list[str]]:
    """Write `results/` and `.eval_results/` into `out`, all but results.json. Returns that, still without digests, and
    what is withheld, in words.

    Raises UserError where responses or problems are gone, or are not those that were scored.
    """
    names = [name for name in recipe.evaluations if evaluated_model(name) in models or name in models]
    scores = {name: _scores(report, name, run) for name in names}
    benchmarks = {
        name: Benchmark(source=source, problems=digest, withheld=layout.withheld(source))
        for name, (source, digest) in _sources(recipe, scores[names[0]]).items()
    }
    evaluations, quoted = {}, dict.fromkeys(benchmarks, 0)
    problems = _problems(scores[names[0]])
    for name, graded in scores.items():
        responses = _responses(graded)
        evaluations[name] = responses.settings
        for benchmark, rows in _rows(graded, responses).items():
            if benchmarks[benchmark].withheld:
                quoted[benchmark] += _withhold(rows, problems[benchmark])
            _write_rows(out / layout.responses_file(name, benchmark), rows)
    for name in (name for name, one in benchmarks.items() if not one.withheld):
        path = out / layout.problems_file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(path, problems[name].values(), PROBLEMS)
    record = _record(report, scores, benchmarks, evaluations, {name: _content(report, name) for name in models})
    _write_texts(out, recipe, hub_files(record, repository) if len(models) == 1 else {})
    return record, [
        f"{name}: {one.withheld}; its questions and {quoted[name]} responses that quote them are withheld"
        for name, one in benchmarks.items()
        if one.withheld
    ]


def _content(report: Mapping[str, Any], model: str) -> str:
    stage = next(row["stage"] for row in report["checkpoints"] if row["name"] == model)
    return next(row["content"] for row in report["lineage"] if row["stage"] == stage)


def _scores(report: Mapping[str, Any], name: str, run: Path) -> Manifest:
    scores = manifest.read(run / "scores" / name / "data.json")
    known = next((row["content"] for row in report["lineage"] if row["stage"] == f"scores/{name}"), None)
    if known != scores.content:
        raise UserError(f"{scores.path}: the report is of other scores; run snakemake to update the report")
    return scores


def _responses(scores: Manifest) -> Manifest:
    (path,) = input_paths(scores, ["responses"])
    responses = manifest.read(path)
    if responses.content != scores.inputs["responses"]["content"]:
        raise UserError(f"{path}: other responses than those that were scored; run snakemake to grade them")
    responses.check_digest("responses.parquet")
    return responses


def _sources(recipe: Recipe, scores: Manifest) -> dict[str, tuple[dict[str, Any], str]]:
    """Benchmark -> its section of the recipe, without the folders of this machine, and the digest of its problems."""
    found = {}
    for one in map(manifest.read, input_paths(scores, ["problems"])):
        source = recipe.inputs.benchmarks[one.stage].model_dump(mode="json")
        found[one.stage] = _without_folders(source), one.content
    return found


def _problems(scores: Manifest) -> dict[str, Problems]:
    return {
        one.stage: read_problems(one.file("problems.parquet"))
        for one in map(manifest.read, input_paths(scores, ["problems"]))
    }


def _rows(scores: Manifest, responses: Manifest) -> dict[str, list[dict[str, Any]]]:
    """Benchmark -> rows of layout.ROWS."""
    rows: dict[str, list[dict[str, Any]]] = {}
    graded = read_rows(scores.file("graded.parquet"), GRADED)
    for given, verdict in zip(read_rows(responses.file("responses.parquet"), RESPONSES), graded, strict=True):
        row = given | verdict | {"digest": layout.digest(given["response"])}
        rows.setdefault(row["set"], []).append({name: row[name] for name in layout.ROWS.names})
    return rows


def _withhold(rows: Sequence[dict[str, Any]], problems: Problems) -> int:
    """Take out the responses that quote their question. Returns how many they are."""
    held = {id: HeldOut([Held("", id, row["problem"])], QUOTE) for id, row in problems.items()}
    quoting = 0
    for row in rows:
        question = held[row["problem_id"]]
        if question.shared_runs(row["response"]) or question.whole_inside(row["response"]) is not None:
            row["response"], quoting = None, quoting + 1
    return quoting


def _write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=layout.ROWS), path, compression="zstd")


def _record(
    report: Mapping[str, Any],
    scores: Mapping[str, Manifest],
    benchmarks: Mapping[str, Benchmark],
    evaluations: Mapping[str, dict[str, Any]],
    weights: dict[str, str],
) -> Record:
    page = validated(ReportPage, report["settings"], "results.json: settings")
    compared = list(dict.fromkeys((row["a"], row["b"]) for row in report["pairs"] if {row["a"], row["b"]} <= {*scores}))
    resampling = Resampling(**page.model_dump(include=set(Resampling.model_fields)))
    tables = {name: read_verdicts(one) for name, one in scores.items()}
    found = numbers.all_numbers(tables, compared, resampling, page.select_on, page.published_values)
    reported = {(row["name"], row["benchmark"]): row for row in report["models"]}
    if odd := next((row for row in found[0] if row["avg"] != reported[row["name"], row["benchmark"]]["avg"]), None):
        raise UserError(f"report: {odd['name']} on {odd['benchmark']} has another score there; run snakemake")
    gradings = [one.settings for one in scores.values()]
    return Record(
        format=1,
        run=report["run"],
        weights=weights,
        evaluations=dict(evaluations),
        benchmarks=dict(benchmarks),
        grading=validated(Grading, gradings[0], "scores: settings"),
        graded_by=numbers.graded_by(),
        computed_by=numbers.computed_by(),
        resampling=resampling,
        select_on=page.select_on,
        published=page.published_values,
        **dict(zip(("scores", "pairs", "judgements"), found, strict=True)),
        files={},
    )


def _write_texts(out: Path, recipe: Recipe, hub: Mapping[str, str]) -> None:
    """recipe.yaml and the files of the hub, which are about one model."""
    values = as_written(recipe.model_dump(mode="json", by_alias=True, exclude=set(OF_THE_MACHINE)))
    text = yaml.safe_dump(_without_folders(values), sort_keys=False, allow_unicode=True, width=100)
    for name, written in {layout.RECIPE: text, **hub}.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(written, encoding="utf-8")


def seal(out: Path, record: Record) -> None:
    """Write results.json, last of all: it has the digest of every other file in the folder."""
    paths = sorted(path for path in out.rglob("*") if path.is_file())
    found = {str(path.relative_to(out)): File(size=path.stat().st_size, xxh3=file_digest(path)) for path in paths}
    whole = record.model_copy(update={"files": found}).model_dump(mode="json")
    (out / layout.RECORD).write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _without_folders(values: Any) -> Any:
    """The same values, in which a model's `path` and a set's `file` are names without the folders before them."""
    if isinstance(values, list):
        return [_without_folders(value) for value in values]
    if not isinstance(values, dict):
        return values
    return {
        key: Path(value).name if key in ("path", "file") and isinstance(value, str) else _without_folders(value)
        for key, value in values.items()
    }
