"""Verb: accuracy and diversity over a grid of temperatures, and the choice of one (V1 blog, temperature).

temperature.json: `temperature` is the choice, which an RL stage may sample at; `target_diversity` the diversity that
later resets aim at; `grid` a row per temperature; `measured_on` their common conditions. index.html draws the same
numbers.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polaris.charts import charts
from polaris.charts.charts import Line, axis_percent
from polaris.charts.figure_page import figure_page
from polaris.evaluation import statistics
from polaris.evaluation.results import percent, points, span
from polaris.generation.settings import Generate
from polaris.grading.diversity import WORDS, distinct_share
from polaris.grading.grade import grade_responses
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from polaris.stage.records import RESPONSES, read_problems, read_rows
from polaris.stage.settings import validated
from polaris.stage.stage import Stage, run_verb
from small_rl.data.groups import by_problem
from small_rl.studies import temperature
from small_rl.studies.temperature import Point
from small_rl.study_settings import TemperatureChoice


def read_conditions(responses: Manifest) -> tuple[float, dict[str, Any]]:
    """The temperature of a responses manifest, and the conditions that all others must share.

    Raises UserError where the manifest is not one of polaris.generation.generate, or is of several problem sets.
    """
    if responses.module.rpartition(".")[2] != "generate":  # older runs: polaris.generate
        raise UserError(f"{responses.path}: {responses.module} wrote it, not polaris.generation.generate")
    generation = validated(Generate, responses.settings, f"{responses.path}: settings")
    if len(generation.k) != 1:
        raise UserError(
            f"{responses.path}: it has responses to {len(generation.k)} problem sets; a search compares one"
        )
    name, k = next(iter(generation.k.items()))
    common = generation.sampling.model_dump(include={"top_p", "top_k", "max_tokens"})
    common |= {
        "set": name,
        "k": k,
        "instruction": generation.instruction,
        **generation.engine.model_dump(include={"yarn"}),
        "problems": responses.inputs["problems"]["content"],
    }
    return generation.sampling.temperature, common


def check_alike(path: Path, conditions: dict[str, Any], first: Path, expected: dict[str, Any]) -> None:
    """Raises UserError naming a condition of `path` that differs from `first`: their diversities do not compare."""
    for key, value in conditions.items():
        if value != expected.get(key):
            raise UserError(
                f"{path}: its {key} is {value!r}, but {first} has {expected.get(key)!r}; they must be equal"
            )


def by_temperature(manifests: Sequence[Manifest]) -> tuple[dict[float, Manifest], dict[str, Any]]:
    """The manifests by rising temperature, and their common conditions. Raises UserError for unequal ones."""
    grid: dict[float, Manifest] = {}
    common: dict[str, Any] = {}
    for responses in manifests:
        at, conditions = read_conditions(responses)
        conditions |= {"model": responses.inputs["model"]["content"]}
        common = common or conditions
        check_alike(responses.path, conditions, manifests[0].path, common)
        if at in grid:
            raise UserError(f"{responses.path}: temperature {at} is that of {grid[at].path}, too")
        grid[at] = responses
    if len(grid) < 2:
        raise UserError(f"--responses: a grid needs two temperatures at least, and this is {len(grid)}")
    return dict(sorted(grid.items())), common


def measure(
    responses: Manifest, problems: dict[str, Any], k: int, settings: TemperatureChoice
) -> tuple[NDArray[np.bool_], list[float | None], dict[str, float]]:
    """Of one temperature: bool [problems, k] of right responses, each problem's distinct_share, and lengths."""
    rows = read_rows(responses.file("responses.parquet"), RESPONSES)
    graded = grade_responses(rows, problems, settings.grading)
    groups = by_problem([row | {"correct": g["correct"]} for row, g in zip(rows, graded, strict=True)], problems)
    for problem_id, group in groups.items():
        if len(group) != k:
            raise UserError(f"{responses.path}: problem {problem_id} has {len(group)} responses, not {k}")
    correct_PG = np.array([[row["correct"] for row in group] for group in groups.values()], dtype=bool)
    lengths = {
        "mean_tokens": float(np.mean([row["tokens"] for row in rows])),
        "truncated": float(np.mean([row["finish_reason"] == "length" for row in rows])),
    }
    return correct_PG, [distinct_share(row["response"] for row in group) for group in groups.values()], lengths


def grid_rows(
    measured: dict[float, tuple[NDArray[np.bool_], list[float | None], dict[str, float]]], settings: TemperatureChoice
) -> tuple[list[dict[str, Any]], int]:
    """`grid` of temperature.json, and how many problems have no n-gram at some temperature.

    Those are left out of every temperature's diversity, so that all are means over the same problems.
    """
    shares = list(zip(*(shares_P for _, shares_P, _ in measured.values()), strict=True))
    whole_P = np.array([None not in shares_T for shares_T in shares])
    best = max(measured, key=lambda at: (measured[at][0].mean(), at))
    rows = []
    for at, (correct_PG, shares_P, lengths) in measured.items():
        rng = np.random.default_rng([settings.seed, round(1000 * at)])
        accuracy = statistics.average(correct_PG, settings.resamples, rng)
        lost = statistics.difference(correct_PG, measured[best][0], settings.resamples, rng)
        row = {
            "temperature": at,
            "accuracy": accuracy.value,
            "accuracy_interval": accuracy.interval(settings.confidence),
        }
        row |= {"to_best": lost.value, "to_best_interval": lost.interval(settings.confidence)}
        row |= {"diversity": None, "diversity_interval": None}
        if whole_P.sum() > 1:
            values_P = np.array(shares_P, dtype=float)[whole_P]
            diversity = statistics.weighted_mean(values_P, np.ones_like(values_P), settings.resamples, rng)
            row |= {"diversity": diversity.value, "diversity_interval": diversity.interval(settings.confidence)}
        rows.append(row | lengths)
    return rows, int((~whole_P).sum())


def read_last(last: Manifest, common: dict[str, Any]) -> dict[str, Any]:
    """temperature.json of the search before. Raises UserError where it measured something else."""
    search = json.loads(last.file("temperature.json").read_text())
    check_alike(
        last.path, {k: v for k, v in search["measured_on"].items() if k != "model"}, Path("--responses"), common
    )
    if search["target_diversity"] is None:
        raise UserError(
            f"{last.path}: its diversity is not defined (no response has {WORDS} words); no reset is possible"
        )
    return search


def entropies(trained: Manifest) -> list[float]:
    """Policy entropy by step, from an RL stage's log. Raises UserError where there is none."""
    lines = [json.loads(line) for line in trained.file("log/metrics.jsonl").read_text().splitlines()]
    by_step = {line["step"]: line["entropy"] for line in lines if "entropy" in line}
    if not by_step:
        raise UserError(f"{trained.path}: its log/metrics.jsonl has no entropy: it is no RL stage")
    return [by_step[step] for step in sorted(by_step)]


def choose(
    grid: list[Point], settings: TemperatureChoice, last: dict[str, Any] | None, trained: Manifest | None
) -> dict[str, Any]:
    """The choice as keys of temperature.json. Raises UserError where no temperature may be taken."""
    if last is None:
        chosen = temperature.first_choice(grid, settings.tolerance)
        return {"temperature": chosen.temperature, "rule": "first", "target_diversity": chosen.diversity}
    target, before = last["target_diversity"], last["temperature"]
    chosen = temperature.reset_choice(grid, target, before, settings.tolerance)
    if chosen is None:
        raise UserError(
            f"no temperature from {before:g} (that of the stage before) up has a diversity and loses at most "
            f"{settings.tolerance:g} of accuracy against the best; measure more of them, or raise `tolerance`"
        )
    choice = {"temperature": chosen.temperature, "rule": "reset", "target_diversity": target, "last": before}
    if trained is not None and (reset := settings.reset):
        fall = temperature.entropy_fall(entropies(trained))
        step = temperature.grid_step(fall, reset.slight_fall, reset.fine_step, reset.wide_step)
        gap = temperature.largest_gap(grid, before)
        choice["entropy"] = {"fall": fall, "wanted_step": step, "largest_gap": gap, "too_coarse": gap > step + 1e-9}
    return choice


def page(search: dict[str, Any]) -> str:
    """index.html: both curves over temperature, and a row per temperature."""
    rows, best = search["grid"], max(row["accuracy"] for row in search["grid"])
    at = [row["temperature"] for row in rows]
    marks = [(t, f"{t:g}") for t in at]

    def curve(key: str, title: str, text: str) -> tuple[str, str, str]:
        low, high = zip(*(row[f"{key}_interval"] for row in rows), strict=True)
        tones = [Line("", at, [row[key] for row in rows], low, high)]
        chosen = next(row for row in rows if row["temperature"] == search["temperature"])
        tones.append(Line("chosen", [chosen["temperature"]], [chosen[key]], tone=1))
        return title, charts.line_chart(tones, title, "temperature", axis_percent, marks, (min(low), max(high))), text

    level = f"{100 * search['confidence']:g} %"
    accuracy_text = f"avg@{search['measured_on']['k']} with its {level} interval over problems. The best of several "
    accuracy_text += "temperatures is flattered by chance: read the paired loss in the table."
    figures = [curve("accuracy", "Accuracy", accuracy_text)]
    if rows[0]["diversity"] is not None:
        text = f"Distinct {WORDS}-grams of words, all responses to a problem together, mean over problems, with its "
        figures.append(curve("diversity", "Diversity", text + f"{level} interval. It knows words, not ideas."))
    head = ["temperature", "zone", "accuracy, %", "loss to the best, points", "diversity, %", "cut off, %", "tokens"]
    table = [head] + [
        [
            f"{row['temperature']:g}{' (chosen)' if row['temperature'] == search['temperature'] else ''}",
            row["zone"],
            f"{percent(row['accuracy'])} {span(row['accuracy_interval'])}",
            f"{points(row['to_best'])} {span(row['to_best_interval'], points)}",
            f"{percent(row['diversity'])} {span(row['diversity_interval'])}" if row["diversity"] is not None else "–",
            percent(row["truncated"]),
            f"{row['mean_tokens']:.0f}",
        ]
        for row in rows
    ]
    rule = {
        "first": "the hottest temperature of the robust zone: up to it, accuracy is within the tolerance of the best",
        "reset": "the temperature whose diversity is nearest to the target, not below the last one, within the "
        "tolerance",
    }
    lead = [
        (
            f"Chosen: {search['temperature']:g}, {rule[search['rule']]}. Best accuracy {percent(best)} %, tolerance "
            f"{percent(search['tolerance'])} points, {search['problems']} problems × {search['measured_on']['k']} "
            f"responses, at most {search['measured_on']['max_tokens']} tokens each."
        )
    ]
    return figure_page("Temperature", lead, figures, table, search["notes"])


def notes(search: dict[str, Any]) -> list[str]:
    """What a reader must know besides the numbers."""
    texts = []
    if search["temperature"] == search["grid"][-1]["temperature"]:
        texts.append("The choice is the hottest temperature of the grid: a hotter one may do as well. Widen the grid.")
    if search["problems_without_ngrams"]:
        texts.append(
            f"{search['problems_without_ngrams']} of {search['problems']} problems have responses of fewer than "
            f"{WORDS} words at some temperature; no diversity counts them."
        )
    if search.get("entropy", {}).get("too_coarse"):
        texts.append(
            f"Entropy fell by {percent(search['entropy']['fall'])} % in the stage before, which asks for steps of "
            f"{search['entropy']['wanted_step']:g}; the grid has one of {search['entropy']['largest_gap']:g}."
        )
    return texts


def main() -> None:
    with Stage.from_command_line(
        "small_rl.studies.search_temperature",
        TemperatureChoice,
        inputs=("problems",),
        optional=("last", "trained"),
        repeated=("responses",),
    ) as stage:
        settings: TemperatureChoice = stage.settings
        if (settings.reset is None) != ("last" not in stage.inputs):
            raise UserError(
                "--last and the key `reset` belong together: give both for a reset, neither for a first choice"
            )
        manifests, common = by_temperature(stage.inputs["responses"])
        last = read_last(stage.inputs["last"], common) if "last" in stage.inputs else None
        problems = read_problems(stage.inputs["problems"].file("problems.parquet"))
        if len(problems) < 2:
            raise UserError(f"{stage.inputs['problems'].path}: an interval over problems needs two problems at least")
        measured = {at: measure(responses, problems, common["k"], settings) for at, responses in manifests.items()}
        rows, left_out = grid_rows(measured, settings)
        grid = [Point(row["temperature"], row["accuracy"], row["diversity"]) for row in rows]
        zones = temperature.zones(grid, settings.tolerance, settings.collapse)
        search = choose(grid, settings, last, stage.inputs.get("trained")) | {
            "tolerance": settings.tolerance,
            "confidence": settings.confidence,
            "problems": len(problems),
            "problems_without_ngrams": left_out,
            "grid": [row | {"zone": zone} for row, zone in zip(rows, zones, strict=True)],
            "measured_on": common,
        }
        search["notes"] = notes(search)
        (stage.partial / "temperature.json").write_text(json.dumps(search, indent=1) + "\n")
        (stage.partial / "index.html").write_text(page(search))
        stage.say(" ".join([f"temperature {search['temperature']:g}.", *search["notes"]]))
        stage.publish(metrics={key: search[key] for key in ("temperature", "rule", "target_diversity")})


if __name__ == "__main__":
    run_verb(main)
