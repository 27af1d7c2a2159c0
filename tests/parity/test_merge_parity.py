"""Our merge against the formula in float64, against mergekit and against what transformers computes with it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from merge import mergekit_backend
from polaris.models.checkpoint import read_checkpoint
from polaris.stage import manifest, subprocesses
from polaris.stage.errors import UserError
from tests.helpers.engine_process import ENGINE, engine_python, forked_engines
from tests.helpers.merge_checkpoints import load, merged_stage, save_tokenizer
from tests.helpers.stages import publish

SHAPE = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
}
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True}
TOKENS = torch.arange(2, 50).reshape(2, 24) * 7

# A process for all models. It writes the log-probability of each token after the first.
VLLM_SCRIPT = """
import gc, json, sys
from vllm import LLM, SamplingParams
from vllm.distributed import cleanup_dist_env_and_memory

def main():
    prompts, out, *models = sys.argv[1:]
    prompts, found = json.loads(prompts), []
    for model in models:
        small = {"max_model_len": 64, "max_num_seqs": 2, "enforce_eager": True}
        engine = LLM(model, dtype="float32", skip_tokenizer_init=True, **small)
        asked = [{"prompt_token_ids": prompt} for prompt in prompts]
        answers = engine.generate(
            asked, SamplingParams(max_tokens=1, prompt_logprobs=0, detokenize=False), use_tqdm=False
        )
        found.append(
            [[at[i].logprob for at, i in zip(a.prompt_logprobs[1:], p[1:])] for a, p in zip(answers, prompts)]
        )
        del engine
        gc.collect()
        cleanup_dist_env_and_memory()
    json.dump(found, open(out, "w"))

if __name__ == "__main__":
    main()
"""


def build(kind: str) -> torch.nn.Module:
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

    torch.manual_seed(1)
    if kind == "dense":  # with tied embeddings, as the small Qwen3
        return Qwen3ForCausalLM(Qwen3Config(**SHAPE, tie_word_embeddings=True)).bfloat16()
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**SHAPE, **EXPERTS, tie_word_embeddings=False)).bfloat16()


@pytest.fixture(scope="module", autouse=True)
def mergekit() -> Iterator[None]:
    with forked_engines():
        yield


@pytest.fixture(scope="module", params=["dense", "moe"])
def pair(request, tmp_path_factory) -> tuple[Path, Path]:
    return make_pair(request.param, tmp_path_factory.mktemp(request.param))


def make_pair(kind: str, folder: Path) -> tuple[Path, Path]:
    """Manifests of a model and of the same model a small step away, in other shards."""
    model = build(kind)
    model.save_pretrained(folder / "base/model", max_shard_size="100KB")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += (2e-3 * torch.randn(parameter.shape)).bfloat16()
    model.save_pretrained(folder / "distilled/model", max_shard_size="150KB")
    for name in ("base", "distilled"):
        save_tokenizer(folder / name / "model")
    return publish(folder / "base"), publish(folder / "distilled")


def merge(pair: tuple[Path, Path], out: Path, backend: str, monkeypatch, **more: object) -> manifest.Manifest:
    """The verb at alpha 0.3."""
    return merged_stage(monkeypatch, pair, out, **{"backend": backend, "threads": 1} | more)


def logits(folder: Path) -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    model, loading = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not loading["missing_keys"], loading
    assert not loading["unexpected_keys"], loading
    with torch.no_grad():
        return model(TOKENS).logits


def expected_logits(pair: tuple[Path, Path]) -> torch.Tensor:
    """Of the average that transformers makes of both models' parameters, rounded to bf16 once."""
    from transformers import AutoModelForCausalLM

    base, distilled = (
        AutoModelForCausalLM.from_pretrained(path.parent / "model", dtype=torch.float32) for path in pair
    )
    with torch.no_grad():
        for ours, theirs in zip(base.parameters(), distilled.parameters(), strict=True):
            ours.copy_((0.3 * ours.double() + 0.7 * theirs.double()).bfloat16())
        return base(TOKENS).logits


def fused(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Experts in mergekit's layout: gate_up_proj [experts, 2 * width, hidden], down_proj [experts, hidden, width]."""
    result = {name: tensor for name, tensor in tensors.items() if ".experts." not in name}
    layers = {name.split(".experts.")[0] for name in tensors if ".experts." in name}
    for layer in layers:
        up, gate, down = (
            torch.stack([tensors[f"{layer}.experts.{i}.{kind}_proj.weight"] for i in range(EXPERTS["num_experts"])])
            for kind in ("up", "gate", "down")
        )
        result[f"{layer}.experts.gate_up_proj"] = torch.cat([gate, up], dim=1)
        result[f"{layer}.experts.down_proj"] = down
    return result


def test_merged_model_answers_as_the_average_does(pair, tmp_path, monkeypatch):
    result = merge(pair, tmp_path / "merged", "stream", monkeypatch)
    base, distilled, ours = (load(path) for path in (pair[0].parent / "model", pair[1].parent / "model", result.model))
    assert ours.keys() == base.keys()
    different, count = 0, 0
    for name, tensor in ours.items():
        exact = (0.3 * base[name].double() + 0.7 * distilled[name].double()).bfloat16()
        different, count = different + int((tensor != exact).sum()), count + tensor.numel()
        torch.testing.assert_close(tensor, exact, rtol=2**-7, atol=2**-24)  # one unit in the last place
    assert different <= 2e-4 * count
    measured, expected = logits(result.model), expected_logits(pair)
    torch.testing.assert_close(measured, expected, rtol=0, atol=1e-3 * float(expected.abs().max()))
    assert (logits(pair[0].parent / "model") - expected).abs().max() > 1e-2 * expected.abs().max()


def test_mergekit_agrees(pair, tmp_path, monkeypatch, capsys):
    ours = merge(pair, tmp_path / "ours", "stream", monkeypatch)
    theirs = merge(pair, tmp_path / "theirs", "mergekit", monkeypatch)
    is_moe = "moe" in str(pair[0])
    assert ("experts fused" in capsys.readouterr().err) == is_moe
    expected, found = fused(load(ours.model)), load(theirs.model)
    assert found.keys() == expected.keys()
    different = sum(int((found[name] != expected[name]).sum()) for name in found)
    assert different <= 5e-4 * ours.metrics["bytes"] / 2
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=2**-7, atol=2**-23)
    # What lies beside the weights is the base's, whichever way it went.
    for path in (pair[0].parent / "model").iterdir():
        if "safetensors" not in path.name:
            assert (theirs.model / path.name).read_bytes() == path.read_bytes()
    assert not list(theirs.model.glob("README.md"))
    torch.testing.assert_close(logits(theirs.model), logits(ours.model), rtol=0, atol=1e-3)
    assert any(name.startswith("log/mergekit") for name in theirs.files)


def test_another_average_in_mergekits_files_is_named(pair, tmp_path, monkeypatch):
    """Of another alpha altogether, and one tensor (of a mixture: one expert's up_proj) of another model alone."""
    theirs = read_checkpoint(merge(pair, tmp_path / "theirs", "mergekit", monkeypatch).model)
    models = [read_checkpoint(path.parent / "model") for path in pair]
    mergekit_backend.check_average(models, (0.3, 0.7), theirs)
    with pytest.raises(UserError, match="tensor .* is not the average of its inputs at alpha 0.4; merge again"):
        mergekit_backend.check_average(models, (0.4, 0.6), theirs)
    moe = "moe" in str(pair[0])
    owner = "model.layers.1.mlp." + ("experts.gate_up_proj" if moe else "up_proj.weight")
    shard, start = theirs.shard_of[owner].path, load(pair[0].parent / "model")
    tensors = load_file(shard)
    if moe:
        half = EXPERTS["moe_intermediate_size"]
        tensors[owner][5, half:] = start["model.layers.1.mlp.experts.5.up_proj.weight"]
    else:
        tensors[owner] = start[owner]
    save_file(tensors, shard, {"format": "pt"})
    name = "model.layers.1.mlp.experts.5.up_proj.weight" if moe else owner
    with pytest.raises(UserError, match=f"{shard.name}: tensor {name} is not the average"):
        mergekit_backend.check_average(models, (0.3, 0.7), theirs)


def test_vllm_reads_both_layouts_alike(tmp_path, monkeypatch):
    pytest.importorskip("vllm")
    folders = {}
    for kind in ("dense", "moe"):
        pair = make_pair(kind, tmp_path / kind)
        for backend in ("stream", "mergekit"):
            folders[kind, backend] = merge(pair, tmp_path / kind / backend, backend, monkeypatch).model
    out = tmp_path / "logprobs.json"
    arguments = [json.dumps(TOKENS.tolist()), str(out), *map(str, folders.values())]
    (script := tmp_path / "ask.py").write_text(VLLM_SCRIPT)
    subprocesses.run([engine_python(), str(script), *arguments], tmp_path / "vllm.log", ENGINE, timeout=600)
    found = dict(zip(folders, map(torch.tensor, json.loads(out.read_text())), strict=True))
    for (kind, backend), theirs in found.items():
        expected = logits(folders[kind, "stream"])[:, :-1].log_softmax(-1).gather(2, TOKENS[:, 1:, None])[:, :, 0]
        assert (theirs - expected).abs().max() < 1e-3, (kind, backend)
        assert expected.std() > 0.1  # of something, not of a uniform guess


def test_any_method_of_mergekit_can_be_asked_for(tmp_path, monkeypatch):
    """Its linear merge written out as a method, into another dtype; slerp, whose ends are the two models."""
    pair = make_pair("dense", tmp_path)
    linear = {"method": "linear", "parameters": {"normalize": True}, "base": {"weight": "alpha"}}
    linear["distilled"] = {"weight": "1 - alpha"}
    written_out = merge(pair, tmp_path / "linear", "mergekit", monkeypatch, mergekit=linear, dtype="float32")
    ours = merge(pair, tmp_path / "ours", "stream", monkeypatch, dtype="float32")
    for name, tensor in load(written_out.model).items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, load(ours.model)[name], rtol=2**-7, atol=2**-23)  # rounded to bf16 before
    assert json.loads((written_out.model / "config.json").read_text())["dtype"] == "float32"
    slerp = {"method": "slerp", "parameters": {"t": "1 - alpha"}, "base": {}, "distilled": {}}
    base, distilled = (load(path.parent / "model") for path in pair)
    between = load(merge(pair, tmp_path / "slerp", "mergekit", monkeypatch, mergekit=slerp).model)
    name = "model.layers.0.mlp.up_proj.weight"
    steps = [(between[name].float() - end[name].float()).norm() for end in (base, distilled)]
    assert steps[0] / (steps[0] + steps[1]) == pytest.approx(0.7, abs=0.02)


@pytest.fixture(scope="module", params=["dense", "moe"])
def three(request, tmp_path_factory) -> list[Path]:
    """Manifests of a base and two models, each of which changed a part of its weights as RL does, some of them both."""
    folder, model = tmp_path_factory.mktemp(f"three_{request.param}"), build(request.param)
    start = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for name in ("base", "chains", "digits"):
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), start.values(), strict=True):
                changed = (torch.rand(value.shape) < 0.3) * (name != "base")
                parameter.copy_(value + changed * (0.05 * torch.randn(value.shape)).bfloat16())
        model.save_pretrained(folder / name / "model", max_shard_size="100KB")
        save_tokenizer(folder / name / "model")
    return [publish(folder / name) for name in ("base", "chains", "digits")]


def test_mergekit_agrees_on_several_models(three, tmp_path, monkeypatch):
    shares = (0.5, 0.3, 0.2)
    ours = merged_stage(monkeypatch, three, tmp_path / "ours", several=shares)
    theirs = merged_stage(monkeypatch, three, tmp_path / "theirs", several=shares, backend="mergekit", threads=1)
    expected, found = fused(load(ours.model)), load(theirs.model)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=2**-7, atol=2**-20)
    assert not torch.equal(load(ours.model)["model.norm.weight"], load(three[0].parent / "model")["model.norm.weight"])


@pytest.mark.parametrize("method", ["ram", "ramplus_tl"])
def test_methods_for_models_of_rl_are_their_definition(three, tmp_path, monkeypatch, method):
    """What one model changed counts whole (or by its factor), what both changed is averaged (arXiv 2601.13572)."""
    r, cap = 0.1, 0.2
    parameters = {"r": r, "alpha": cap} if method == "ramplus_tl" else {}
    mergekit = {"method": method, "parameters": parameters, "base": {}, "distilled": {}}
    settings = {"several": (0.0, 0.5, 0.5), "backend": "mergekit", "mergekit": mergekit, "threads": 1}
    result = load(merged_stage(monkeypatch, three, tmp_path / "merged", **settings).model)
    base, *others = (fused(load(path.parent / "model")) for path in three)
    assert result.keys() == base.keys()
    shared = 0
    for name, start in base.items():
        changes = torch.stack([other[name].double() - start.double() for other in others])
        touched = changes.abs() > 1e-5
        alone, both = touched & (touched.sum(0) == 1), touched & (touched.sum(0) == 2)
        parts = (1, 2, 3)[: start.dim()]
        overlap = both.sum(parts) / alone.sum(parts).clamp(min=1)
        factor = 1 + r * overlap.clamp(max=cap) if parameters else torch.ones(len(others))
        change = (changes * alone * factor.view(-1, *[1] * start.dim()) + changes * both / 2).sum(0)
        expected = start.double() + change
        torch.testing.assert_close(result[name].double(), expected, rtol=2**-7, atol=2**-9, msg=name)
        shared += int(both.sum())
    assert shared > 1000


def test_weights_that_mergekit_would_drop_are_noticed(tmp_path, monkeypatch):
    """It writes the tensors of its own list for this architecture, and exits with 0."""
    paths = make_pair("dense", tmp_path)
    for path in paths:
        shard = min((path.parent / "model").glob("*.safetensors"))
        index = shard.parent / "model.safetensors.index.json"
        save_file(load_file(shard) | {"model.extra.weight": torch.ones(8).bfloat16()}, shard, {"format": "pt"})
        weight_map = json.loads(index.read_text())["weight_map"] | {"model.extra.weight": shard.name}
        index.write_text(json.dumps({"weight_map": weight_map}))
        publish(path.parent)
    with pytest.raises(UserError, match="mergekit wrote (.*) of (.*) weights; use `backend: stream`"):
        merge(paths, tmp_path / "merged", "mergekit", monkeypatch)
    assert not (tmp_path / "merged/checkpoint.json").exists()
