"""Where stored responses lie: an evaluation's beside its verdicts, or the traces beside what became of them."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from polaris.evaluation.lineage import input_paths
from polaris.problems.solutions import from_solutions
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from polaris.stage.records import GRADED, TRACES, TRACES_FILE, read_problems, read_rows

BATCH = 64  # responses read at a time
Key = tuple[str, str]  # set, problem
Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A model's responses, or the traces.

    rows: of records.GRADED or TRACES, in the order of the texts; problems: set -> id -> row of records.PROBLEMS
    responses: file of the texts; None where the problems' worked solutions are the traces
    """

    name: str
    rows: Sequence[Row]
    problems: dict[str, dict[str, Row]]
    responses: Path | None

    def problem(self, key: Key) -> Row:
        """The question, or a word for one that is gone."""
        gone = {"problem": "(the problem is no longer in its set)", "answers": []}
        return self.problems.get(key[0], {}).get(key[1], gone)

    def questions(self) -> Iterator[tuple[Key, list[tuple[Row, str]]]]:
        """Each question with its rows and their texts, a few in memory at a time.

        Raises UserError where the texts are others than those of the rows.
        """
        pairs = zip(self.rows, self._texts(), strict=True)
        for key, group in itertools.groupby(pairs, key=lambda pair: (pair[0]["set"], pair[0]["problem_id"])):
            yield key, [(row, text) for row, (_, text) in group]

    def _texts(self) -> Iterator[tuple[Key, str]]:
        """The question and the text of every response. Raises UserError as `questions`."""
        if self.responses is None:
            solutions = from_solutions(next(iter(self.problems.values())))
            yield from (((row["set"], row["problem_id"]), row["response"]) for row in solutions)
            return
        rows = iter(self.rows)
        with pq.ParquetFile(self.responses) as file:
            for batch in file.iter_batches(BATCH, columns=["set", "problem_id", "sample", "response"]):
                for found in batch.to_pylist():
                    row = next(rows, None)
                    if row is None or any(row[name] != found[name] for name in ("set", "problem_id", "sample")):
                        raise UserError(f"{self.responses}: these are other responses than were graded; run snakemake")
                    yield (found["set"], found["problem_id"]), found["response"]
        if next(rows, None) is not None:
            raise UserError(f"{self.responses}: some of the responses that were graded are missing; run snakemake")


def evaluation(scores: Manifest) -> Source:
    """What a model answered, by the manifest of its scores. Raises UserError where responses or problems are gone."""
    (path,) = input_paths(scores, ["responses"])
    responses = manifest.read(path)
    if responses.content != scores.inputs["responses"]["content"]:
        raise UserError(f"{scores.path}: {path} was generated again since it was graded; run snakemake")
    sets = {one.stage: one for one in map(manifest.read, input_paths(scores, ["problems"]))}
    problems = {name: read_problems(one.file("problems.parquet")) for name, one in sets.items()}
    graded = read_rows(scores.file("graded.parquet"), GRADED)
    return Source(scores.stage, graded, problems, responses.file("responses.parquet").absolute())


def traces(data: Manifest) -> Source:
    """The traces of the generalist's data, by its manifest. Raises UserError for data of an earlier version."""
    path = data.folder / "log" / TRACES_FILE
    if not path.is_file():
        raise UserError(f"{path}: there is no such file: an earlier version made the data; make {data.stage} again")
    rows = read_rows(path, TRACES)
    if odd := next((why for row in rows if (why := row["reason"]) and not why.isidentifier()), None):
        raise UserError(f"{path}: {odd[:80]!r} is none of our reasons; make {data.stage} again")
    (given,) = input_paths(data, ["problems"])
    problems = read_problems(manifest.read(given).file("problems.parquet"))
    responses = [manifest.read(one).file("responses.parquet").absolute() for one in input_paths(data, ["responses"])]
    names = dict.fromkeys(row["set"] for row in rows)
    name = data.stage.replace("sft_data", "traces")
    return Source(name, rows, dict.fromkeys(names, problems), responses[0] if responses else None)
