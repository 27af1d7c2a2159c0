"""Rows of a data file that others made, whatever its format: one reader, row by row, in bounded memory."""

import csv
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from polaris.stage.errors import UserError
from polaris.stage.json_files import LINE_LIMIT, decoded_lines, json_lines, json_list, open_file
from polaris.stage.parquet_rows import parquet_rows

PACKED = ".gz"
Row = tuple[str, dict[str, Any]]  # `file: line 3` or `file: row 3`, for errors; column -> value


def data_rows(path: Path, columns: Collection[str]) -> Iterator[Row]:
    """Rows of a .parquet, .jsonl, .json or .csv file, the last three also as .gz, each with its place.

    columns: the names, in small letters, that a parquet file's values are needed of
    Raises UserError naming file, line or row, and what to do, for whatever is no such file.
    """
    suffix = path.with_suffix("").suffix if path.suffix == PACKED else path.suffix
    if suffix == ".parquet" and path.suffix != PACKED:
        return _placed(path, "row", parquet_rows(path, columns))
    if suffix == ".jsonl":
        return _placed(path, "line", json_lines(path))
    if suffix == ".json":
        return _placed(path, "line", json_list(path))
    if suffix == ".csv":
        return _placed(path, "line", csv_rows(path))
    raise UserError(f"{path}: rows are read from .parquet, .jsonl, .json or .csv files; convert it to one of them")


def csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    """(line, row) of a comma-separated file with a head; every value is text, an empty one None.

    Raises UserError naming the line.
    """
    csv.field_size_limit(LINE_LIMIT)
    with open_file(path) as file:
        reader = csv.reader((text for _, text in decoded_lines(file, path, "line")), strict=True)
        try:
            head = next(reader, [])
            if len(set(head)) < len(head):
                names = ", ".join(map(repr, head))  # of which any may hold a line's end
                raise UserError(f"{path}: line 1 names a column twice: {names:.200}; rename one of them")
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(head):
                    raise UserError(
                        f"{path}: line {reader.line_num} has {len(cells)} values for {len(head)} columns; put values "
                        "with commas in double quotes"
                    )
                yield reader.line_num, {name: cell or None for name, cell in zip(head, cells, strict=True)}
        except csv.Error as error:
            raise UserError(f"{path}: line {reader.line_num} is not CSV ({error}); correct it") from None


def _placed(path: Path, unit: str, rows: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[Row]:
    return ((f"{path}: {unit} {number}", row) for number, row in rows)
