"""Where problems come from, and which of them stay."""

import contextlib
import datetime
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Tag, model_validator

from polaris.grading.settings import Grading
from polaris.problems.english.questions import QUESTIONS
from polaris.problems.english.words import STEPS
from polaris.problems.problem_layouts import Gold, Role
from polaris.problems.suitability import Rule
from polaris.stage.settings import Count, Fraction, Section, Seed, kind

UNPINNED = "unpinned"
Revision = Annotated[str, Field(pattern=r"^(unpinned|[0-9a-f]{40})$", description="commit, set by `polaris pin`")]


def _as_text(value: Any) -> Any:
    """YAML reads 2025 as a number and 2025-02-14 as a date."""
    return str(value) if isinstance(value, int | datetime.date) and not isinstance(value, bool) else value


def _a_date(text: str) -> str:
    """Raises ValueError for what is no day, month or year."""
    with contextlib.suppress(ValueError):
        if re.fullmatch(r"[0-9]{4}(-[0-9]{2}){0,2}", text):
            datetime.date.fromisoformat(text + "-01-01"[len(text) - 4 :])
            return text
    raise ValueError(f"{text!r:.40} is no date; write 2025, 2025-02 or 2025-02-14")


Date = Annotated[str, BeforeValidator(_as_text), AfterValidator(_a_date)]


class MadeProblems(Section):
    """Problems of a laptop family, made here with worked solutions."""

    family: Literal["chain", "digits", "words", "questions"]
    pool: Annotated[
        Literal["train", "benchmark"],
        Field(description="disjoint; benchmarks, and nothing else, draw from `benchmark`"),
    ]
    count: Count
    depth: Annotated[tuple[Count, Count], Field(description="steps of a solution, lowest and highest")]
    error_rate: Annotated[Fraction, Field(description="chance that a step of the worked solution goes wrong")]
    seed: Seed

    @model_validator(mode="after")
    def _asked_only(self) -> "MadeProblems":
        if self.family == "questions" and (self.pool != "benchmark" or self.count > len(QUESTIONS)):
            raise ValueError(f"questions are for pool: benchmark, and there are {len(QUESTIONS)} of them")
        return self

    @model_validator(mode="after")
    def _there_are_stories(self) -> "MadeProblems":
        if self.family == "words" and not STEPS[0] <= self.depth[0] <= self.depth[1] <= STEPS[1]:
            raise ValueError(f"depth must lie within {list(STEPS)} for words, not {list(self.depth)}")
        return self


class ReadProblems(Section):
    """What is known of a set that others made."""

    gold: Gold
    count: Annotated[
        Count | None, Field(description="problems of the whole set; another number is an error; null: any")
    ]
    date: Annotated[Date | None, Field(description="of its publication: later models may have seen it; null: unknown")]
    max_rows: Annotated[int | None, Field(ge=1, description="take the first so many; null: all")]
    licence: Annotated[str | None, Field(description="as the set's card says; null: not known")]
    columns: Annotated[
        dict[Role, str] | None,
        Field(min_length=1, description="where a set has other names for them: what we read -> its column"),
    ]


class FileProblems(ReadProblems):
    """Problems from a local .parquet, .jsonl, .json or .csv file in a known layout (problem_layouts.py)."""

    file: Path


class HubProblems(ReadProblems):
    """Problems from a Hugging Face dataset at a pinned revision."""

    hub: str
    revision: Revision
    config: str | None
    split: str
    files: Annotated[
        list[str] | None,
        Field(min_length=1, description="read these, whatever config and split are; null: as README.md says"),
    ]


Problems = Annotated[
    Annotated[MadeProblems, Tag("<family>")]
    | Annotated[FileProblems, Tag("<file>")]
    | Annotated[HubProblems, Tag("<hub>")],
    kind("family", "file", "hub"),
]


class Clean(Section):
    """Which problems of a training set stay (polaris.problems.clean_problems; docs/data.md)."""

    unsuitable: Annotated[list[Rule], Field(description="leave these out; empty for prompts that nobody grades")]
    max_characters: Annotated[Count, Field(description="of a problem's text")]
    duplicate_ngram: Annotated[Count, Field(description="words and operators whose runs are compared within the set")]
    duplicate_share: Annotated[
        float, Field(gt=0, le=1, description="Jaccard of their runs that makes two problems one")
    ]
    leak_ngram: Annotated[Count, Field(description="words in a row that no training and benchmark problem may share")]
    leak_template: Annotated[int, Field(ge=2, description="a run in so many training problems is a template, no leak")]
    grading: Annotated[Grading, Field(description="for the rule unparseable_gold")]
