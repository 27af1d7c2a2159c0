"""Any bytes as a file of problems: rows of problems.parquet or one sentence, and never another exception.

The first byte chooses the file's kind. Parquet is left out: its reader is a child process, whose crash is a sentence.
"""

import tempfile
from pathlib import Path

import pyarrow as pa

from polaris.problems.problem_layouts import COLUMNS, read_layout
from polaris.problems.suitability import unsuitable
from polaris.stage.data_files import data_rows
from polaris.stage.errors import UserError
from polaris.stage.records import PROBLEMS

KINDS = ("x.jsonl", "x.json", "x.csv", "x.jsonl.gz")
GOLDS = ("every", "some", "none")
RULES = ("no_gold", "prose_gold", "proof", "multiple_choice", "multi_part")
FOLDER = tempfile.TemporaryDirectory()


def TestOneInput(data: bytes) -> None:
    """One input of the fuzzer."""
    choice, content = data[0] if data else 0, data[1:]
    path = Path(FOLDER.name, KINDS[choice % len(KINDS)])
    path.write_bytes(content)
    try:
        problems = read_layout(data_rows(path, COLUMNS), "fuzz", str(path), GOLDS[choice // len(KINDS) % len(GOLDS)])
    except UserError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error), str(error)
        return
    pa.Table.from_pylist(problems, schema=PROBLEMS)
    for problem in problems:
        unsuitable(problem["problem"], problem["answers"], RULES, 3000)
