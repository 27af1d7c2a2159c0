"""Tables between stages: what is none is said, whatever it is."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polaris.stage.errors import UserError
from polaris.stage.records import ACCURACY, read_rows, write_rows

ROW = {"step": 1, "problem_id": "a", "accuracy": 0.5}


def test_a_table_is_read_back(tmp_path):
    write_rows(tmp_path / "x.parquet", [ROW], ACCURACY)
    assert read_rows(tmp_path / "x.parquet", ACCURACY) == [ROW]


def other_columns(path):
    pq.write_table(pa.table({"step": [1]}), path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "this is a directory"),  # whose tables were read, whatever they were
        (lambda path: path.write_bytes(b"PAR1"), "this is not a readable parquet file"),
        (other_columns, "columns missing: accuracy, problem_id"),
    ],
)
def test_what_is_no_such_table_is_said(tmp_path, damage, message):
    write_rows(tmp_path / "other.parquet", [ROW], ACCURACY)
    damage(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=f"x.parquet: {message}"):
        read_rows(tmp_path / "x.parquet", ACCURACY)
