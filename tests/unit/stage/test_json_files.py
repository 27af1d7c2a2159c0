"""JSON of others is read strictly: rows, or one sentence with the file, the line and the remedy."""

import gzip
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.stage.errors import UserError
from polaris.stage.json_files import BOM, DEPTH, LINE_LIMIT, json_lines, json_list, read_json, read_object

ROW = b'{"problem": "P", "answer": 1}\n'
ACUTE = '{"problem": "café"}'
HAN = '{"problem": "中文"}'
READERS = {"jsonl": json_lines, "json": json_list, "gz": json_lines}


def rows(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    return list(READERS[name.rpartition(".")[2]](path))


@pytest.mark.parametrize(
    ("name", "data", "lines"),
    [
        ("x.jsonl", BOM + ROW, [1]),
        ("x.jsonl", b"\n \r\n" + ROW + b"\n" + ROW.strip() + b"\r\n\n", [3, 5]),
        ("x.jsonl", b"", []),
        ("x.json", b" [" + ROW + b",\n" + ROW + b"]\n", [1, 3]),
        ("x.json", BOM + b"[]", []),
        ("x.json", ROW + ROW, [1, 2]),  # many files named .json have a row a line
        ("x.jsonl.gz", gzip.compress(ROW, mtime=0), [1]),
    ],
)
def test_rows_with_their_lines(tmp_path, name, data, lines):
    assert rows(tmp_path, name, data) == [(line, json.loads(ROW)) for line in lines]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.jsonl", ROW + ACUTE.encode("latin-1"), "line 2 is not UTF-8 (byte 0xe9); convert it"),
        ("x.jsonl", HAN.encode("gb18030"), "line 1 is not UTF-8 (byte 0xd6); convert it"),
        ("x.jsonl", HAN.encode("utf-16"), "this is UTF-16 or UTF-32; convert it"),
        ("x.jsonl", HAN.encode("utf-16-be"), "this is UTF-16 or UTF-32; convert it"),
        ("x.json", b"[" + ROW + ACUTE.encode("latin-1"), "line 2 is not UTF-8 (byte 0xe9)"),
        ("x.jsonl", rb'{"a": "\ud83d"}', r"line 1 has half of a surrogate pair (\ud83d) in a text; remove it"),
        ("x.jsonl", b'{"a": "\0"}', "line 1 has a NUL character"),
        ("x.jsonl", ROW + b"\0" * 9, "line 2 has a NUL character"),
        ("x.jsonl", rb'{"a": "\u0000"}', "line 1 has a NUL character in a text; remove it"),
        ("x.jsonl", b'{"a": %s}' % (b"7" * 5000), "line 1 has a number of thousands of digits; write it as text"),
        ("x.jsonl", b'{"a": 1e400}', "line 1 has the number 1e400, which is too large"),
        ("x.jsonl", b'{"a": -Infinity}', "line 1 has the number -Infinity, which is no JSON; write null"),
        ("x.json", b"[" + ROW + b',{"a": NaN}]', "line 2 has the number NaN, which is no JSON; write null"),
        ("x.jsonl", b'{"a": %s%s}' % (b"[" * DEPTH, b"]" * DEPTH), f"more than {DEPTH} deep; flatten them"),
        ("x.jsonl", b'{"a": %s' % (b"[" * 200_000), f"more than {DEPTH} deep; flatten them"),
        ("x.jsonl", b'{"a": "' + b"x" * LINE_LIMIT, "line 1 has more than 16 MiB"),
        ("x.jsonl", b'{"a": 1', "line 1 is not JSON (column 8: Expecting ',' delimiter)"),
        ("x.jsonl", ROW.strip() + ROW, "line 1 is not JSON: there is more after its object"),
        ("x.jsonl", b"3", "line 1 is a number, not a JSON object"),
        ("x.json", b"[" + ROW, "line 2: the list of rows is cut off here"),
        ("x.json", b"[\n1]", "line 2: this is a number in a list of rows"),
        ("x.json", b"[" + ROW + b",\n]", "line 3 is not JSON (column 1: Expecting value)"),
        ("x.json", b"[]]", "there is more after the end of the list"),
        ("x.jsonl.gz", ROW, "this is not a whole gzip file"),
        ("x.jsonl.gz", gzip.compress(ROW, mtime=0)[:-9], "this is not a whole gzip file"),
    ],
)  # fmt: skip
def test_what_is_no_row_is_said_with_its_line(tmp_path, name, data, message):
    with pytest.raises(UserError) as error:
        rows(tmp_path, name, data)
    assert str(tmp_path / name) in str(error.value) and message in str(error.value)
    assert "\n" not in str(error.value)


def test_only_files_are_read(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    (tmp_path / "x").write_text("")
    for name, message in (
        ("folder", "this is a directory: name a file in it"),
        ("pipe", "this is a pipe"),
        ("none", "there is no such file"),
        ("x/y", "there is no such file"),
    ):
        with pytest.raises(UserError, match=message):
            read_json(tmp_path / name)
    with pytest.raises(UserError, match="/dev/zero: this is a device: name a file"):
        read_json(tmp_path.joinpath("/dev/zero"))


def test_one_value_a_file(tmp_path):
    path = tmp_path / "x.json"
    for data, message in (
        (b"[]", "this is a list, and an object in braces is needed"),
        (b"{}\n\n}", "line 3: there is more after the end"),
        (b"", "line 1 is not JSON"),
    ):
        path.write_bytes(data)
        with pytest.raises(UserError, match=message):
            read_object(path)
    path.write_bytes(BOM + ROW)
    assert read_object(path) == read_json(path) == json.loads(ROW)


NEARLY = st.lists(
    st.sampled_from([ROW, b"[", b"]", b"{", b"}", b",", b"\n", b'"', b"\\ud800", b"\\", b"NaN", b"1e999", b"\xff", BOM])
).map(b"".join)


@given(st.binary() | NEARLY, st.sampled_from(sorted(READERS)))
def test_any_bytes_are_rows_or_one_sentence(tmp_path_factory, data, kind):
    try:
        read = rows(tmp_path_factory.getbasetemp(), f"x.{kind}", data)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(row, dict) and line >= 1 for line, row in read)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=9,
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), JSON)), st.booleans(), st.sampled_from([None, 1]))
@pytest.mark.slow
def test_what_was_written_is_read_back(tmp_path_factory, values, ascii_only, indent):
    path = tmp_path_factory.getbasetemp() / "values.json"
    path.write_text(json.dumps(values, ensure_ascii=ascii_only, indent=indent), encoding="utf-8")
    assert [row for _, row in json_list(path)] == values == read_json(path)
