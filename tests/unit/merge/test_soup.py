"""Averages of the base and several distilled models: the formula, their files, and what is refused."""

import shutil
import sys

import pytest
import torch
from pydantic import ValidationError

from merge import merged_weights, stream, unwritten
from merge.alpha import spelled_shares
from merge.settings import MergeOne
from polaris.models.checkpoint import read_checkpoint
from polaris.stage import manifest
from polaris.stage.errors import UserError
from tests.helpers.merge_checkpoints import BASE, MERGING, load, merged_stage, near, run_merge, save, weights
from tests.helpers.stages import command, publish

SHARES = (0.5, 0.3, 0.2)


def three(folder, start, shards=(2, 3, 1), **config):
    """Manifests of a base and two further trained ones."""
    models = (start, near(start, 2), near(start, 3))
    for name, tensors, cut in zip(("base", "chains", "digits"), models, shards, strict=True):
        save(folder / name / "model", tensors, cut, **config)
    return [publish(folder / name) for name in ("base", "chains", "digits")]


@pytest.fixture
def models(tmp_path):
    return three(tmp_path / "a run with spaces", BASE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_every_weight_is_the_formula_rounded_once(tmp_path, monkeypatch, dtype):
    start = weights(1, dtype, rows=30_000)  # several chunks of a tensor
    paths = three(tmp_path, start)
    merged = load(merged_stage(monkeypatch, paths, tmp_path / "soup", several=SHARES).model)
    others = [load(path.parent / "model") for path in paths]
    assert merged.keys() == start.keys()
    for name, tensor in merged.items():
        terms = [share * other[name].double() for share, other in zip(SHARES, others, strict=True)]
        exact, largest = sum(terms), torch.stack(terms).abs().amax(0)
        assert tensor.dtype == dtype
        rounding = largest * (2**-50 if dtype == torch.float32 else 2**-22)
        limits = torch.finfo(dtype)
        last_place = limits.eps * exact.abs().clamp(min=limits.tiny)
        assert ((tensor.double() - exact).abs() <= 0.5001 * last_place + rounding).all()


def test_what_no_training_changed_stays_bit_for_bit(tmp_path, monkeypatch):
    for name in ("base", "chains", "digits"):
        save(tmp_path / name / "model", BASE, shards=2)
    paths = [publish(tmp_path / name) for name in ("base", "chains", "digits")]
    result = merged_stage(monkeypatch, paths, tmp_path / "soup", several=SHARES)
    assert result.metrics["same_in_inputs"] == len(BASE) and result.metrics["several"] == list(SHARES)
    for shard in read_checkpoint(paths[0].parent / "model").shards:
        assert (result.model / shard.path.name).read_bytes() == shard.path.read_bytes()


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_unwritten_it_has_the_same_tensors(tmp_path, monkeypatch, models, dtype):
    written = merged_stage(monkeypatch, models, tmp_path / "written", several=SHARES, dtype=dtype)
    out, settings = tmp_path / "unwritten/checkpoint.json", MERGING | {"several": SHARES, "dtype": dtype}
    words = command("merge.unwritten", settings, out, base=models[0], distilled=models[1:])
    monkeypatch.setattr(sys, "argv", words[2:])
    unwritten.main()
    found, expected = dict(unwritten.weights(manifest.read(out).model)), load(written.model)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_removed_weights_come_back_from_all_of_its_models(tmp_path, monkeypatch, models):
    result = merged_stage(monkeypatch, models, tmp_path / "soup", several=SHARES)
    before = {path.name: path.read_bytes() for path in result.model.iterdir()}
    for state in ("removed", "present"):
        monkeypatch.setattr(sys, "argv", ["merged_weights", state, "--checkpoint", str(result.path)])
        merged_weights.main()
    assert {path.name: path.read_bytes() for path in result.model.iterdir()} == before


def test_the_order_of_the_models_counts_and_is_checked_in_what_was_written(tmp_path, monkeypatch, models):
    swapped = [models[0], models[2], models[1]]
    one, other = (
        merged_stage(monkeypatch, m, tmp_path / f"s{i}", several=SHARES) for i, m in enumerate((models, swapped))
    )
    assert one.content != other.content
    base, *distilled = (read_checkpoint(path.parent / "model") for path in models)
    stream.check_written(base, distilled, {SHARES: one.model}, None)
    shard = base.shards[1].path.name
    shutil.copyfile(other.model / shard, one.model / shard)
    with pytest.raises(
        UserError, match=rf"{shard}: tensor .* is not the average of its inputs at shares \[0.5, 0.3, 0.2"
    ):
        stream.check_written(base, distilled, {SHARES: one.model}, None)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_value_that_is_not_finite_is_named_with_its_model(tmp_path, monkeypatch, value, which):
    found = [{name: tensor.clone() for name, tensor in BASE.items()}, near(BASE, 2), near(BASE, 3)]
    found[which]["model.norm.weight"][7] = value
    for name, tensors in zip("abc", found, strict=True):
        save(tmp_path / name / "model", tensors)
    paths = [publish(tmp_path / name) for name in "abc"]
    with pytest.raises(
        UserError, match=f"{'abc'[which]}/model/model.safetensors: tensor model.norm.weight: value 7 is"
    ):
        merged_stage(monkeypatch, paths, tmp_path / "soup", several=(0.0, 0.5, 0.5))


def test_a_model_of_another_shape_is_refused_before_a_byte_is_written(tmp_path, monkeypatch, models):
    save(tmp_path / "odd/model", BASE | {"model.norm.weight": torch.zeros(49, dtype=torch.bfloat16)})
    odd = publish(tmp_path / "odd")
    with pytest.raises(UserError, match=r"odd/model/.*norm.weight has the shape \[49\], \[48\] in the base"):
        merged_stage(monkeypatch, [*models[:2], odd], tmp_path / "soup", several=SHARES)
    assert not (tmp_path / "soup/model").exists()


def test_as_many_models_as_shares(tmp_path, monkeypatch, models):
    for given, settings in ((models[:2], {"several": SHARES}), (models, {"alpha": 0.3})):
        with pytest.raises(UserError, match=r"--distilled: \d of \d models that the settings have shares for"):
            run_merge(monkeypatch, given, tmp_path / "soup/checkpoint.json", **settings)


def test_several_results_in_one_reading_are_of_two_models_only(tmp_path, monkeypatch, models):
    with pytest.raises(UserError, match=r"--distilled: 2 of 1 models"):
        run_merge(monkeypatch, models, tmp_path / "alpha={alpha}/checkpoint.json", "--alphas", "0.3")


def test_shares_have_one_spelling():
    assert spelled_shares(SHARES) == "0.50_0.30_0.20"
    assert spelled_shares([0.1] * 10) == "_".join(["0.10"] * 10)
    for shares, message in (
        ((0.5, 0.3, 0.1), r"\[0.5, 0.3, 0.1\]: shares sum to 1, these to 0.9"),
        ((0.5, 0.7, -0.2), r"a share must lie in \[0, 1\], not -0.2"),
        ((1 / 3, 1 / 3, 1 / 3), "more than six decimals"),
    ):
        with pytest.raises(ValueError, match=message):
            spelled_shares(shares)
        with pytest.raises(ValidationError, match=message):
            MergeOne(several=shares, **MERGING)
    for both in ({}, {"alpha": 0.3, "several": SHARES}):
        with pytest.raises(ValidationError, match="alpha: give it, or `several`"):
            MergeOne(**both, **MERGING)
