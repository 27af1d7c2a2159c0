"""What merge_models offers: several alphas, other dtypes and digests, a donor of the tokenizer, a dry run."""

import fcntl
import hashlib
import json
from pathlib import Path

import pytest
import torch

from polaris.stage import manifest
from polaris.stage.errors import UserError
from tests.helpers.merge_checkpoints import BASE, load, merged_stage, near, run_merge, save, weights
from tests.helpers.stages import publish, tree


def refused(monkeypatch, *arguments, **settings) -> str:
    with pytest.raises(UserError) as caught:
        run_merge(monkeypatch, *arguments, **settings)
    return str(caught.value)


def test_several_alphas_are_as_many_single_merges(tmp_path, monkeypatch, pair):
    out = str(tmp_path / "merged/alpha={alpha}/checkpoint.json")
    run_merge(monkeypatch, pair, Path(out), "--alphas", "0.3", "0.5", "0.7")
    for alpha in (0.3, 0.5, 0.7):
        together = manifest.read(out.replace("{alpha}", f"{alpha:.2f}"))
        alone = merged_stage(monkeypatch, pair, tmp_path / f"alone/alpha={alpha:.2f}", alpha=alpha)
        assert together.files == alone.files
        assert (together.stage, together.settings, together.content) == (alone.stage, alone.settings, alone.content)
        assert together.metrics | {"merging_seconds": 0} == alone.metrics | {"merging_seconds": 0}
    contents = {manifest.read(out.replace("{alpha}", name)).content for name in ("0.30", "0.50", "0.70")}
    assert len(contents) == 3


def test_several_alphas_ask_for_places_of_their_own(tmp_path, monkeypatch, pair):
    assert "{alpha}" in refused(monkeypatch, pair, tmp_path / "m/checkpoint.json", "--alphas", "0.3", "0.5")
    out = tmp_path / "alpha={alpha}/checkpoint.json"
    assert "only backend: stream" in refused(monkeypatch, pair, out, "--alphas", "0.3", backend="mergekit")
    assert "more than six decimals" in refused(monkeypatch, pair, out, "--alphas", "0.12345678")
    assert "alpha" in refused(monkeypatch, pair, out, "--alphas", "1.0")  # no merge: the base itself
    assert not list(tmp_path.glob("alpha=*"))


def test_one_of_several_that_is_being_made_stops_all(tmp_path, monkeypatch, pair):
    busy = tmp_path / "alpha=0.50/state"
    busy.mkdir(parents=True)
    with (busy / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        out = tmp_path / "alpha={alpha}/checkpoint.json"
        assert "another process works on this stage" in refused(monkeypatch, pair, out, "--alphas", "0.3", "0.5")
    assert not list(tmp_path.glob("alpha=*/checkpoint.json"))
    run_merge(monkeypatch, pair, tmp_path / "alpha={alpha}/checkpoint.json", "--alphas", "0.3", "0.5")
    assert len(list(tmp_path.glob("alpha=*/checkpoint.json"))) == 2


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_another_dtype_is_written_as_if_averaged_at_once(tmp_path, monkeypatch, pair, dtype):
    result = merged_stage(monkeypatch, pair, tmp_path / "merged", dtype=dtype, alpha=0.5)
    wanted = getattr(torch, dtype)
    merged, distilled = load(result.model), load(pair[1].parent / "model")
    for name, tensor in merged.items():
        assert tensor.dtype == wanted
        # Exact in float32: a half of two bf16 numbers of near size.
        assert torch.equal(tensor, (0.5 * BASE[name].double() + 0.5 * distilled[name].double()).to(wanted))
    assert json.loads((result.model / "config.json").read_text())["dtype"] == dtype
    size = sum(tensor.numel() * tensor.itemsize for tensor in merged.values())
    index = json.loads((result.model / "model.safetensors.index.json").read_text())
    if dtype != "bfloat16":
        assert index["metadata"]["total_size"] == size
    assert index["weight_map"].keys() == BASE.keys()


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_a_buffer_of_integers_is_copied(tmp_path, monkeypatch, dtype):
    buffers = {"model.places": torch.arange(400_000), "model.mask": torch.ones(3, dtype=torch.bool)}
    for name, tensors in (("b", BASE), ("d", near(BASE, 2))):
        save(tmp_path / name / "model", tensors | buffers, shards=2)
    pair = publish(tmp_path / "b"), publish(tmp_path / "d")
    result = merged_stage(monkeypatch, pair, tmp_path / "merged", dtype=dtype)
    merged = load(result.model)
    assert all(torch.equal(merged[name], tensor) for name, tensor in buffers.items())
    assert merged["model.norm.weight"].dtype == getattr(torch, dtype or "bfloat16")
    assert result.metrics["same_in_inputs"] == 2
    size = sum(tensor.numel() * tensor.itemsize for tensor in merged.values())
    index = json.loads((result.model / "model.safetensors.index.json").read_text())
    assert index["metadata"] == ({"total_size": size} if dtype else {})
    message = refused(monkeypatch, pair, tmp_path / "m/checkpoint.json", alpha=0.3, backend="mergekit")
    assert "tensor model.mask holds integers" in message or "tensor model.places holds integers" in message


def test_value_beyond_the_new_dtypes_range_is_refused(tmp_path, monkeypatch, pair):
    large = BASE | {"lm_head.weight": torch.full((64, 48), 1e5, dtype=torch.bfloat16)}
    for name in ("base", "distilled"):
        save(tmp_path / "large" / name / "model", large)
    paths = [publish(tmp_path / "large" / name) for name in ("base", "distilled")]
    assert (
        load(merged_stage(monkeypatch, paths, tmp_path / "bf16").model)["lm_head.weight"].max()
        == torch.tensor(1e5).bfloat16()
    )
    message = refused(monkeypatch, paths, tmp_path / "f16/checkpoint.json", alpha=0.3, dtype="float16")
    assert "tensor lm_head.weight: value 0 is not finite" in message


@pytest.mark.parametrize("rows", [64, 11_111])  # less than a block; several, with a rest
def test_writing_past_the_page_cache_gives_the_same_bytes(tmp_path, monkeypatch, rows):
    large = weights(1, rows=rows)
    save(tmp_path / "b/model", large, shards=2)
    save(tmp_path / "d/model", near(large, 2))
    pair = publish(tmp_path / "b"), publish(tmp_path / "d")
    direct, buffered = (merged_stage(monkeypatch, pair, tmp_path / str(flag), o_direct=flag) for flag in (True, False))
    assert direct.files == buffered.files
    for name, file in direct.files.items():
        assert manifest.file_digest(direct.folder / name) == file["xxh3"]


def test_sha256_is_of_the_bytes_on_disk(tmp_path, monkeypatch, pair):
    result = merged_stage(monkeypatch, pair, tmp_path / "merged", sha256=True)
    models = {name: file for name, file in result.files.items() if name.startswith("model/")}
    assert len(models) == 2 + 4
    for name, file in models.items():
        content = (result.folder / name).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["xxh3"] == manifest.file_digest(result.folder / name)
        assert (result.folder / name).stat().st_mode & 0o777 == 0o644
    assert result.content == merged_stage(monkeypatch, pair, tmp_path / "without").content


# --- the tokenizer's donor --------------------------------------------------------------------------------------
def test_other_template_needs_a_donor(tmp_path, monkeypatch, pair, capsys):
    for name in ("base", "distilled"):
        (tmp_path / name / "model/chat_template.jinja").write_text(name)
        (tmp_path / name / "model/generation_config.json").write_text(json.dumps({"from": name}))
    pair = publish(tmp_path / "base"), publish(tmp_path / "distilled")
    assert "merge.tokenizer: base or distilled" in refused(monkeypatch, pair, tmp_path / "m/checkpoint.json", alpha=0.3)
    for donor in ("base", "distilled"):
        result = merged_stage(monkeypatch, pair, tmp_path / f"of-{donor}", tokenizer=donor)
        assert (result.model / "chat_template.jinja").read_text() == donor
        assert json.loads((result.model / "generation_config.json").read_text()) == {"from": "base"}
        assert f"the tokenizer is taken from the {donor} model" in capsys.readouterr().err


# --- tied embeddings --------------------------------------------------------------------------------------------
def tied(tmp_path: Path, heads: dict[str, torch.Tensor | None]) -> tuple[Path, Path]:
    """heads: model -> the output matrix that is saved, or None; `same`: its embeddings."""
    paths = []
    for name, tensors in (("base", BASE), ("distilled", near(BASE, 2))):
        held = {key: value for key, value in tensors.items() if key != "lm_head.weight"}
        if heads[name] is not None:
            own = held["model.embed_tokens.weight"].clone()
            held["lm_head.weight"] = own if heads[name] == "same" else own + 1
        save(tmp_path / name / "model", held, shards=2, tie_word_embeddings=True)
        paths.append(publish(tmp_path / name))
    return tuple(paths)


@pytest.mark.parametrize("base", [None, "same"])
@pytest.mark.parametrize("distilled", [None, "same"])
def test_tied_embeddings_may_be_saved_once_or_twice(tmp_path, monkeypatch, base, distilled):
    paths = tied(tmp_path, {"base": base, "distilled": distilled})
    merged = load(merged_stage(monkeypatch, paths, tmp_path / "merged", alpha=0.5).model)
    assert merged.keys() == load(tmp_path / "base/model").keys()
    if base:
        assert torch.equal(merged["lm_head.weight"], merged["model.embed_tokens.weight"])
    assert not torch.equal(merged["model.embed_tokens.weight"], BASE["model.embed_tokens.weight"])


@pytest.mark.parametrize("side", ["base", "distilled"])
def test_tied_model_with_another_output_matrix_is_refused(tmp_path, monkeypatch, side):
    paths = tied(tmp_path, {"base": None, "distilled": None} | {side: "other"})
    message = refused(monkeypatch, paths, tmp_path / "m/checkpoint.json", alpha=0.5)
    assert f"{side}/model/" in message
    assert "lm_head.weight differs from model.embed_tokens.weight" in message


# --- before and after -------------------------------------------------------------------------------------------
def test_dry_run_says_what_it_would_cost_and_writes_nothing(tmp_path, monkeypatch, pair, capsys):
    before = tree(tmp_path)
    run_merge(monkeypatch, pair, tmp_path / "m/alpha={alpha}/checkpoint.json", "--dry-run", "--alphas", "0.3", "0.5")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "verdict  these two can be merged"
    assert lines[1].endswith("5 tensors, 0.000 billion weights")
    assert [line.split()[0] for line in lines] == ["verdict", "base", "read", "written", "time"]
    assert tree(tmp_path) == before
    tensors = near(BASE, 2)
    tensors["model.norm.weight"] = tensors["model.norm.weight"].float()
    save(tmp_path / "odd/model", tensors)
    odd = publish(tmp_path / "odd")
    message = refused(monkeypatch, (pair[0], odd), tmp_path / "m/checkpoint.json", "--dry-run", alpha=0.3)
    assert "model.norm.weight is F32, BF16 in the base" in message
    assert not (tmp_path / "m").exists()


def test_target_that_cannot_be_a_folder_is_said(tmp_path, monkeypatch, pair):
    (tmp_path / "file").touch()
    message = refused(monkeypatch, pair, tmp_path / "file/m/checkpoint.json", alpha=0.3)
    assert f"{tmp_path / 'file/m'}: this cannot be written (Not a directory)" in message
