"""What a safetensors header and an index may say, and what is refused."""

import json

import pytest

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
        (header_of(a=entry(0, 4, shape=(-2,))), "negative"),
        (header_of(a=entry(0, 4, dtype="X9")), "unknown dtype 'X9'"),
        (header_of(a={"dtype": "BF16"}), "lacks"),
        (header_of(a=[1]), "lacks"),
        (b'{"a": 1, "a": 2}', "a occurs twice"),
        (b"[1]", "not a JSON object"),
        (b"\xff{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_header_that_lies_is_refused(header, message):
    with pytest.raises(ValueError, match=message):
        parse_header(header, 8 + len(header) + 10)


def test_absurd_header_length_is_refused():
    with pytest.raises(ValueError, match="no safetensors file"):
        header_length(b"\xff" * 8, 2**70)


@pytest.mark.parametrize("file", ["../other.safetensors", "/etc/x.safetensors", "config.json", 3])
def test_index_cannot_lead_elsewhere(file):
    with pytest.raises(ValueError, match="weight_map: w"):
        parse_index(json.dumps({"weight_map": {"w": file}}).encode())
