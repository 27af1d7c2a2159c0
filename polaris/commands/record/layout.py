"""What published results consist of: `results/results.json` with every number, and the files that they come from.

results/results.json                          Record: settings, scores, differences, the digest of every file
results/recipe.yaml                           every value of the run, without what is of its machine
results/problems/<benchmark>.parquet          questions with their answers, as far as their licence lets them pass
results/responses/<evaluation>/<benchmark>.parquet    ROWS
.eval_results/<benchmark>.yaml                the hub's own format (huggingface.co/docs/hub/eval-results)
"""

import re
from typing import Annotated, Any, Literal

import pyarrow as pa
import xxhash
from pydantic import AfterValidator, Field

from polaris.evaluation.settings import Published, Resampling
from polaris.grading.settings import Grading
from polaris.stage.records import GRADED, RESPONSES
from polaris.stage.settings import Section

FOLDER = "results"
RECORD, RECIPE = f"{FOLDER}/results.json", f"{FOLDER}/recipe.yaml"
HUB = ".eval_results"
NAME = re.compile(r"[A-Za-z0-9_=@-][A-Za-z0-9_=.@-]*")  # of a model, an evaluation, a benchmark

# A response with its verdict. `response`: null where it quotes a question that must not be passed on; `digest`: of the
# whole response, in any case.
ROWS = pa.schema(
    [
        *(field for field in RESPONSES if field.name not in ("set", "response")),
        pa.field("response", pa.string()),
        pa.field("digest", pa.string(), nullable=False),
        *(GRADED.field(name) for name in ("correct", "reason", "answer")),
    ]
)

# Licences under which a question may be passed on by anybody, under any terms of the whole. Others forbid it, bind what
# it is published with, or are not known.
FREE = frozenset({
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "odc-by", "odc-by-1.0",
    "pddl", "unlicense",
})  # fmt: skip


def _named(entries: dict[str, Any]) -> dict[str, Any]:
    if odd := next((name for name in entries if not NAME.fullmatch(name)), None):
        raise ValueError(f"{odd!r:.60} is no name")
    return entries


class File(Section):
    """size: bytes; xxh3: digest (128 bit)."""

    size: Annotated[int, Field(ge=0)]
    xxh3: str


class Benchmark(Section):
    """Where the questions come from; withheld: why they are not here, null where they are."""

    source: dict[str, Any]
    problems: str
    withheld: str | None


class Record(Section):
    """results.json: `scores`, `pairs` and `judgements` as results.json of a report has its `models`, `pairs` and
    `published_differences`, of these evaluations alone.

    weights: model -> digest; evaluations: <model> or <model>@<entry> -> how it was asked; graded_by, computed_by: code
    """

    format: Literal[1]
    run: str
    weights: dict[str, str]
    evaluations: Annotated[dict[str, dict[str, Any]], AfterValidator(_named), Field(min_length=1)]
    benchmarks: Annotated[dict[str, Benchmark], AfterValidator(_named), Field(min_length=1)]
    grading: Grading
    graded_by: str
    computed_by: str
    resampling: Resampling
    select_on: list[str]
    published: Published | None
    scores: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    judgements: list[dict[str, Any]]
    files: dict[str, File]


def responses_file(evaluation: str, benchmark: str) -> str:
    return f"{FOLDER}/responses/{evaluation}/{benchmark}.parquet"


def problems_file(benchmark: str) -> str:
    return f"{FOLDER}/problems/{benchmark}.parquet"


def digest(response: str) -> str:
    """Of a response's text."""
    return xxhash.xxh3_128_hexdigest(response.encode())


def withheld(source: dict[str, Any]) -> str | None:
    """Why the questions of a set must not be passed on; None where they may. source: the recipe's section of it"""
    if "family" in source:
        return None  # made here
    licence = source.get("licence")
    if licence is None:
        return "no licence is known"
    return None if licence.lower() in FREE else f"licence {licence}"
