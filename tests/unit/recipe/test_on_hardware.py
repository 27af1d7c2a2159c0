"""`hardware` in a recipe: what it becomes, what is given by hand beside it, what does not fit on it."""

import json
import re
from pathlib import Path

import pytest
import yaml

from polaris.hardware.shapes import KNOWN
from polaris.models.checkpoint import CONFIG
from polaris.recipe import printed, recipe
from polaris.stage.errors import UserError
from tests.helpers.recipes import ROOT

NODE = "hardware: {nodes: 1, gpus_per_node: 8, gpu: H100-80GB}"
MIXTURE = "inputs: {base_large: {hub: Qwen/Qwen3-30B-A3B, revision: unpinned}}"
WITHOUT = """
inputs: {base_large: null, problems: {distill: null}}
clean: {distill: null}
small_rl: {specialist: null}
large_sft: null
merge: null
evaluate: {large_engine: null}
"""


def mine(tmp_path: Path, *lines: str) -> Path:
    """A recipe file of these lines."""
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join(lines))
    return path


def refused(*files: Path) -> str:
    with pytest.raises(UserError) as error:
        recipe.load(files)
    return str(error.value)


def test_the_published_hardware_gives_the_published_layouts(tmp_path):
    """polaris_v2 by hand: 32 GPUs for RL, TP4 PP8 EP8 for the SFT, two nodes for an engine of 235B."""
    by_hand = recipe.load([ROOT / "configs/polaris_v2.yaml"])
    line = "hardware: {nodes: 16, gpus_per_node: 8, gpu: H100-80GB}"
    made = recipe.load([mine(tmp_path, "extends: [polaris_v2]", line)])
    assert made.large_sft.sft.layout == by_hand.large_sft.sft.layout
    assert made.evaluate.large_engine == by_hand.evaluate.large_engine
    assert made.evaluate.generate.engine == by_hand.evaluate.generate.engine
    assert made.large_sft.gate.vllm == by_hand.large_sft.gate.vllm
    for name, stage in by_hand.small_rl.rl.items():
        own = made.small_rl.rl[name]
        assert (own.nodes, own.gpus_per_node) == (stage.nodes, stage.gpus_per_node) == (4, 8)
        assert own.max_tokens_per_gpu == stage.max_tokens_per_gpu and own.engine.replicas == 1
    assert made.small_rl.format_sft.gpus_per_node == 8


def test_the_recipe_of_the_page(tmp_path):
    """And what it shows of the print."""
    (block,) = re.findall(r"```yaml\n(extends.*?hardware.*?)```", (ROOT / "docs/cluster.md").read_text(), re.DOTALL)
    path = mine(tmp_path, block)
    loaded = recipe.loaded([path])
    text = printed.text(loaded, [path]).replace(str(path), "mine.yaml")
    shown = re.search(r"```\n( *nodes: 1 .*?)```", (ROOT / "docs/cluster.md").read_text(), re.DOTALL)
    assert all(" ".join(line.split()) in " ".join(text.split()) for line in shown[1].splitlines())


def test_one_node_rewrites_the_layers_below(tmp_path):
    made = recipe.load([mine(tmp_path, "extends: [polaris_v2]", NODE, MIXTURE)])
    assert {stage.nodes for stage in made.small_rl.rl.values()} == {1}
    layout, large = made.large_sft.sft.layout, made.evaluate.large_engine
    assert (layout.nodes, layout.gpus_per_node, layout.first_layers) == (1, 8, None)
    assert (large.nodes, large.pipeline_parallel_size, large.tensor_parallel_size * large.replicas) == (1, 1, 8)


def test_every_value_says_that_it_comes_from_the_hardware(tmp_path):
    path = mine(tmp_path, "extends: [polaris_v2]", NODE, MIXTURE)
    loaded = recipe.loaded([path])
    lines = printed.text(loaded, [path]).splitlines()
    words = f"# hardware ({path}:2), instead of 16"
    assert [line.split(":")[0].strip() for line in lines if line.endswith(words)] == ["nodes"]
    assert next(line for line in lines if line.startswith("device: cuda")).endswith(f"# hardware ({path}:2)")
    # The print is a recipe of its own, in which all of them are given by hand.
    again = yaml.safe_load(printed.text(loaded, [path]))
    assert recipe.load([mine(tmp_path, yaml.safe_dump(again))]) == loaded.recipe


BY_HAND = """
engines: {node: {tensor_parallel_size: 2}}
small_rl: {rl: {grpo: {gpus_per_node: 4, engine: {gpu_memory_utilization: 0.5}}}}
large_sft: {sft: {layout: {tensor: 2}}}
"""


@pytest.mark.parametrize("above", [False, True], ids=["in the same layer", "in a higher one"])
def test_a_value_by_hand_stays(tmp_path, above):
    """And the arithmetic goes on from it: with TP2 the leanest pipeline is another one, and half as many engines."""
    (tmp_path / "hand.yaml").write_text(BY_HAND)
    path = mine(tmp_path, "extends: [polaris_v2]", NODE, MIXTURE, "" if above else BY_HAND)
    made = recipe.load([path, tmp_path / "hand.yaml"] if above else [path])
    grpo, layout, engine = made.small_rl.rl["grpo"], made.large_sft.sft.layout, made.small_rl.difficulty.engine
    assert (grpo.gpus_per_node, grpo.engine.gpu_memory_utilization, grpo.nodes) == (4, 0.5, 1)
    assert (layout.tensor, layout.gpus_per_node, layout.nodes) == (2, 8, 1)
    assert (engine.tensor_parallel_size, engine.replicas) == (2, 4)
    below = recipe.load([tmp_path / "hand.yaml", path])
    assert below.small_rl.rl["grpo"].gpus_per_node == (8 if above else 4)


def test_the_uppermost_hardware_counts(tmp_path):
    (tmp_path / "low.yaml").write_text(f"extends: [polaris_v2]\n{NODE}\nsmall_rl: {{rl: {{grpo: {{nodes: 9}}}}}}\n")
    path = mine(tmp_path, "extends: [low.yaml]", "hardware: {nodes: 4}", MIXTURE)
    made = recipe.load([path])
    assert made.hardware.gpus_per_node == 8 and {stage.nodes for stage in made.small_rl.rl.values()} == {4}
    without = recipe.load([path, mine(tmp_path / "..", "hardware: null")])
    assert without.hardware is None and without.small_rl.rl["grpo"].nodes == 9


def test_a_cpu_runs_one_process_of_everything(tmp_path):
    made = recipe.load([mine(tmp_path, "extends: [polaris_v2]", "hardware: cpu", MIXTURE)])
    assert made.device == "cpu" and made.large_sft.sft.transformer_impl == "local"
    layout, engine = made.large_sft.sft.layout, made.evaluate.generate.engine
    assert layout.gpus_per_node * layout.nodes == engine.replicas == engine.gpus == 1
    # A response of 83,968 tokens, 147,456 bytes each: more than the usual 4 GiB.
    assert engine.kv_cache_gib == pytest.approx(83968 * 147456 / 2**30, abs=0.25)
    laptop = recipe.load([mine(tmp_path, "extends: [laptop]", "hardware: cpu")])
    assert laptop.small_rl.rl == recipe.load([ROOT / "configs/laptop.yaml"]).small_rl.rl


def test_an_extra_evaluation_that_only_samples_otherwise_keeps_the_usual_engine(tmp_path):
    """An engine of its own would be meant for the large models, too."""
    extra = "evaluate: {extra_evaluations: {cold: {models: [core, distilled], sampling: {temperature: 0.6}}}}"
    made = recipe.load([mine(tmp_path, "extends: [polaris_v2]", NODE, MIXTURE, extra)])
    assert made.evaluations["core@cold"][1].engine == made.evaluate.generate.engine
    assert made.evaluations["distilled@cold"][1].engine == made.evaluate.large_engine
    own = extra.replace("sampling: {temperature: 0.6}", "engine: {max_model_len: 40960}, sampling: {max_tokens: 8192}")
    made = recipe.load([mine(tmp_path, "extends: [polaris_v2]", NODE, MIXTURE, own)])
    # 30B on one GPU has room for three responses of that length.
    assert made.evaluations["core@cold"][1].engine.tensor_parallel_size == 2


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ("extends: [polaris_v2]", NODE),
            (
                "mine.yaml:2: hardware: Qwen/Qwen3-235B-A22B-Thinking-2507 (large_sft.sft) needs 508.2 GiB per GPU for "
                "packs of 32768 tokens, 8 x H100-80GB has 79.6; it fits on 8 nodes of 8 x H100-80GB"
            ),
        ),
        (
            ("extends: [one_gpu]", "hardware: {nodes: 1, gpus_per_node: 1, gpu: RTX-4090}",
             "inputs: {base_small: {hub: Qwen/Qwen3-4B, revision: unpinned}}"),
            (
                "mine.yaml:2: hardware: Qwen/Qwen3-4B (small_rl.rl.grpo) needs 75.7 GiB per GPU for sequences of 9216 "
                "tokens, 1 x RTX-4090 has 24.0; it fits on 8 x RTX-4090 or 1 x H100-80GB"
            ),
        ),
        (
            ("extends: [one_gpu]", "hardware: {nodes: 1, gpus_per_node: 1, gpu: RTX-4090}",
             "inputs: {base_small: {hub: Qwen/Qwen3-32B, revision: unpinned}}"),
            (
                "Qwen/Qwen3-32B (small_rl.difficulty.engine) needs 66.3 GiB per GPU on 1 of them (weights 61.0, one "
                "response of max_model_len 9216 2.2), an engine on 1 x RTX-4090 has 21.6; it fits on 4 x RTX-4090 or 1 "
                "x H100-80GB"
            ),
        ),
        (
            ("extends: [polaris_v2]", NODE, MIXTURE, "small_rl: {rl: {core: {nodes: 9}}}"),
            "mine.yaml:4: small_rl.rl.core.nodes: 9, but hardware (",
        ),
        (("extends: [laptop]", "hardware: cpus"), "mine.yaml:2: hardware: 'cpus' is neither cpu nor {nodes: 1, "),
        (("extends: [laptop]", "hardware: {nodes: 1, gpu: H200}"), ":2: hardware: gpus_per_node: this key is missing"),
        (
            ("extends: [laptop]", "hardware: {nodes: 1, gpus_per_node: 1, gpu: RTX4090}"),
            "mine.yaml:2: hardware: gpu: RTX4090 is no GPU whose memory is known here; did you mean RTX-4090?",
        ),
        (
            ("extends: [polaris_v2]", NODE, MIXTURE, "evaluate: {large_engine: {replicas: two}}"),
            "evaluate.large_engine.replicas: Input should be a valid integer",
        ),
        (
            ("extends: [polaris_v2]", NODE, MIXTURE, "large_sft: {sft: {seq_length: null}}"),
            "large_sft.sft.seq_length: this key is missing",
        ),
        (
            ("extends: [one_gpu]", NODE, "inputs: {base_small: {path: /nowhere}}"),
            "mine.yaml:2: hardware: inputs.base_small: /nowhere/config.json",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(tmp_path, lines, words):
    message = refused(mine(tmp_path, *lines))
    assert words in message and len(message.splitlines()) <= 2


def test_a_model_of_unknown_shape(tmp_path, monkeypatch):
    """By its config.json in the hub's cache, of a local folder, or by sizes that are given by hand."""
    lines = ["extends: [one_gpu]", "hardware: {nodes: 1, gpus_per_node: 1, gpu: RTX-4090}"]
    hub = "inputs: {base_small: {hub: some/model, revision: unpinned}}"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    message = refused(mine(tmp_path, *lines, hub))
    assert "how large some/model is, is in no table here and in no cache; run `hf download some/model" in message
    assert "small_rl.difficulty.engine" in message and "small_rl.rl.core_filtered" in message
    sizes = "{tensor_parallel_size: 1, pipeline_parallel_size: 1, nodes: 1, replicas: 1, gpu_memory_utilization: 0.4}"
    by_hand = f"engines: {{node: {sizes}}}", "small_rl: {rl: {grpo: {nodes: 1, gpus_per_node: 1, "
    engine = f"engine: {sizes}, max_tokens_per_gpu: 9216}}}}}}"
    made = recipe.load([mine(tmp_path, *lines, hub, by_hand[0], by_hand[1] + engine)])
    assert made.device == "cuda" and made.small_rl.rl["grpo"].engine.gpu_memory_utilization == 0.4

    shape = KNOWN["Qwen/Qwen3-0.6B"]
    config = {
        "model_type": "qwen3", "vocab_size": shape.vocabulary, "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim, "intermediate_size": shape.intermediate_size, "tie_word_embeddings": True,
    }  # fmt: skip
    known = recipe.load([mine(tmp_path, *lines)]).small_rl
    for folder, source in (
        (tmp_path / "model", f"{{path: {tmp_path}/model}}"),
        (tmp_path / "cache/models--some--model/snapshots/abc", f"{{hub: some/model, revision: {'a' * 40}}}"),
    ):
        folder.mkdir(parents=True)
        (folder / CONFIG).write_text(json.dumps(config))
        refs = tmp_path / "cache/models--some--model/refs"
        refs.mkdir(parents=True, exist_ok=True)
        (refs / "main").write_text("abc")
        assert recipe.load([mine(tmp_path, *lines, f"inputs: {{base_small: {source}}}")]).small_rl == known


def test_what_is_not_there_is_not_asked_for(tmp_path):
    made = recipe.load([mine(tmp_path, "extends: [polaris_v2]", NODE, WITHOUT)])
    assert made.large_sft is None and made.evaluate.large_engine is None
    assert made.small_rl.rl["grpo"].nodes == 1 and made.evaluate.generate.engine.replicas == 8


def test_hardware_of_the_command_line(tmp_path):
    made = recipe.loaded([mine(tmp_path, "extends: [one_gpu]")], {"hardware": "cpu"})
    assert made.recipe.device == "cpu" and str(made.origins["device",]) == "hardware (--config)"


def test_tiny_models_on_gpus(tmp_path):
    made = recipe.load([mine(tmp_path, "extends: [laptop]", "hardware: {nodes: 1, gpus_per_node: 2, gpu: RTX-4090}")])
    assert made.device == "cuda" and made.large_sft.sft.layout.gpus_per_node == 2
    assert made.small_rl.rl["grpo"].gpus_per_node == 2 and made.evaluate.generate.engine.replicas == 2
