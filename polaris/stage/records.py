"""The tables that flow between stages: parquet files with these columns and no others.

Legend used everywhere: _P problem, _G response of a problem's group, _S step (intermediate result), _T token.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polaris.stage.errors import UserError
from polaris.stage.json_files import open_file

# problems.parquet: one row per problem. `answers`: accepted final answers; any of them counts,
# and prompts that nobody grades have none.
# `solution`: a worked solution where the source has one, else null.
PROBLEMS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("problem", pa.string(), nullable=False),
        pa.field("answers", pa.list_(pa.string()), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("solution", pa.string()),
    ]
)

# responses.parquet: one row per response. `set`: name of the problem set; `sample`: 0..k-1 within the problem;
# `tokens`: generated tokens; `finish_reason`: "stop" (ended by itself) or "length" (cut at max_tokens).
RESPONSES = pa.schema(
    [
        pa.field("set", pa.string(), nullable=False),
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("response", pa.string(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("finish_reason", pa.string(), nullable=False),
    ]
)

# graded.parquet: a response's verdict, in the order of responses.parquet. `reason`: see polaris.grading.answers.
GRADED = pa.schema(
    [
        pa.field("set", pa.string(), nullable=False),
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("finish_reason", pa.string(), nullable=False),
        pa.field("correct", pa.bool_(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("answer", pa.string()),
    ]
)

# log/traces.parquet of the generalist's data: what became of each trace, in the order of responses.parquet.
# `reason`: why it is not taught, null where it is.
TRACES_FILE = "traces.parquet"  # in log/
TRACES = pa.schema(
    [
        pa.field("set", pa.string(), nullable=False),
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("reason", pa.string()),
    ]
)

# diversity.parquet, beside graded.parquet: distinct 4-grams of words / 4-grams of all responses to a problem together
# (polaris/grading/diversity.py), null where none has four words.
DIVERSITY = pa.schema(
    [
        pa.field("set", pa.string(), nullable=False),
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("distinct", pa.float64()),
    ]
)

# messages.parquet: supervised examples as chat messages, the last one the assistant's (format SFT).
MESSAGES = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])), nullable=False),
    ]
)

# consensus.parquet: the consensus sets of CORE, one row per problem and step. `count`: correct responses that had it.
CONSENSUS = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("step", pa.string(), nullable=False),
        pa.field("count", pa.int32(), nullable=False),
    ]
)

# difficulty.parquet: one row per problem, dropped ones too. `correct` of `k` responses are right.
DIFFICULTY = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("correct", pa.int32(), nullable=False),
        pa.field("k", pa.int32(), nullable=False),
    ]
)

# accuracy.parquet: what an RL stage saw of its problems, in the order of its steps. `accuracy`: share of right rollouts
# in the problem's group, by the outcome alone and before any of them was replaced.
ACCURACY = pa.schema(
    [
        pa.field("step", pa.int32(), nullable=False),
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("accuracy", pa.float64(), nullable=False),
    ]
)

# sink.parquet, in an RL stage's checkpoints: the newest correct response to each problem, with the step that
# sampled it and the step of the weights that did.
RESCUE_BUFFER = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("step", pa.int32(), nullable=False),
        pa.field("weights", pa.int32(), nullable=False),
        pa.field("tokens", pa.list_(pa.int32()), nullable=False),
    ]
)

# tokens.parquet: supervised examples as tokens of the student's chat template (generalist SFT).
# Tokens [0, prompt_tokens) carry no loss, the others do.
TOKENS = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("input_ids", pa.list_(pa.int32()), nullable=False),
        pa.field("prompt_tokens", pa.int32(), nullable=False),
    ]
)


def write_rows(path: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows as one parquet file. A missing or extra column is an error of ours."""
    rows = list(rows)
    wrong = next((row for row in rows if set(row) != set(schema.names)), None)
    assert wrong is None, f"{path.name}: columns {sorted(wrong)}, expected {sorted(schema.names)}"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """A table with the schema's columns. Raises UserError when it is not such a table, or cut off."""
    open_file(path).close()
    try:
        with pq.ParquetFile(path) as file:
            if missing := set(schema.names) - set(file.schema_arrow.names):
                raise UserError(f"{path}: columns missing: {', '.join(sorted(missing))}")
            return file.read(schema.names).select(schema.names)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: this is not a readable parquet file ({reason:.200})") from None


def read_rows(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    """Rows of a table. Raises UserError as `read_table`."""
    return read_table(path, schema).to_pylist()


def read_problems(path: Path) -> dict[str, dict[str, Any]]:
    """Problems by id, in file order. Raises UserError for an empty set and for a repeated id.

    A problem may lack answers (V2's distillation prompts have none): only grading it is an error
    (polaris/grading/grade.py).
    """
    rows = read_rows(path, PROBLEMS)
    if not rows:
        raise UserError(f"{path}: there is no problem in it")
    problems = {row["id"]: row for row in rows}
    if len(problems) < len(rows):
        twice = next(row["id"] for place, row in enumerate(rows) if problems[row["id"]] is not rows[place])
        raise UserError(f"{path}: {len(rows) - len(problems)} problem ids occur more than once, the first is {twice}")
    return problems
