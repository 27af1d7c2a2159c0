"""Problems from a local file or from a Hugging Face data set at a pinned revision: `problems.parquet`.

Only data files are ever fetched or read; a data set's own code is neither downloaded nor executed.
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Discriminator, RootModel, Tag

from polaris.problems.hub import snapshot
from polaris.problems.problem_layouts import read_layout
from polaris.problems.settings import FileProblems, HubProblems
from polaris.stage.errors import UserError
from polaris.stage.records import PROBLEMS, write_rows
from polaris.stage.settings import Section
from polaris.stage.stage import Stage, run_verb

# README.md holds which files belong to which configuration and split.
DATA_FILES = ("*.parquet", "*.jsonl", "*.json", "*.csv", "*.jsonl.gz", "*.json.gz", "README.md")


def _place(values: Any) -> str:
    named = values if isinstance(values, dict) else vars(values) if isinstance(values, Section) else {}
    return "hub" if "hub" in named else "file"


class Source(
    RootModel[
        Annotated[Annotated[HubProblems, Tag("hub")] | Annotated[FileProblems, Tag("file")], Discriminator(_place)]
    ]
):
    """Either section; the key `hub` tells which."""


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a jsonl file. Raises UserError naming the line that is not a JSON object."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{path}: line {number} is not JSON ({error})") from None
            if not isinstance(row, dict):
                raise UserError(f"{path}: line {number} is not a JSON object")
            yield row


def file_rows(path: Path) -> Iterable[dict[str, Any]]:
    """Rows of a parquet, jsonl or json file. Raises UserError when it is none of them, or cut off."""
    if not path.is_file():
        raise UserError(f"file: {path}: there is no such file")
    if path.suffix == ".jsonl":
        return json_lines(path)
    if path.suffix == ".json":
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: this is not a readable JSON file ({error})") from None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UserError(f"{path}: this is not a list of JSON objects")
        return rows
    if path.suffix == ".parquet":
        try:
            return pq.read_table(path).to_pylist()
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{path}: this is not a readable parquet file ({error})") from None
    raise UserError(f"file: {path}: problems are read from .parquet, .jsonl or .json files")


def hub_rows(settings: HubProblems, cache: Path) -> Iterable[dict[str, Any]]:
    """Rows of one split of a data set. Raises UserError when it is unpinned, out of reach or has no such split."""
    folder = snapshot(settings.hub, settings.revision, "dataset", settings.files or DATA_FILES)
    import datasets

    try:
        return datasets.load_dataset(
            str(folder),
            name=settings.config,
            data_files=settings.files,
            split=settings.split,
            cache_dir=str(cache),
            keep_in_memory=True,
        )
    except (ValueError, FileNotFoundError, datasets.exceptions.DatasetsError) as error:
        raise UserError(
            f"{settings.hub}: config {settings.config}, split {settings.split} cannot be read at revision "
            f"{settings.revision} ({str(error).splitlines()[0]})"
        ) from None


def main() -> None:
    with Stage.from_command_line("polaris.problems.fetch_problems", Source) as stage:
        settings = stage.settings.root
        if isinstance(settings, HubProblems):
            rows, where = hub_rows(settings, stage.state / "datasets"), settings.hub
        else:
            rows, where = file_rows(settings.file), str(settings.file)
        problems = read_layout(itertools.islice(rows, settings.max_rows), stage.name, where, settings.gold)
        expected = settings.count and min(settings.count, settings.max_rows or settings.count)
        if expected not in (None, len(problems)):
            raise UserError(
                f"{where}: {len(problems)} problems are read, {expected} were expected (count: {settings.count}); is "
                "this the set that is meant, in the right version? Otherwise correct inputs' `count`"
            )
        write_rows(stage.partial / "problems.parquet", problems, PROBLEMS)
        stage.publish(metrics={"problems": len(problems)})


if __name__ == "__main__":
    run_verb(main)
