"""Recipes laid one over another: what wins, where it stands, what is refused."""

from pathlib import Path

import pytest
import yaml

from polaris.recipe import layers, printed, recipe
from polaris.stage.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
STUDY = [str(ROOT / "configs/laptop.yaml"), str(ROOT / "configs/laptop_study.yaml")]


def written(tmp_path: Path, **files: str) -> Path:
    """Files <name>.yaml; the path of the last."""
    for name, content in files.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("low", "high", "kept"),
    [
        ("a: {b: 1, c: 2}", "a: {c: 3}", {"a": {"b": 1, "c": 3}}),
        ("a: {b: 1, c: 2}", "a: {b: null}", {"a": {"c": 2}}),
        ("a: {b: 1}", "a: null", {}),
        ("a: 1", "a: {b: 2}", {"a": {"b": 2}}),
        ("a: [1, 2]", "a: [3]", {"a": [3]}),
        # A kind of model or set replaces another kind, and another one of its own kind.
        ("m: {tiny: qwen3, seed: 1}", "m: {path: /models/mine}", {"m": {"path": "/models/mine"}}),
        ("m: {hub: a/b, revision: '1'}", "m: {hub: c/d}", {"m": {"hub": "c/d"}}),
        ("p: {family: chain, count: 5}", "p: {count: 6}", {"p": {"family": "chain", "count": 6}}),
    ],
)
def test_one_layer_over_another(tmp_path, low, high, kept):
    files = [written(tmp_path, low=low), written(tmp_path, high=high)]
    both = layers.layered(layers.read_layer(file) for file in files)
    assert layers.without_nulls(both.values) == kept
    extending = written(tmp_path, mine=f"extends: [low.yaml]\n{high}")
    assert layers.without_nulls(layers.read_layer(extending).values) == kept


def test_every_value_knows_its_line(tmp_path):
    low = written(tmp_path, low="a: &a\n  b: 1\n  c: 2\nd:\n  <<: *a\n  c: 3\n")
    high = written(tmp_path, high="extends: low.yaml\na:\n  b: 4\n")
    origins = layers.read_layer(high).origins
    assert str(origins["a", "b"]) == f"{high}:3" and origins["a", "b"].replaced == 1
    assert str(origins["a", "c"]) == f"{low}:3"
    assert str(origins["d", "b"]) == f"{low}:2" and str(origins["d", "c"]) == f"{low}:6"
    removed = layers.layered([layers.read_layer(high), layers.given({"a": None}, "--config")])
    assert removed.values["a"] is None and [key for key in removed.origins if key[0] == "a"] == [("a",)]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"mine": "extends: [other.yaml]"}, "mine.yaml: extends: other.yaml: there is no such file beside this one"),
        ({"mine": "extends: [laptp]"}, "mine.yaml: extends: laptp is no shipped recipe; did you mean laptop?"),
        ({"mine": "extends: {a: b}"}, "mine.yaml: extends: must be a list of recipes"),
        ({"a": "extends: b.yaml", "b": "extends: a.yaml"}, "a.yaml: extends: b.yaml leads back to this file"),
    ],
)
def test_what_cannot_be_extended_is_one_sentence(tmp_path, files, words):
    with pytest.raises(UserError) as error:
        layers.read_layer(written(tmp_path, **files))
    assert words in str(error.value)


def test_a_recipe_in_a_few_lines(tmp_path):
    """An own model, and no generalist, over a shipped recipe."""
    mine = written(
        tmp_path,
        mine="extends: [laptop]\nrun: mine\ninputs:\n  base_small: {path: /models/mine}\n  base_large: null\n"
        "  problems: {distill: null}\nclean: {distill: null}\nsmall_rl: {specialist: null}\nlarge_sft: null\n"
        "merge: null\n",
    )
    made = recipe.load([mine])
    assert str(made.inputs.base_small.path) == "/models/mine" and made.generalists == []
    assert list(made.inputs.problems) == ["format", "rl"]


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ("small_rl: {rl: {core: {clip_low: 0.1}}}", "there is no such key; did you mean clip_ratio_low? (line 1)"),
        ("\nreports: {}", "mine.yaml: reports: there is no such key; did you mean report? (line 2)"),
        (
            "inputs: {base_small: {tiny: qwen3, hidden_size: 5}}",
            "hidden_size: there is no such key; did you mean hidden?",
        ),
        ("inputs: {benchmarks: {chain: {depht: [1, 2]}}}", "chain.depht: there is no such key; did you mean depth?"),
    ],
)
def test_an_unknown_key_gets_the_closest_one(tmp_path, overlay, words):
    with pytest.raises(UserError) as error:
        recipe.load([ROOT / "configs/laptop.yaml", written(tmp_path, mine=overlay)])
    assert words in str(error.value)


def test_the_whole_recipe_as_text(tmp_path):
    """It is the same recipe again, and every line says where its value stands."""
    loaded = recipe.loaded(STUDY)
    text = printed.text(loaded, STUDY)
    assert recipe.Recipe.model_validate(yaml.safe_load(text)) == loaded.recipe
    lines = text.splitlines()
    assert f"# {STUDY[1]}:3, instead of laptop" in next(line for line in lines if line.startswith("run: laptop_study"))
    (own,) = [line for line in lines if "keep: lower_half" in line]
    assert own.endswith(f"# {STUDY[1]}:9")
    assert all("#" in line for line in lines if not line.endswith(":"))
    assert not [line for line in lines if line.endswith("# off") and ": null" not in line and ": {}" not in line]
