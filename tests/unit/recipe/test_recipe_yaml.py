"""One recipe file: what is no recipe is refused within a second, in one sentence that names the file."""

import time

import pytest

from polaris.recipe.recipe_yaml import read_file
from polaris.stage.errors import UserError


def bomb(open_: str, close: str, key: str = "") -> str:
    """Nine levels of nine aliases: 90 lines' worth of text, 400 million values."""
    lines = [f"a0: &a0 {open_}{', '.join(f'{key and key + str(j) + chr(58)} 1' for j in range(9))}{close}"]
    for level in range(1, 9):
        items = ", ".join(f"{key and key + str(j) + chr(58)} *a{level - 1}" for j in range(9))
        lines.append(f"a{level}: &a{level} {open_}{items}{close}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb("[", "]"), "mine.yaml: line 5: its aliases stand for 66430 values; a recipe has at most 50000"),
        (bomb("{", "}", "k"), r"mine.yaml: line \d: its aliases stand for \d+ values"),
        ("a: " + "[" * 20_000 + "]" * 20_000, "mine.yaml: line 1: more than 50 levels stand inside each other"),
        ("\n".join(" " * n + "a:" for n in range(60)), "mine.yaml: line 50: more than 50 levels"),
        (
            "a0: &a0 []\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60)),
            "line 51: .* levels .* by aliases",
        ),
        ("run: x\nsmall_rl: &a\n  rl: [*a]", "mine.yaml: line 2: this part holds an alias of itself"),
        ("# " + "x" * 1_000_001, "mine.yaml: 1000003 characters are no recipe"),
        ("# a comment only\n", "mine.yaml: this file holds no key; leave it out, or write {} for an overlay of noth"),
        ("", "mine.yaml: this file holds no key"),
        ("? [a, b]\n: 1", "mine.yaml: line 1: a key must be a word"),
        ("run: 2026-13-01", "mine.yaml: a value cannot be read .month must be in 1..12"),
        ("run: " + "7" * 5000, "mine.yaml: a value cannot be read .Exceeds the limit"),
        ("run: !!python/object/apply:os.getcwd []", "mine.yaml: could not determine a constructor"),
        ("run: a\0b", "mine.yaml: .*unacceptable character"),
        ("run: a\n---\nrun: b", "mine.yaml: expected a single document"),
        ("run: a\nrun: b", "mine.yaml: line 2: key run is in line 1 already"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_recipe_is_refused_within_a_second(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    started = time.process_time()
    with pytest.raises(UserError, match=message):
        read_file(tmp_path / "mine.yaml")
    assert time.process_time() - started < 1


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("run: é".encode("latin-1"))
    with pytest.raises(UserError, match="latin.yaml: byte 5 is not UTF-8; save the file as UTF-8"):
        read_file(tmp_path / "latin.yaml")
    with pytest.raises(UserError, match="this recipe file cannot be read .Is a directory"):
        read_file(tmp_path)
    with pytest.raises(UserError, match="there is no such recipe file"):
        read_file(tmp_path / "nowhere.yaml")


def test_a_byte_order_mark_and_shared_parts_are_read(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"\xef\xbb\xbfa: &a {x: 1}\nb: {<<: *a, y: [*a, *a]}\nc: {}")
    assert read_file(tmp_path / "mine.yaml") == {"a": {"x": 1}, "b": {"x": 1, "y": [{"x": 1}] * 2}, "c": {}}
