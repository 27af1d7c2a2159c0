"""Which differences an evaluation could show, before any model is asked: questions, samples, the smallest effect.

Of two models that are right in a share p of the samples, a question's difference has the variance t^2 + 2 p (1 - p) / k
at most: t, by how much the true differences of the questions are spread, and the samples' noise, which is largest where
all questions are equally hard.
"""

from collections.abc import Iterator

from polaris.evaluation import significance
from polaris.evaluation.results import POWER, percent
from polaris.problems.read_problems import read_problems
from polaris.problems.settings import FileProblems, Problems
from polaris.recipe.published import published
from polaris.recipe.recipe import Recipe
from polaris.stage.terminal import NONE, table

SPREADS = (0.0, 0.2)  # lowest and highest t, in shares: docs/evaluation.md, "How many questions and samples?"
UNKNOWN = 0.5  # p where no value is printed: then the noise is largest


def questions(source: Problems, name: str) -> int | None:
    """Problems of a set; None where only its file could tell, and is not here. Raises UserError as `read_problems`."""
    known = source.count if source.count is not None else None
    if known is None and isinstance(source, FileProblems) and source.file.is_file():
        known = len(read_problems(source, [source.file], name, str(source.file)))
    most = getattr(source, "max_rows", None)
    return min(known, most) if known and most else known


def accuracy(recipe: Recipe, benchmark: str) -> float:
    """The mean of what is printed of the recipe's models on a benchmark, a share."""
    printed = published(recipe.report.published)
    values = [printed.values.get(model, {}).get(benchmark) for model in recipe.checkpoints] if printed else []
    known = [value / 100 for value in values if value is not None]
    return sum(known) / len(known) if known else UNKNOWN


def variances(n: int, k: int, p: float) -> tuple[float, float]:
    """Of the mean difference of two models over n questions with k samples each: lowest and highest."""
    low, high = ((spread**2 + 2 * p * (1 - p) / k) / n for spread in SPREADS)
    return low, high


def lines(recipe: Recipe) -> list[str]:
    """A table as text: a row per benchmark, and one for the mean; nothing where there are no two models."""
    if len(recipe.checkpoints) < 2:
        return []
    rows, over = [], []
    for name, n, k, p in _asked(recipe):
        ends = variances(n, k, p) if n else None
        over += [ends] if name in recipe.headline else []
        rows.append([name, str(n or NONE), str(k), percent(p), _effect(recipe, [ends])])
    if len(over) > 1:
        rows.append(["mean", "", "", "", _effect(recipe, over)])
    head = ["benchmark", "questions", "k", "accuracy", "detectable difference, points"]
    spread = f"{100 * SPREADS[0]:g} to {100 * SPREADS[1]:g}"
    note = (
        f"The smallest true difference of two models that is shown in {100 * POWER:g} % of evaluations "
        f"({100 * recipe.report.confidence:g} %, one comparison), where the questions' true differences are spread by "
        f"{spread} points and the samples' noise is the largest at this accuracy: the printed one, else "
        f"{100 * UNKNOWN:g}."
    )
    return ["", *table([head, *rows]), note]


def _asked(recipe: Recipe) -> Iterator[tuple[str, int | None, int, float]]:
    """Benchmark, its questions, samples of each, accuracy."""
    for name, source in recipe.inputs.benchmarks.items():
        yield name, questions(source, name), recipe.evaluate.generate.k[name], accuracy(recipe, name)


def _effect(recipe: Recipe, ends: list[tuple[float, float] | None]) -> str:
    known = [one for one in ends if one is not None]
    if len(known) < len(ends):
        return NONE
    low, high = (significance.effect([one[end] for one in known], recipe.report.confidence, POWER) for end in (0, 1))
    return f"{percent(low)}-{percent(high)}"
