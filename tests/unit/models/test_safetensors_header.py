"""What a safetensors header and an index may say, and what is refused."""

import json
from pathlib import Path

import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st

from polaris.models.safetensors_header import header_length, parse_header, parse_index


def header_of(**tensors):
    return json.dumps({"__metadata__": {"format": "pt"}} | tensors).encode()


def entry(begin, end, dtype="BF16", shape=(2,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_header_gives_the_tensors_in_the_order_of_the_data():
    header = header_of(b=entry(4, 8), a=entry(0, 4), empty=entry(4, 4, shape=(0, 7)), scalar=entry(8, 10, shape=()))
    tensors = parse_header(header, 8 + len(header) + 10)
    assert list(tensors) == ["a", "empty", "b", "scalar"]
    assert tensors["b"].begin == 8 + len(header) + 4


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (header_of(a=entry(0, 4), b=entry(6, 10)), "b begins at byte"),  # a hole
        (header_of(a=entry(0, 4), b=entry(2, 6)), "b begins at byte"),  # an overlap
        (header_of(a=entry(0, 6)), "should have 4 bytes"),
        (header_of(a=entry(0, 4, shape=(-2,))), "a has -2 in its shape"),
        (header_of(a=entry(0, 4, dtype="X9")), "unknown dtype 'X9'"),
        (header_of(a={"dtype": "BF16"}), "lacks"),
        (header_of(a=[1]), "lacks"),
        (b'{"a": 1, "a": 2}', "a occurs twice"),
        (b"[1]", "not a JSON object"),
        (b"\xff{}", "not a JSON object"),
        (b"{\xff}", "not JSON in UTF-8"),
        ('{"a": {}}'.encode("utf-16-le"), "not JSON"),
        (b'{"a": ' + b"[" * 100_000, "not JSON"),
        (b" " + header_of(), "not a JSON object"),
        (b'{"__metadata__": {"format": 1}}', "__metadata__ holds something that is not text"),
        (header_of(a=entry(4, 0)), "a .BF16 .2.. should have 4 bytes, not -4"),
        (header_of(a=entry(-4, 0)), "a has -4 in its shape or data_offsets"),
        (header_of(a=entry(0, 4.0)), "a has 4.0 in its shape or data_offsets"),
        (header_of(a=entry(False, 4)), "a has False in its shape"),
        (header_of(a=entry(0, 2**64)), "a has 18446744073709551616 in its shape"),
        (header_of(a=entry(0, 4) | {"shape": {"2": 2}}), "a has the shape {'2': 2}, which is none"),
        (header_of(a=entry(0, 4) | {"shape": [1] * 65}), "which is none"),
        (header_of(a=entry(0, 4) | {"shape": [[[[2]]]]}), "in its shape or data_offsets"),
        (header_of(a=entry(0, 4) | {"dtype": ["BF16"]}), "unknown dtype"),
        (header_of(**{"a\x1b[2J": entry(0, 6)}), r"'a\\x1b\[2J' .BF16"),
        (header_of(a=entry(0, 4)), "accounts for"),
        (header_of(a=entry(0, 12, shape=(6,))), "was cut off"),
    ],
)
def test_header_that_lies_is_refused(header, message):
    with pytest.raises(ValueError, match=message):
        parse_header(header, 8 + len(header) + 10)


def test_many_keys_with_one_twice_are_refused_at_once():
    members = ",".join(f'"{number}":0' for number in range(200_000))
    with pytest.raises(ValueError, match="199999 occurs twice"):
        parse_header(f'{{{members},"199999":0}}'.encode(), 10**9)


NUMBERS = st.integers(-8, 24) | st.floats() | st.just(2**70)
ENTRIES = st.fixed_dictionaries(
    {"dtype": st.sampled_from(["F32", "BF16", "U8", "F4", "", 3]), "shape": st.lists(NUMBERS, max_size=3)},
    optional={"data_offsets": st.lists(NUMBERS, max_size=3)},
)
HEADERS = st.binary() | st.dictionaries(st.text(max_size=3), ENTRIES | st.none(), max_size=4).map(
    lambda value: json.dumps(value).encode()
)


@given(header=HEADERS, data=st.integers(0, 64))
def test_any_bytes_are_a_header_that_fills_its_file_or_refused(header, data):
    try:
        tensors = parse_header(header, 8 + len(header) + data)
    except ValueError:
        return
    edges = [8 + len(header), *(tensor.end for tensor in tensors.values())]
    assert [tensor.begin for tensor in tensors.values()] == edges[:-1] and edges[-1] == 8 + len(header) + data
    assert safetensors.deserialize(len(header).to_bytes(8, "little") + header + bytes(data)) is not None


@given(text=st.text() | st.dictionaries(st.just("weight_map"), st.dictionaries(st.text(), st.text())).map(json.dumps))
def test_any_text_is_an_index_of_files_beside_it_or_refused(text):
    try:
        weight_map = parse_index(text)
    except ValueError:
        return
    assert weight_map and all(Path(file).name == file for file in weight_map.values())


def test_absurd_header_length_is_refused():
    with pytest.raises(ValueError, match="no safetensors file"):
        header_length(b"\xff" * 8, 2**70)


@pytest.mark.parametrize(
    "file",
    ["../other.safetensors", "/etc/x.safetensors", "sub/x.safetensors", "config.json", "a\x00.safetensors", 3, None],
)
def test_index_cannot_lead_elsewhere(file):
    with pytest.raises(ValueError, match="weight_map: w"):
        parse_index(json.dumps({"weight_map": {"w": file}}))


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"weight_map": []}', '{"weight_map": [["a", "b"]]}', '{"weight_map": {}}']
)
def test_index_without_a_map_is_refused(text):
    with pytest.raises(ValueError, match="not a JSON object|weight_map is no object"):
        parse_index(text)
