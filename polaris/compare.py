"""`polaris compare A B`: two models on the same questions, of one run or of two, in the terminal."""

from collections.abc import Mapping
from pathlib import Path

from polaris import manifest, results, significance, verdicts
from polaris.errors import UserError
from polaris.report import read_verdicts
from polaris.results import POWER, Numbers
from polaris.show import table
from polaris.verdicts import AVERAGE, Verdicts

CONFIDENCE, RESAMPLES, SEED = 0.95, 20_000, 0


def scores_of(name: str, run: str) -> Path:
    """The manifest of a model's scores: of a name in the run, or of a path to it or to its folder.

    Raises UserError when neither is there.
    """
    for place in (Path(f"runs/{run}/scores/{name}"), Path(name)):
        path = place if place.suffix == ".json" else place / "data.json"
        if path.exists():
            return path
    raise UserError(f"{name}: there are no scores of a model called so in runs/{run}/scores, and no such folder")


def lines(a: str, b: str, tables: Mapping[str, Mapping[str, Verdicts]]) -> list[str]:
    """The comparison as lines of text. Raises UserError for benchmarks or problems that only one of them has."""
    verdicts.check_tables(tables, [a, b])
    numbers = Numbers(tables, CONFIDENCE, RESAMPLES, SEED)
    rows = [["benchmark", "questions", a, b, "difference", "p", "80 % power from"]]
    for name in [*numbers.benchmarks, AVERAGE] if len(numbers.benchmarks) > 1 else numbers.benchmarks:
        smallest = significance.detectable(numbers.differences(a, b, name), CONFIDENCE, POWER)
        one = tables[a].get(name)
        rows.append(
            [
                "their mean" if one is None else name,
                "" if one is None else f"{len(one.problems)} x {one.samples}",
                *_numbers(numbers, a, b, name),
                results.p_word(numbers.p_value(a, b, name)),
                f"±{results.percent(smallest)}" if smallest else "–",
            ]
        )
    return [
        f"{a} against {b}: avg@k in % with {100 * CONFIDENCE:g} % interval, paired by question",
        *table(rows),
        "p: paired permutation test, for this comparison alone. Power: the smallest true difference that so many questions",
        "and samples show in 4 of 5 evaluations. One training each: other seeds are not in any of these numbers.",
    ]


def _numbers(numbers: Numbers, a: str, b: str, benchmark: str) -> list[str]:
    cells = [
        f"{results.percent(score.value)} {results.span(numbers.interval(score))}"
        for score in (numbers.score(model, benchmark) for model in (a, b))
    ]
    change = numbers.difference(a, b, benchmark)
    return [*cells, f"{results.points(change.value)} {results.span(numbers.interval(change), results.points)}"]


def main(a: str, b: str, run: str) -> None:
    """Print the comparison of two models. run: where names are looked for"""
    paths = scores_of(a, run), scores_of(b, run)
    labels = [a, b] if a != b else [f"{a} (1)", f"{b} (2)"]
    tables = {label: read_verdicts(manifest.read(path)) for label, path in zip(labels, paths, strict=True)}
    print("\n".join(lines(*labels, tables)))
