"""Any bytes as a safetensors header or an index: tensors that fill the file, files beside it, or ValueError."""

from pathlib import Path

from polaris.models.safetensors_header import LENGTH_BYTES, header_length, parse_header, parse_index


def TestOneInput(data: bytes) -> None:
    """One input of the fuzzer."""
    _header(data)
    # Most bytes fail at the length: once more as the JSON of a header whose length is right, with data behind it.
    _header(len(data).to_bytes(LENGTH_BYTES, "little") + data + bytes(64))
    try:
        weight_map = parse_index(data.decode(errors="replace"))
    except ValueError:
        return
    assert weight_map and all(Path(file).name == file for file in weight_map.values())


def _header(file: bytes) -> None:
    try:
        length = header_length(file[:LENGTH_BYTES], len(file))
        tensors = parse_header(file[LENGTH_BYTES : LENGTH_BYTES + length], len(file))
    except ValueError:
        return
    end = LENGTH_BYTES + length
    for tensor in tensors.values():
        assert tensor.begin == end <= tensor.end, tensor
        end = tensor.end
    assert end == len(file)
