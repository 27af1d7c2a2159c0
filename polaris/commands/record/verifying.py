"""`polaris verify FOLDER`: published responses graded again, and every number computed again from their verdicts.

No GPU, no network, no code of the folder. What it cannot show: that the model gave these responses.
"""

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from polaris.commands.record import layout, numbers
from polaris.commands.record.compared import different, hub_faults
from polaris.commands.record.layout import RECORD, Record
from polaris.commands.record.reading import faults, own, read_record, read_rows
from polaris.evaluation.verdicts import Verdicts, check_tables, tabulate
from polaris.grading.answers import CORRECT
from polaris.grading.grading_pool import GradingPool, Verdict
from polaris.problems.read_problems import read_problems
from polaris.problems.settings import FileProblems
from polaris.stage.errors import UserError
from polaris.stage.settings import validated

SHOWN = 20  # rows of one file that are named
NEAR = 0.005  # of a share: what another version of the statistics may change
Golds = Mapping[str, list[str]]  # id -> accepted answers


@dataclasses.dataclass
class Found:
    """said: what is wrong, a sentence each; notes: what a person should know; graded: responses graded again

    tables: evaluation -> benchmark -> the verdicts of now
    """

    said: list[str]
    notes: list[str]
    graded: int = 0
    tables: dict[str, dict[str, Verdicts]] = dataclasses.field(default_factory=dict)


def verify(folder: Path, given: Mapping[str, Path]) -> Found:
    """Check published results. given: benchmark -> a file of its problems, for those that were not passed on.

    Raises UserError where `results.json` or a given file is none.
    """
    record = read_record(folder)
    if odd := sorted(given.keys() - record.benchmarks.keys()):
        raise UserError(f"--problems {odd[0]}: it is none of {', '.join(record.benchmarks)}")
    said, absent = faults(folder, record)
    found = Found(said, [f"{absent} files of weights are not here, and were not looked at"] if absent else [])
    golds = {name: _golds(folder, record, name, given.get(name), found) for name in record.benchmarks}
    with GradingPool(record.grading.timeout, max(1, (os.cpu_count() or 2) - 1), record.grading.grader) as pool:
        for evaluation, benchmark in itertools.product(record.evaluations, record.benchmarks):
            with _noted(found.said):
                responses = Responses(record, evaluation, benchmark, golds[benchmark])
                responses.check(folder, pool, found)
    if record.graded_by != numbers.graded_by():
        found.notes.append(
            f"graded by another version of the grader ({record.graded_by:.16}, here {numbers.graded_by()}): a verdict "
            "that differs may be the version's"
        )
    with _noted(found.said):
        _check_numbers(folder, record, found)
    return found


@contextlib.contextmanager
def _noted(said: list[str]) -> Iterator[None]:
    """A refusal inside becomes a sentence."""
    try:
        yield
    except UserError as error:
        said.append(str(error))


def _golds(folder: Path, record: Record, name: str, given: Path | None, found: Found) -> Golds | None:
    """None where the questions were not passed on, or cannot be read: then the stored verdicts stand."""
    known = record.benchmarks[name]
    if given is None and known.withheld:
        found.notes.append(
            f"{name}: {known.withheld:.80}, so that its questions are not here and its verdicts were not graded again; "
            f"--problems {name}=FILE does"
        )
        return None
    if given:
        columns = known.source.get("columns")
        return _read_golds(given, name, columns)
    with _noted(found.said):
        return _read_golds(own(folder, layout.problems_file(name)), name, None)
    return None


def _read_golds(path: Path, name: str, columns: Any) -> Golds:
    source = validated(FileProblems, {"file": str(path), "gold": "every", "columns": columns}, f"{RECORD}: {name}")
    return {row["id"]: row["answers"] for row in read_problems(source, [path], name, str(path))}


@dataclasses.dataclass(frozen=True)
class Responses:
    """The responses of one evaluation to one benchmark. golds: None where they are not here"""

    record: Record
    evaluation: str
    benchmark: str
    golds: Golds | None

    def check(self, folder: Path, pool: GradingPool, found: Found) -> None:
        """All there, as they were, with the verdicts that they get. Raises UserError for a file that cannot be read."""
        name = layout.responses_file(self.evaluation, self.benchmark)
        rows = read_rows(folder, name)
        said = [*self._incomplete(rows), *self._changed(rows)]
        verdicts = self._graded(rows, pool)
        for place, verdict in verdicts.items():
            if flip := _flip(rows[place], verdict):
                said.append(flip)
                rows[place] |= {"correct": verdict.correct, "reason": verdict.reason, "answer": verdict.answer}
        found.graded += len(verdicts)
        more = [f"and {len(said) - SHOWN} more like these"] if len(said) > SHOWN else []
        found.said += [f"{name}: {sentence}" for sentence in said[:SHOWN] + more]
        if not rows:
            raise UserError(f"{name}: there is no response in it")
        columns = {key: np.array([row[key] for row in rows], dtype=object) for key in layout.ROWS.names}
        columns |= {key: columns[key].astype(np.int64) for key in ("sample", "tokens")}
        found.tables.setdefault(self.evaluation, {})[self.benchmark] = tabulate(name, columns, {})

    def _incomplete(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Responses that are missing, there twice, or to other problems."""
        golds, place = self.golds, (self.evaluation, self.benchmark)
        there = {(row["problem_id"], row["sample"]) for row in rows}
        n = next((one.get("n") for one in self.record.scores if (one.get("name"), one.get("benchmark")) == place), None)
        ids = list(golds) if golds is not None else list(dict.fromkeys(row["problem_id"] for row in rows))
        said = [f"{len(rows) - len(there)} responses stand there twice"] if len(there) < len(rows) else []
        if len(ids) != n:
            said.append(f"there are {len(ids)} problems, and {RECORD} says {n!r:.20}")
        k = self.record.evaluations[self.evaluation].get("k")
        k = k.get(self.benchmark) if isinstance(k, dict) else None
        if type(k) is not int or k < 1:
            return [*said, f"{RECORD} does not say how many responses to a problem there are"]
        gone = ((one, sample) for one in ids for sample in range(k) if (one, sample) not in there)
        said += [f"problem {one:.80}, sample {sample}: the response is missing" for one, sample in _few(gone)]
        odd = (row for row in rows if golds is not None and row["problem_id"] not in golds)
        return said + [f"{_which(row)}: there is no such problem in {self.benchmark}" for row in _few(odd)]

    def _changed(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        withheld = self.record.benchmarks[self.benchmark].withheld
        for row in rows:
            if row["response"] is not None and layout.digest(row["response"]) != row["digest"]:
                yield f"{_which(row)}: this is not the response that was graded: its digest differs"
            if row["response"] is None and not withheld:
                yield f"{_which(row)}: its text is left out, which the licence of {self.benchmark} does not ask for"
            if row["correct"] != (row["reason"] in CORRECT):
                yield f"{_which(row)}: it is stored as {_word(row['correct'])}, for the reason {row['reason']!r:.40}"

    def _graded(self, rows: Sequence[Mapping[str, Any]], pool: GradingPool) -> dict[int, Verdict]:
        """Place of a row -> its verdict now: of the response, or where that is withheld of the answer that it gave."""
        golds = self.golds or {}
        known = [place for place, row in enumerate(rows) if row["problem_id"] in golds]
        whole = [place for place in known if rows[place]["response"] is not None]
        bare = [place for place in known if rows[place]["response"] is None and rows[place]["answer"] is not None]
        cut = [rows[place]["finish_reason"] == "length" for place in whole]
        responses = [(golds[rows[place]["problem_id"]], rows[place]["response"]) for place in whole]
        answers = [(golds[rows[place]["problem_id"]], rows[place]["answer"]) for place in bare]
        graded = pool.grade(responses, self.record.grading.format, cut)
        return dict(zip([*whole, *bare], [*graded, *pool.grade_answers(answers)], strict=True))


def _few(items: Iterator[Any]) -> Iterator[Any]:
    """As many as are named, and one more."""
    return itertools.islice(items, SHOWN + 1)


def _flip(row: Mapping[str, Any], verdict: Verdict) -> str | None:
    """What is other about the verdict of now; of a withheld response only whether it is right can be told."""
    stored = row["correct"], row["reason"], row["answer"]
    if stored == (verdict.correct, verdict.reason, verdict.answer):
        return None
    if row["response"] is None and verdict.correct == row["correct"]:
        return None
    was = f"{_word(row['correct'])} ({row['reason']:.40}, answer {row['answer']!r:.60})"
    now = f"{_word(verdict.correct)} ({verdict.reason}, answer {verdict.answer!r:.60})"
    return f"{_which(row)}: it is stored as {was}, and graded again it is {now}"


def _which(row: Mapping[str, Any]) -> str:
    return f"problem {row['problem_id']:.80}, sample {row['sample']}"


def _word(correct: bool) -> str:
    return "right" if correct else "wrong"


def _check_numbers(folder: Path, record: Record, found: Found) -> None:
    """The record's numbers, and the hub's files, against those of the verdicts, where all of these are here."""
    tables = {name: sets for name, sets in found.tables.items() if sets.keys() == record.benchmarks.keys()}
    if tables.keys() != record.evaluations.keys():
        found.notes.append("no number was computed again: responses are missing or cannot be read")
        return
    check_tables(tables, list(tables))
    same = record.computed_by == numbers.computed_by()
    if not same:
        found.notes.append(
            f"computed by another version of the statistics ({record.computed_by:.16}, here {numbers.computed_by()}): "
            f"differences up to {100 * NEAR:g} points are let pass"
        )
    compared = list(dict.fromkeys((row["a"], row["b"]) for row in record.pairs))
    now = numbers.all_numbers(tables, compared, record.resampling, record.select_on, record.published)
    for key, rows in zip(("scores", "pairs", "judgements"), now, strict=True):
        found.said += different(key, getattr(record, key), rows, 0.0 if same else NEAR)
    found.said += hub_faults(folder, record.model_copy(update={"scores": now[0]}), 0.0 if same else NEAR)
