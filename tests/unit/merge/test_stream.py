"""The streaming merger and its verb on tiny checkpoints: bytes, refusals, crashes."""

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

from merge import gate, merge_models, stream
from merge.alpha import of_alpha
from polaris.models.checkpoint import read_checkpoint
from polaris.stage import manifest
from polaris.stage.errors import UserError
from tests.helpers import stages
from tests.helpers.merge_checkpoints import BASE, MERGING, load, near, save, weights

SETTINGS = {"alpha": 0.3} | MERGING
WRITING = stream.Writing(dtype=None, threads=2, direct=False, sha256=False)


def merged(base: Path, distilled: Path, out: Path, alpha: float, **writing: object) -> tuple[int, stream.Digests]:
    out.mkdir()
    pair = read_checkpoint(base), read_checkpoint(distilled)
    how = dataclasses.replace(WRITING, **writing)
    same, digests = stream.merge(pair[0], [gate.check_pair(*pair)], {of_alpha(alpha): out}, how, {})
    return same, digests[of_alpha(alpha)]


def at(folder: Path, tensors: dict[str, torch.Tensor], shards: int = 1) -> Path:
    return save(folder, tensors, shards)


def formula(alpha: float, base: torch.Tensor, distilled: torch.Tensor) -> torch.Tensor:
    """The formula in float64, rounded once."""
    return (alpha * base.double() + (1 - alpha) * distilled.double()).to(base.dtype)


def assert_rounded_once(merged: torch.Tensor, alpha: float, base: torch.Tensor, distilled: torch.Tensor) -> None:
    """Equal to the formula but for a few weights, and those one unit in the last place off.

    The few are near ties (0.3 is no binary fraction, so float64 breaks them arbitrarily too; f32 weights lie on so fine
    a grid that they have more of them), and sums near 0 of large opposite terms, where float32 leaves 2^-24 of a term.
    """
    exact = formula(alpha, base, distilled)
    single = merged.dtype == torch.float32
    assert (merged != exact).double().mean() < (0.02 if single else 2e-4)
    terms = torch.maximum(base.double().abs(), distilled.double().abs()) * (2**-52 if single else 2**-24)
    off = (merged.double() - exact.double()).abs()
    limits = torch.finfo(merged.dtype)
    assert (off <= limits.eps * exact.double().abs().clamp(min=limits.tiny) + terms).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_layout_is_the_bases_and_values_are_the_formula(tmp_path, dtype):
    start = weights(1, dtype, rows=30_000)  # more than one chunk per tensor, and the last one not full
    end = near(start, 2) | {"model.norm.weight": start["model.norm.weight"]}
    base, distilled = at(tmp_path / "b", start, shards=2), at(tmp_path / "d", end, shards=3)
    same, digests = merged(base, distilled, tmp_path / "out", 0.3)
    result = load(tmp_path / "out")
    for name, tensor in result.items():
        assert tensor.dtype == dtype
        assert_rounded_once(tensor, 0.3, start[name], end[name])
    for shard in read_checkpoint(base).shards:
        written = (tmp_path / "out" / shard.path.name).read_bytes()
        assert len(written) == shard.size
        assert written.startswith(shard.header)
    index = "model.safetensors.index.json"
    assert (tmp_path / "out" / index).read_bytes() == (base / index).read_bytes()
    assert same == 1
    assert digests == {
        path.name: {"xxh3": manifest.file_digest(path)} for path in (tmp_path / "out").glob("*.safetensors")
    }


def test_endpoints_are_the_inputs_bit_for_bit(tmp_path):
    base, distilled = at(tmp_path / "b", BASE), at(tmp_path / "d", near(BASE, 2))
    merged(base, distilled, tmp_path / "one", 1.0)
    merged(base, distilled, tmp_path / "zero", 0.0)
    assert (tmp_path / "one/model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()
    assert (tmp_path / "zero/model.safetensors").read_bytes() == (distilled / "model.safetensors").read_bytes()


def test_what_training_left_alone_stays_bit_for_bit(tmp_path):
    base, distilled = at(tmp_path / "b", weights(1, torch.float32)), at(tmp_path / "d", weights(1, torch.float32))
    same, _ = merged(base, distilled, tmp_path / "out", 0.7)
    assert (tmp_path / "out/model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()
    assert same == len(weights(1, torch.float32))


def test_number_of_threads_and_the_cut_of_the_distilled_model_change_nothing(tmp_path):
    base = at(tmp_path / "b", BASE, shards=3)
    results = []
    for threads, shards in ((1, 1), (4, 5)):
        out = tmp_path / f"out{threads}"
        merged(base, at(tmp_path / f"d{threads}", near(BASE, 2), shards), out, 0.5, threads=threads)
        results.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert results[0] == results[1]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("side", ["base", "distilled"])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.7, 1.0])
def test_one_value_that_is_not_finite_is_refused_by_name(tmp_path, value, side, alpha):
    pair = {"base": dict(BASE), "distilled": near(BASE, 2)}
    spoilt = pair[side]["model.layers.0.mlp.experts.1.up_proj.weight"].clone()
    spoilt.view(-1)[1234] = value
    pair[side]["model.layers.0.mlp.experts.1.up_proj.weight"] = spoilt
    folders = [at(tmp_path / name, tensors) for name, tensors in pair.items()]
    with pytest.raises(UserError, match=rf"{side}/model.safetensors: tensor .*experts.1.up_proj.weight: value 1234 is"):
        merged(*folders, tmp_path / "out", alpha)


def test_very_large_finite_values_are_not_refused(tmp_path):
    big = torch.finfo(torch.bfloat16).max
    start = BASE | {"lm_head.weight": torch.full((64, 48), big, dtype=torch.bfloat16)}
    merged(at(tmp_path / "b", start), at(tmp_path / "d", start), tmp_path / "out", 0.5)
    assert load(tmp_path / "out")["lm_head.weight"].min() == big


# --- the verb ---------------------------------------------------------------------------------------------------
def published(folder: Path, tensors: dict[str, torch.Tensor], shards: int = 1, **config: object) -> Path:
    save(folder / "model", tensors, shards, **config)
    return stages.publish(folder)


def command(base: Path, distilled: Path, out: Path, **settings: object) -> list[str]:
    return stages.command("merge.merge_models", SETTINGS | settings, out, base=base, distilled=distilled)[2:]


def test_verb_publishes_a_model_beside_its_manifest(tmp_path, monkeypatch, capsys):
    run = tmp_path / "a run with spaces"
    base = published(run / "base", BASE, shards=2)
    (run / "base/model/pytorch_model.bin").write_text("weights in another form")
    distilled = published(run / "distilled", near(BASE, 2))
    out = run / "merged" / "alpha=0.30" / "checkpoint.json"
    monkeypatch.setattr(sys, "argv", command(base, distilled, out))
    merge_models.main()
    result = manifest.read(out)
    assert {path.name for path in result.model.iterdir()} == {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    }
    assert result.metrics["tensors"] == 5
    assert result.metrics["bytes"] == sum(path.stat().st_size for path in result.model.glob("*.safetensors"))
    assert result.metrics["same_in_inputs"] == 0
    assert not (out.parent / "new.partial").exists()
    lines = capsys.readouterr().err
    assert "theta = 0.30 * " in lines
    assert "megabyte 1/1" in lines


def refusal(monkeypatch, *arguments: Path, **settings: object) -> str:
    monkeypatch.setattr(sys, "argv", command(*arguments, **settings))
    with pytest.raises(UserError) as caught:
        merge_models.main()
    return str(caught.value)


@pytest.mark.parametrize("backend", ["stream", "mergekit"])
def test_verb_leaves_no_final_name_after_a_refusal_and_succeeds_once_mended(tmp_path, monkeypatch, backend):
    tensors = near(BASE, 2)
    tensors["model.norm.weight"][7] = torch.nan
    base = published(tmp_path / "base", BASE, shards=5)
    spoilt, sound = published(tmp_path / "spoilt", tensors), published(tmp_path / "sound", near(BASE, 2))
    out = tmp_path / "merged/checkpoint.json"
    message = refusal(monkeypatch, base, spoilt, out, backend=backend)
    assert "spoilt/model/model.safetensors: tensor model.norm.weight: value 7 is not finite" in message
    assert not out.exists()
    assert not (out.parent / "model").exists()
    monkeypatch.setattr(sys, "argv", command(base, sound, out))
    merge_models.main()
    assert len(manifest.read(out).files) == 5 + 4


@pytest.mark.parametrize("settings", [{}, {"o_direct": True}, {"backend": "mergekit"}], ids=str)
@pytest.mark.parametrize("shards", [2, 3])  # of the distilled model: each read in one piece, or by two shards' jobs
@pytest.mark.parametrize("spoilt", ["base", "distilled"])
def test_verb_refuses_a_shard_whose_bytes_have_changed(tmp_path, monkeypatch, spoilt, shards, settings):
    weights = {"base": (BASE, 2), "distilled": (near(BASE, 2), shards)}
    stages = {name: published(tmp_path / name, *one) for name, one in weights.items()}
    out = tmp_path / "merged/checkpoint.json"
    path = sorted((tmp_path / spoilt / "model").glob("*.safetensors"))[1]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:])  # one bit: still a finite number
    message = refusal(monkeypatch, *stages.values(), out, **settings)
    assert message.startswith(f"{path}: its bytes are not those that the stage has published")
    assert not out.exists() and not (out.parent / "model").exists()
    path.write_bytes(whole)
    monkeypatch.setattr(sys, "argv", command(*stages.values(), out))
    merge_models.main()
    assert manifest.read(out).metrics["tensors"] == 5


def test_verb_refuses_before_it_writes_a_byte(tmp_path, monkeypatch):
    base = published(tmp_path / "base", BASE)
    other = published(tmp_path / "other", near(BASE, 2), hidden_size=64)
    out = tmp_path / "merged/checkpoint.json"
    assert "hidden_size is 64, 48 in" in refusal(monkeypatch, base, other, out)
    assert list((out.parent / "new.partial").iterdir()) == []
    for alpha in (0, 1, 1.5, -0.1, 1e-9):
        assert "alpha" in refusal(monkeypatch, base, base, out, alpha=alpha)
