"""Engines and gradings that a recipe names once."""

import pytest
import yaml

from polaris.recipe import layers, named
from polaris.stage.errors import UserError

BLOCKS = """
engines: {wide: {dtype: half, nodes: 1}, one: {like: wide, nodes: 2}}
gradings: {train: {workers: 1}}
"""


def resolved(text: str) -> dict:
    return named.resolved(yaml.safe_load(text), lambda key: "mine.yaml")


@pytest.mark.parametrize(
    ("section", "engine"),
    [
        ("engine: wide", {"dtype": "half", "nodes": 1}),
        ("engine: one", {"dtype": "half", "nodes": 2}),
        ("engine: {like: one, dtype: full}", {"dtype": "full", "nodes": 2}),
        ("engine: {dtype: own}", {"dtype": "own"}),
        ("engine: null", None),
    ],
)
def test_what_a_section_refers_to(section, engine):
    rest = "more: {large_engine: wide, vllm: one, grading: train}\ninterpreters: {vllm: python}\n"
    whole = resolved(f"{BLOCKS}{rest}stage: {{{section}}}")
    assert whole["stage"]["engine"] == engine and whole.keys() == {"more", "interpreters", "stage"}
    assert whole["more"] == {
        "large_engine": {"dtype": "half", "nodes": 1},
        "vllm": {"dtype": "half", "nodes": 2},
        "grading": {"workers": 1},
    }
    assert whole["interpreters"] == {"vllm": "python"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: {engine: wyde}", "mine.yaml: a.engine: wyde is none of engines; did you mean wide?"),
        ("a: {engine: {like: none}}", "a.engine: none is none of engines"),
        ("a: {engine: one}", "gradings.train: no section refers to it, and it has no format"),
    ],
)
def test_a_wrong_name_is_one_sentence(text, words):
    with pytest.raises(UserError) as error:
        resolved(BLOCKS + text)
    assert words in str(error.value)


def test_a_circle_is_one_sentence():
    with pytest.raises(UserError, match=r"engines\.\w: \w leads back to itself"):
        resolved("engines: {a: {like: b}, b: {like: a}}\ns: {engine: a}")


def test_a_layer_changes_some_keys_of_a_named_engine(tmp_path):
    (tmp_path / "low.yaml").write_text(f"{BLOCKS}s: {{engine: wide, grading: train}}\nt: {{engine: one}}")
    (tmp_path / "mine.yaml").write_text(
        "extends: [low.yaml]\nengines: {wide: {dtype: full}}\ns: {engine: {nodes: 3}}\n"
    )
    layer = layers.read_layer(tmp_path / "mine.yaml")
    whole = named.resolved(layer.values, str)
    assert whole["s"]["engine"] == {"dtype": "full", "nodes": 3} and whole["t"]["engine"] == {
        "dtype": "full",
        "nodes": 2,
    }
    origins = layers.inherited(layer.values, layer.values, layer.origins)
    assert str(origins["t", "engine", "dtype"]) == f"{tmp_path}/mine.yaml:2"
    assert str(origins["s", "engine", "nodes"]) == f"{tmp_path}/mine.yaml:3"
