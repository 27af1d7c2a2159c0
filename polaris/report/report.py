"""Verb: index.html, report.md and results.json, the same numbers for a browser, for a text and for programs.

results.json: `models pairs alphas own_alphas claims choice published` as `polaris.evaluation.results`, `measures
lengths budgets hardest` as `polaris.evaluation.response_rows`, `dates on_seen_sets` as `polaris.evaluation.dates`,
`examples` as `polaris.evaluation.examples`, `timings lineage` as `polaris.evaluation.lineage`, `front` as
`polaris.report.front`, `soups soup_choice` as `polaris.report.soups`, `planned` as `polaris.report.planned` and `paid`
as small_rl/studies/paid.py describe them row by row, and `checkpoints curves warnings difficulty data`, which the page
also shows. Scores are shares in [0, 1].
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polaris.evaluation import claims, examples, lineage, response_rows, results, verdicts
from polaris.evaluation.claims import Claim
from polaris.evaluation.dates import date_rows, on_seen_sets
from polaris.evaluation.published_differences import published_differences
from polaris.evaluation.scores import read_verdicts
from polaris.evaluation.spread import spread_rows, within_spread
from polaris.report import soups
from polaris.report.front import front_rows
from polaris.report.markdown import markdown
from polaris.report.page import page
from polaris.report.planned import planned_rows
from polaris.report.settings import ReportPage
from polaris.stage.errors import UserError
from polaris.stage.json_files import read_object
from polaris.stage.manifest import Manifest
from polaris.stage.stage import Stage, run_verb


def main() -> None:
    flags = ("scores", "checkpoints", "data", "paid")
    with Stage.from_command_line("polaris.report.report", ReportPage, repeated=flags) as stage:
        scores, checkpoints, data, paid = (stage.inputs[flag] for flag in flags)
        report = collect(stage.settings, scores, checkpoints, data, stage.folder.parent, paid)
        (stage.partial / "results.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        (stage.partial / "index.html").write_text(page(report))
        (stage.partial / "report.md").write_text(markdown(report))
        stage.say(f"{stage.folder / 'index.html'}")
        stage.publish(metrics={"models": len(report["checkpoints"]), "comparisons": len(report["pairs"])})


def collect(
    settings: ReportPage,
    scores: Sequence[Manifest],
    checkpoints: Sequence[Manifest],
    data: Sequence[Manifest],
    run: Path,
    paid: Sequence[Manifest] = (),
) -> dict[str, Any]:
    """Everything that results.json holds. Raises UserError for missing models, benchmarks, problems or samples."""
    run, own = run.resolve(), settings.self_distillation
    trained = {row["name"]: row for row in lineage.checkpoint_rows(checkpoints, run)}
    numbers = estimates(settings, scores, trained)
    choice = results.choice(numbers, settings.alphas, settings.select_on, settings.selected)
    pairs = results.pair_rows(numbers, compared(settings, trained))
    spreads, soup = spread_rows(numbers, list(settings.extra_evaluations)), soups.soup_rows(numbers, settings)
    models = results.model_rows(numbers, trained)
    claim_rows = results.claim_rows(numbers, claimed(settings, numbers, choice, soup["soup_choice"], checkpoints))
    dates = date_rows(settings.model_dates, settings.dates, numbers.headline)
    judged = published_differences(pairs, settings.published_values)
    compared_rows = [*pairs, *(row for claim in claim_rows for row in claim["differences"].values()), *judged]
    return {
        "run": run.name,
        "settings": settings.model_dump(mode="json"),
        "benchmarks": numbers.benchmarks,
        "headline": numbers.headline,
        "models": models,
        "front": front_rows(models, numbers.headline, settings.extra_evaluations),
        "pairs": pairs,
        "alphas": results.alpha_rows(numbers, settings.alphas),
        "own_alphas": results.alpha_rows(numbers, own.alphas) if own else [],
        "choice": choice,
        **soup,
        "claims": claim_rows,
        "published": results.published_rows(numbers, settings.published_values),
        "published_differences": judged,
        "dates": dates,
        "on_seen_sets": on_seen_sets(compared_rows, dates, numbers.headline, settings.confidence),
        "spreads": spreads,
        "within_spread": within_spread(pairs, spreads),
        **response_rows.response_rows(numbers, settings.pass_k, settings.length_groups),
        "hardest": hardest(settings, numbers),
        "examples": examples.example_rows(scores, list(numbers.tables)),
        "checkpoints": list(trained.values()),
        "paid": [read_object(stage.file("paid.json")) for stage in paid],
        **recorded(settings, checkpoints, data, [*scores, *paid], run),
    }


def recorded(
    settings: ReportPage,
    checkpoints: Sequence[Manifest],
    data: Sequence[Manifest],
    others: Sequence[Manifest],
    run: Path,
) -> dict[str, Any]:
    """What the manifests of all these stages, and of all that they came from, record: training, data, time, plan and
    lineage.
    """
    found = lineage.with_ancestors([*checkpoints, *data, *others])
    timings = lineage.timing_rows(found, run)
    return {
        "curves": lineage.curve_rows(checkpoints),
        "warnings": lineage.warning_rows(checkpoints),
        "difficulty": lineage.difficulty_rows(data),
        "data": [{"stage": lineage.label(stage, run), "metrics": stage.metrics} for stage in data],
        "timings": timings,
        "planned": planned_rows(settings.planned, timings),
        "lineage": lineage.lineage_rows(found, run),
    }


def estimates(
    settings: ReportPage, scores: Sequence[Manifest], trained: Mapping[str, Mapping[str, Any]]
) -> results.Numbers:
    """The scores of every model that the settings name; trained: rows of `checkpoints` by model.

    Raises UserError where scores or checkpoints are missing, or more of them are there than the settings name.
    """
    own = settings.self_distillation
    controls = [own.distilled, *own.alphas.values()] if own else []
    named = [*settings.ladder, *settings.generalists, *settings.alphas.values(), *controls, *settings.models]
    named += [*(settings.soup.made if settings.soup else []), *settings.extra_evaluations]
    names = list(dict.fromkeys(named))
    tables = {manifest.stage: read_verdicts(manifest) for manifest in scores}
    verdicts.check_tables(tables, names)
    models = {results.evaluated_model(name) if name in settings.extra_evaluations else name for name in names}
    if missing := sorted(models - trained.keys()):
        raise UserError(f"--checkpoints: no checkpoint of {', '.join(missing)}, named in the report's settings")
    if apart := [name for name in settings.select_on if name not in tables[names[0]]]:
        raise UserError(f"--scores: no scores on {apart[0]}, on which alpha is selected (merge.select_on)")
    uncertainty = (settings.confidence, settings.resamples, settings.seed, settings.select_on)
    numbers = results.Numbers({name: tables[name] for name in names}, *uncertainty)
    response_rows.check_samples(numbers, settings.pass_k)
    return numbers


def compared(settings: ReportPage, trained: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """(family, a, b) of every paired comparison."""
    start = {name: row["start"] for name, row in trained.items()}
    pairs = results.compared(settings.ladder, settings.generalists, settings.models, settings.alphas, start)
    pairs += results.own_compared(settings.generalists, settings.alphas, settings.self_distillation)
    pairs += soups.compared(settings)
    return pairs + [(results.EXTRA, name, results.evaluated_model(name)) for name in settings.extra_evaluations]


def claimed(
    settings: ReportPage,
    numbers: results.Numbers,
    choice: dict[str, Any],
    soup_choice: dict[str, Any] | None,
    checkpoints: Sequence[Manifest],
) -> list[Claim]:
    """The claims of this run, each with its control."""
    own, base = settings.self_distillation, settings.generalists[:1]
    # The recipe's `selected` is the choice for its own arm.
    own_model = own and results.choice(numbers, own.alphas, settings.select_on, None)["model"]
    own_ends = [*base, own.distilled] if own else []
    merged = claims.merge_claims(settings.generalists, choice["model"], choice["on_reported"], own_ends, own_model)
    soup = soup_choice and claims.soup_claims(settings.soup.models, soup_choice["model"], soup_choice["on_reported"])
    return claims.rl_claims(lineage.rl_stages(checkpoints)) + (merged if settings.alphas else []) + (soup or [])


def hardest(settings: ReportPage, numbers: results.Numbers) -> list[dict[str, Any]]:
    """`hardest` of results.json: where the large base model fails, or the small one, or the first of all models."""
    base, *others = settings.generalists or settings.ladder or settings.models
    merged = [model for _, model in results.by_alpha(settings.alphas) if model not in settings.generalists]
    return response_rows.hardest_pools(numbers, base, [*others, *merged], settings.worst_k)


if __name__ == "__main__":
    run_verb(main)
