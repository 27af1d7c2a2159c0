"""Tables of others: rows with their places, in bounded memory, or one sentence."""

import decimal
import json
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polaris.stage import parquet_rows
from polaris.stage.code import ROOT
from polaris.stage.data_files import data_rows
from polaris.stage.errors import UserError

COLUMNS = ("problem", "answer")
GIB = 1 << 30


def parquet(path: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def read(path):
    return [row for _, row in data_rows(path, COLUMNS)]


def test_parquet_rows_have_the_columns_that_are_read(tmp_path):
    path = parquet(tmp_path / "x.parquet", Problem=["P", "Q"], answer=["1", None], other=[b"1", b"2"])
    assert list(data_rows(path, COLUMNS)) == [
        (f"{path}: row 1", {"Problem": "P", "answer": "1", "other": None}),
        (f"{path}: row 2", {"Problem": "Q", "answer": None, "other": None}),
    ]


@pytest.mark.parametrize(
    ("values", "read_as"),
    [
        (pa.array([0.1, None, float("nan")], pa.float32()), [0.1, None, None]),
        (pa.array([142.0, float("nan")]), [142.0, None]),
        (pa.array([decimal.Decimal("5.00")]), ["5.00"]),
        (pa.array(["x"]).dictionary_encode(), ["x"]),
        (pa.array(["x"], pa.large_string()), ["x"]),
        (pa.array([[0.5, None]], pa.list_(pa.float32())), [[0.5, None]]),
        (pa.array([{"value": "5", "more": [1]}]), [{"value": "5", "more": [1]}]),
        (pa.array([True, None]), [True, None]),
        (pa.array([2**63], pa.uint64()), [2**63]),
    ],
)
def test_parquet_values_as_json_has_them(tmp_path, values, read_as):
    path = parquet(tmp_path / "x.parquet", problem=["P"] * len(values), answer=values)
    assert [row["answer"] for row in read(path)] == read_as


BROKEN_TEXT = pa.StringArray.from_buffers(
    1, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe")
)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([b"5"]), "column answer is of type binary; write it as text"),
        (pa.array([[b"5"]]), "column answer is of type list<"),
        (pa.array([3], pa.timestamp("ns")), "column answer is of type timestamp"),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "column answer is of type map<"),
        (pa.array([float("inf")]), "row 1 has the number Infinity"),
        (pa.array(["a\0b"]), "row 1 has a NUL character in a text"),
        (BROKEN_TEXT, "row 1 has a text that is not UTF-8"),
    ],
)
def test_parquet_values_that_no_row_may_have(tmp_path, values, message):
    path = parquet(tmp_path / "x.parquet", problem=["P"], answer=values)
    with pytest.raises(UserError) as error:
        read(path)
    assert f"{path}: {message}" in str(error.value)


def bomb(path: Path, mib: int, rows: int) -> Path:
    """A file of a few thousand bytes: so many rows of the same text of `mib` MiB, written once."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * (mib << 20)]))
    pq.write_table(
        pa.table({"problem": text, "answer": ["1"] * rows}), path,
        compression="zstd", store_schema=False, dictionary_pagesize_limit=GIB,
    )  # fmt: skip
    assert path.stat().st_size < 20_000
    return path


def test_a_bomb_is_read_a_few_rows_at_a_time(tmp_path):
    """Twenty GiB out of a few kilobytes: the first rows come at once, within the memory of a small machine."""
    path = bomb(tmp_path / "bomb.parquet", mib=1, rows=20 << 10)
    script = (
        "import itertools, sys; from pathlib import Path; from polaris.stage.data_files import data_rows\n"
        "rows = data_rows(Path(sys.argv[1]), ('problem', 'answer'))\n"
        "print(sum(len(row['problem']) for _, row in itertools.islice(rows, 3)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        check=False, capture_output=True, text=True, cwd=ROOT, timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 * GIB, 4 * GIB)),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{3 << 20}\n"), done.stderr


def test_a_row_too_large_is_said(tmp_path):
    path = parquet(tmp_path / "x.parquet", problem=["x" * (17 << 20)], answer=["1"])
    with pytest.raises(UserError, match="row 1 has more than 16 MiB"):
        read(path)


@pytest.mark.slow
def test_rows_that_need_too_much_memory_are_said(tmp_path):
    path = bomb(tmp_path / "bomb.parquet", mib=64, rows=64)
    with pytest.raises(UserError, match="need more than 2 GiB of memory; is it the file that is meant"):
        read(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98])
def test_a_parquet_file_with_other_bytes_is_rows_or_one_sentence(tmp_path, share):
    path = parquet(tmp_path / "x.parquet", problem=["P", "Q"] * 50, answer=["1", "2"] * 50)
    data = bytearray(path.read_bytes())
    for place in range(int(share * len(data)), min(len(data), int(share * len(data)) + 8)):
        data[place] ^= 0xFF
    path.write_bytes(data)
    try:
        json.dumps(read(path))
    except UserError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.parquet", b"PAR1", "this is not a readable parquet file"),
        ("x.parquet", b"", "this is not a readable parquet file"),
        ("x.csv", b"problem,answer\nP\n", "line 2 has 1 values for 2 columns"),
        ("x.csv", b"problem,problem\n", "line 1 names a column twice"),
        ("x.csv", b'problem,answer\n"P,1\n', "line 2 is not CSV (unexpected end of data)"),
        ("x.csv", b"problem,answer\n\xe9,1\n", "line 2 is not UTF-8"),
        ("x.csv", b"problem,answer\n\0,1\n", "line 2 has a NUL character"),
        ("x.xlsx", b"", "rows are read from .parquet, .jsonl, .json or .csv files; convert it"),
        ("x.parquet.gz", b"", "rows are read from .parquet, .jsonl, .json or .csv files; convert it"),
    ],
)
def test_what_is_no_table_is_said(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as error:
        read(tmp_path / name)
    assert f"{tmp_path / name}: {message}" in str(error.value)


def test_csv_values_are_text(tmp_path):
    (tmp_path / "x.csv").write_bytes(b'\xef\xbb\xbfproblem,answer\r\n"1, 2\nand 3",025\r\n\r\nQ,\r\n')
    assert list(data_rows(tmp_path / "x.csv", COLUMNS)) == [
        (f"{tmp_path}/x.csv: line 3", {"problem": "1, 2\nand 3", "answer": "025"}),
        (f"{tmp_path}/x.csv: line 5", {"problem": "Q", "answer": None}),
    ]


def test_the_process_that_waits_reads_one_file_after_the_other(tmp_path, monkeypatch):
    """Two at a time, one that is left in the middle, and one that is no table."""
    monkeypatch.setattr(parquet_rows, "_waiting", [])
    one, other = (parquet(tmp_path / f"{name}.parquet", problem=[name] * 300) for name in "ab")
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    both = zip(read_each(one), read_each(other), strict=True)
    assert list(both) == [("a", "b")] * 300
    waiting = {child.pid for _, child in parquet_rows._waiting}
    assert len(waiting) == 2
    with pytest.raises(UserError, match="not a readable parquet file"):
        read(tmp_path / "c.parquet")
    assert [*read_each(one)] == ["a"] * 300 and {child.pid for _, child in parquet_rows._waiting} == waiting
    left = read_each(other)
    assert next(left) == "b"
    left.close()
    assert len(parquet_rows._waiting) == 1 and [*read_each(other)] == ["b"] * 300


def read_each(path):
    return (row["problem"] for _, row in data_rows(path, COLUMNS))


def test_a_crash_of_the_library_is_said(tmp_path, monkeypatch):
    path = parquet(tmp_path / "x.parquet", problem=["P"], answer=["1"])
    monkeypatch.setattr(parquet_rows.sys, "executable", "/bin/false")
    monkeypatch.setattr(parquet_rows, "_waiting", [])
    with pytest.raises(UserError, match="reading it as parquet ended in a crash"):
        read(path)


@given(st.binary(max_size=200) | st.text(st.sampled_from('a,"\n\r\0'), max_size=50).map(str.encode))
@example(b',"\n",')  # a column named by a line's end, and two by nothing
def test_any_bytes_of_csv_are_rows_or_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    try:
        json.dumps(read(path))
    except UserError as error:
        assert "\n" not in str(error)
