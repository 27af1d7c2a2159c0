"""`polaris regrade MODEL`: stored responses graded again by the present code, and which verdicts flipped.

Nothing is written. Snakemake grades again whatever changed code has graded; this command shows the effect beforehand.
"""

import collections
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polaris.commands.runs import Place
from polaris.evaluation import lineage
from polaris.evaluation.compare import scores_of
from polaris.evaluation.results import percent
from polaris.grading.answers import Grader
from polaris.grading.grade import grade_sets, summary
from polaris.grading.settings import Grading
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.records import GRADED, RESPONSES, read_rows
from polaris.stage.settings import validated
from polaris.stage.terminal import say, say_json, table

Rows = Sequence[dict[str, Any]]
SHOWN = 200  # flips that are listed


def main(name: str, place: Place, grader: Grader | None, as_json: bool = False) -> bool:
    """Print what grading again changes. Returns whether every verdict and reason is as stored.

    name: of the model, or a folder of scores; grader: in place of the scores' own. Raises UserError where responses or
    problems are missing.
    """
    name = str(Path(name).absolute()) if Path(name).exists() else name
    with contextlib.chdir(place.root):  # manifests name their inputs from there
        stored, regraded = both(name, place.folder.name, grader)
    if as_json:
        changed = [(old, new) for old, new in zip(stored, regraded, strict=True) if old != new]
        say_json({"responses": len(stored), "changed": [{"stored": old, "now": new} for old, new in changed]})
    else:
        say("\n".join(lines(stored, regraded)))
    return stored == regraded


def both(name: str, run: str, grader: Grader | None) -> tuple[Rows, Rows]:
    """The stored verdicts of a model, and those of now. Raises UserError as `main`."""
    scores = manifest.read(scores_of(name, run))
    grading = validated(Grading, scores.settings, f"{scores.path}: settings")
    if grader:
        grading = grading.model_copy(update={"grader": grader})
    (responses,) = (manifest.read(path) for path in lineage.input_paths(scores, ["responses"]))
    problems = [manifest.read(path) for path in lineage.input_paths(scores, ["problems"])]
    stored = read_rows(scores.file("graded.parquet"), GRADED)
    regraded = grade_sets(read_rows(responses.file("responses.parquet"), RESPONSES), problems, grading)
    if [_key(row) for row in stored] != [_key(row) for row in regraded]:
        raise UserError(
            f"{scores.path}: its verdicts are not of {responses.path}, which was generated again since; run snakemake"
        )
    return stored, regraded


def _key(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["set"], row["problem_id"], row["sample"]


def lines(stored: Rows, regraded: Rows) -> list[str]:
    """The changes as lines of text; both arguments are rows of records.GRADED of the same responses in one order."""
    both = list(zip(stored, regraded, strict=True))
    flipped = [(old, new) for old, new in both if old["correct"] != new["correct"]]
    reasons = sum(old["reason"] != new["reason"] for old, new in both) - len(flipped)
    if not flipped and not reasons:
        return [f"{len(both)} responses: every verdict and every reason is as stored"]
    to = collections.Counter("right" if new["correct"] else "wrong" for _, new in flipped)
    turned = f"{to['right']} to right and {to['wrong']} to wrong"
    text = [f"{len(flipped)} of {len(both)} verdicts flipped, {turned}; {reasons} others have another reason"]
    before, after = (summary(list(rows))["accuracy"] for rows in (stored, regraded))
    text += [f"{name}: {percent(before[name])} -> {percent(after[name])} % right" for name in before]
    rows = [["set", "problem", "sample", "was", "is now", "answer"]]
    for old, new in flipped[:SHOWN]:
        rows.append([*map(str, _key(old)), old["reason"], new["reason"], repr(new["answer"])[:60]])
    if flipped:
        text += ["", *table(rows)]
    return text + ([f"... and {len(flipped) - SHOWN} more"] if len(flipped) > SHOWN else [])
