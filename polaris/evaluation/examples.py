"""Responses to read beside the scores: of every model and benchmark, one for each of the most common verdicts."""

import collections
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from polaris.evaluation.lineage import input_paths
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from polaris.stage.records import GRADED, read_problems, read_rows

VERDICTS = 3  # of a model on a benchmark
HEAD, TAIL = 800, 600  # characters of a text that are shown


def example_rows(scores: Sequence[Manifest], names: Sequence[str]) -> list[dict[str, Any]]:
    """`examples` of results.json: {name, benchmark, reason, count, of, correct, problem_id, sample, problem, golds,
    answer, tokens, response}.

    count: responses with this reason, of all to the benchmark. A model whose responses were cleared away, or generated
    again since, has none.
    """
    by_name = {one.stage: one for one in scores}
    return [row for name in names if name in by_name for row in _of_model(name, by_name[name])]


def _of_model(name: str, scores: Manifest) -> list[dict[str, Any]]:
    try:
        (path,) = input_paths(scores, ["responses"])
        responses = manifest.read(path)
        problems = {one.stage: one for one in map(manifest.read, input_paths(scores, ["problems"]))}
    except (UserError, ValueError):
        return []
    if responses.content != scores.inputs["responses"]["content"] or "responses.parquet" not in responses.files:
        return []
    graded = read_rows(scores.file("graded.parquet"), GRADED)
    chosen = list(_chosen(graded))
    texts = _texts(responses.file("responses.parquet"), {place for place, _, _ in chosen})
    golds = {set_name: read_problems(one.file("problems.parquet")) for set_name, one in problems.items()}
    rows = []
    for place, count, of in chosen:
        verdict = graded[place]
        problem = golds[verdict["set"]][verdict["problem_id"]]
        row = {"name": name, "benchmark": verdict["set"], "reason": verdict["reason"], "count": count, "of": of}
        row |= {key: verdict[key] for key in ("correct", "problem_id", "sample", "answer", "tokens")}
        row |= {"problem": clipped(problem["problem"]), "golds": problem["answers"], "response": clipped(texts[place])}
        rows.append(row)
    return rows


def _chosen(graded: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int, int]]:
    """(place of a response, responses with its reason, all to its benchmark): the first of each common reason."""
    places: dict[str, dict[str, list[int]]] = {}
    for place, row in enumerate(graded):
        places.setdefault(row["set"], {}).setdefault(row["reason"], []).append(place)
    for by_reason in places.values():
        counts = collections.Counter({reason: len(mine) for reason, mine in by_reason.items()})
        for reason, count in counts.most_common(VERDICTS):
            yield by_reason[reason][0], count, counts.total()


def _texts(path: Path, places: set[int]) -> dict[int, str]:
    """Place -> response; reads them in parts, as all of a large run take gigabytes."""
    texts, start = {}, 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1000, columns=["response"]):
            column = batch.column("response")
            texts |= {place: column[place - start].as_py() for place in places if start <= place < start + len(column)}
            start += len(column)
    return texts


def clipped(text: str) -> str:
    """The text's beginning and end; what is left out between them is counted."""
    left_out = len(text) - HEAD - TAIL
    return text if left_out <= 0 else f"{text[:HEAD]}\n[... {left_out:,} characters ...]\n{text[-TAIL:]}"
