"""Models and problem sets by name: what a recipe may say instead of a whole section, and which of them there are."""

import re
from pathlib import Path

import pytest

from polaris.hardware import shapes
from polaris.problems.settings import HubProblems
from polaris.recipe import layers, printed, recipe
from polaris.recipe.layers import catalogue
from polaris.recipe.recipe_files import ASKED
from polaris.stage.errors import UserError
from tests.helpers.recipes import LAPTOP, ROOT

V2 = ROOT / "configs/polaris_v2.yaml"
PAGE = (ROOT / "docs/recipes.md").read_text()


def mine(tmp_path: Path, text: str, *lower: Path) -> recipe.Recipe:
    (tmp_path / "mine.yaml").write_text(text)
    return recipe.load([*lower, tmp_path / "mine.yaml"])


def test_every_named_model_has_a_shape_and_every_benchmark_what_a_report_needs():
    values = catalogue().values
    models = values["models"].values()
    hubs = [entry["hub"] for entry in models if "hub" in entry]
    assert all(entry.keys() == {"gguf", "package", "sha256"} for entry in models if "hub" not in entry)
    assert len(set(hubs)) == len(hubs) and set(hubs) <= shapes.KNOWN.keys()
    training = {"boba", "polaris_53k", "polaris_v2_14k", "tulu3_if"}
    for name, entry in values["problem_sets"].items():
        one = HubProblems.model_validate({key: value for key, value in entry.items() if key not in ASKED})
        assert one.date and (name in training) == ("k" not in entry)
        assert name in training or (one.gold == "every" and one.count and one.count * entry["k"] >= 600)


@pytest.mark.parametrize("number", range(PAGE.count("```yaml")))
def test_the_recipes_of_the_page(tmp_path, number):
    block = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[number]
    assert len(block.splitlines()) <= 15 and mine(tmp_path, block).run in block


def test_a_list_of_benchmarks_replaces_those_below_and_a_mapping_adds_to_them(tmp_path):
    own = "{file: mine.jsonl, gold: every, k: 5}"
    rest = "\nsmall_rl: {rl: {grpo: {validate: null}, core_filtered: {validate: null}}}\nreport: {pass_k: [4]}"
    low = ROOT / "configs/one_gpu.yaml"
    listed = mine(tmp_path, f"inputs: {{benchmarks: [aime25, amo_bench, {{mine: {own}}}]}}{rest}", low)
    assert list(listed.inputs.benchmarks) == ["aime25", "amo_bench", "mine"]
    # The lower recipe's own number where it has one; else the benchmark's. Those that are left out are gone from there.
    assert listed.evaluate.generate.k == {"aime25": 8, "amo_bench": 16, "mine": 5}
    added = mine(tmp_path, f"inputs: {{benchmarks: {{mine: {own}}}}}{rest}", low)
    assert list(added.inputs.benchmarks) == ["aime25", "aime26", "hmmt25", "beyond_aime", "mine"]
    assert added.evaluate.generate.k["mine"] == 5 and added.evaluate.generate.k["aime25"] == 8
    over = mine(tmp_path, f"extends: [one_gpu]\ninputs: {{benchmarks: [math500]}}{rest}")
    (tmp_path / "more.yaml").write_text(
        "inputs: {benchmarks: {aime26: aime26}}\nevaluate: {generate: {k: {aime26: 3}}}"
    )
    with pytest.raises(UserError, match=r"pass@4 needs 4 samples .*evaluate.generate.k.aime26 is 3"):
        recipe.load([tmp_path / "mine.yaml", tmp_path / "more.yaml"])
    assert list(over.inputs.benchmarks) == ["math500"] and over.evaluate.generate.k == {"math500": 4}


def test_a_further_evaluation_has_the_benchmarks_samples(tmp_path):
    further = "evaluate: {extra_evaluations: {few: {models: [core], k: {chain: 5}}}}"
    extra = mine(tmp_path, further, LAPTOP).evaluate.extra_evaluations["few"]
    assert extra.k == {"chain": 5, "digits": 8, "chain_select": 4, "digits_select": 4}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("inputs: {base_small: qwen3_4}", "base_small: qwen3_4 is none of models; did you mean qwen3_4b?"),
        ("inputs: {problems: {rl: bobba}}", "problems.rl: bobba is none of problem_sets; did you mean boba?"),
        ("inputs: {benchmarks: [aime52]}", "benchmarks.aime52: aime52 is none of problem_sets; did you mean aime"),
        ("inputs: {benchmarks: [3]}", "inputs.benchmarks: Input should be a valid dictionary"),
        ("models: {qwen3_4: {revision: '1'}}", "models.qwen3_4: no section refers to it, and it has no family or"),
        ("extends: [presets/no_general]", "extends: presets/no_general is no shipped recipe; did you mean presets/no_"),
    ],
)
def test_a_wrong_name_is_one_sentence_with_the_file(tmp_path, text, words):
    with pytest.raises(UserError) as error:
        mine(tmp_path, text, V2)
    assert words in str(error.value) and "mine.yaml" in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_layer_changes_a_named_set_or_replaces_it(tmp_path):
    asked = mine(tmp_path, "inputs: {base_small: {revision: '%s'}, problems: {rl: {max_rows: 7}}}" % ("a" * 40), V2)
    assert (
        asked.inputs.problems["rl"].hub == "inclusionAI/AReaL-boba-Data" and asked.inputs.problems["rl"].max_rows == 7
    )
    assert (asked.inputs.base_small.hub, asked.inputs.base_small.revision) == ("Qwen/Qwen3-4B-Thinking-2507", "a" * 40)
    own = mine(tmp_path, "inputs: {base_small: {path: /m}, problems: {rl: {file: x.jsonl, gold: every}}}", V2)
    assert str(own.inputs.base_small.path) == "/m" and own.inputs.problems["rl"].max_rows is None
    pinned = mine(tmp_path, "models: {qwen3_4b_thinking_2507: {revision: '%s'}}" % ("b" * 40), V2)
    assert pinned.inputs.base_small.revision == "b" * 40


def test_the_print_says_where_a_name_and_its_samples_stand():
    text = printed.text(recipe.loaded([V2]), [V2])
    hub = next(line for line in text.splitlines() if "hub: Qwen/Qwen3-4B-Thinking-2507" in line)
    assert re.search(r"presets/models.yaml:\d+$", hub)
    samples = text.partition("    k:\n      aime25: 32")[2].splitlines()[0]
    assert re.search(r"presets/benchmarks.yaml:\d+$", samples)


def test_the_shipped_recipes_are_short():
    """What a recipe says on top of the presets fits on a screen."""
    for name in ("laptop", "one_gpu", "one_node", "polaris_v2"):
        lines = (ROOT / f"configs/{name}.yaml").read_text().splitlines()
        assert len(lines) <= 60 and lines[-1], name
    assert all(file.is_file() for file in layers.CATALOGUE)
