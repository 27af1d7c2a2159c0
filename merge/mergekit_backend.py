"""mergekit as the other backend, set up so that its pitfalls are gone. Needs the mergekit 0.1.5 package.

* It writes the model card through the hub's API, after the weights and before the tokenizer: switched off, and offline.
* Without a base_model the donor of tokenizer and config comes from an unordered set: base_model is given, and the
  base's files replace the rewritten ones (mergekit saves the config in the form of its own transformers version).
* It passes NaNs on, and drops tensors that its architecture file does not know: the inputs are read before, and the
  weights of the result are counted.
* A path with one slash would be looked up on the hub, one with a plus sign be read as a model and its adapter: paths
  are absolute, and a plus sign is refused.
* It compares nothing: a piece of every tensor of its linear merge is compared with ours.
What stays: a mixture's experts come out fused (mlp.experts.gate_up_proj, down_proj), cut into other shards.

Its linear merge is the tested method; any other is passed through as the recipe writes it.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from merge import stream
from merge.alpha import Shares
from merge.settings import MergekitMethod, Merging
from polaris.models.checkpoint import Checkpoint, read_checkpoint
from polaris.models.dtypes import FLOATS, torch_dtype
from polaris.stage import subprocesses
from polaris.stage.errors import UserError
from polaris.stage.nodes import own_python

SHARD_BYTES = 5_000_000_000
LIMIT = 24 * 3600  # seconds
TIES = 0.01  # share of a piece's values that may be rounded the other way; 5e-4 at most in the tests
EXPERT = re.compile(r"(.*\.experts)\.(\d+)\.(gate|up|down)_proj\.weight$")
LINEAR = MergekitMethod(
    method="linear",
    parameters={"normalize": False},  # the weights add up to 1 already
    base={"weight": "alpha"},
    distilled={"weight": "1 - alpha"},
)


def merge(models: Sequence[Checkpoint], settings: Merging, shares: Shares, out: Path, log: Path) -> None:
    """Run mergekit into the folder `out`; its configuration and its output go into the folder `log`.

    models: the base, then the distilled ones. Raises UserError for weights that are not finite, and when mergekit
    fails or loses weights.
    """
    for checkpoint in models:
        if "+" in str(checkpoint.folder.absolute()):
            raise UserError(f"{checkpoint.folder}: mergekit reads + in a path as an adapter; use `backend: stream`")
        if buffers := [name for name, shard in checkpoint.shard_of.items() if shard.tensors[name].dtype not in FLOATS]:
            raise UserError(
                f"{checkpoint.folder}: tensor {buffers[0]} holds integers, which mergekit cannot merge; use "
                "`backend: stream`"
            )
        stream.check_finite(checkpoint)
    written = log / "mergekit.yaml"
    written.write_text(yaml.safe_dump(configuration(models, settings, shares), sort_keys=False))
    options = ["--no-write-model-card", f"--out-shard-size={SHARD_BYTES}", "--num-threads", str(settings.threads)]
    subprocesses.run(
        [own_python(), "-m", "mergekit.scripts.run_yaml", str(written), str(out), *options],
        log=log / "mergekit.log",
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(settings.threads)},
        timeout=LIMIT,
    )
    result = read_checkpoint(out)
    if result.weights != models[0].weights:
        raise UserError(
            f"{out}: mergekit wrote {result.weights} of {models[0].weights} weights; use `backend: stream` for this "
            "model"
        )
    if settings.mergekit:
        stream.check_finite(result)  # another method may divide by nothing, and is no average to compare with
    else:
        check_average(models, shares, result)


def check_average(models: Sequence[Checkpoint], shares: Shares, result: Checkpoint) -> None:
    """A piece of every tensor of mergekit's linear merge must be our average: equal but for near ties, and those one
    unit in the last place off. Raises UserError with the first tensor that is not.

    It rounds to the base's number format before that of `dtype`, and f32 in float32.
    """
    import torch

    base, *distilled = models
    for name, begin, expected in stream.expected_pieces(base, distilled, shares, None):
        dtype, (owner, place) = torch_dtype(base.tensor(name).dtype), _written(result, base, name, begin)
        own, count = result.tensor(owner), len(expected) // dtype.itemsize
        if count == 0:
            continue
        written = torch_dtype(own.dtype)
        piece = stream.read_piece(
            result.shard_of[owner].path,
            own.begin + place // dtype.itemsize * written.itemsize,
            count * written.itemsize,
        )
        found = torch.frombuffer(piece, dtype=written).to(dtype).double()
        wanted = torch.frombuffer(expected, dtype=dtype).double()
        off, last_place = (found - wanted).abs(), torch.finfo(dtype).eps * (1 if dtype.itemsize == 2 else 8)
        ties = (off > 0).sum() if dtype.itemsize == 2 else 0
        if ties > 2 + TIES * count or (off > last_place * wanted.abs() + 2**-20 * wanted.abs().max()).any():
            raise UserError(stream.other_average(result.shard_of[owner].path, name, shares))


def _written(result: Checkpoint, base: Checkpoint, name: str, begin: int) -> tuple[str, int]:
    """Where the base's byte `begin` of a tensor lies: mergekit's tensor, and the byte in it, in the base's format."""
    match = EXPERT.match(name)
    if name in result.shard_of or match is None:
        return name, begin
    layer, expert, part = match[1], int(match[2]), match[3]
    size = base.tensor(name).end - base.tensor(name).begin
    if part == "down":
        return f"{layer}.down_proj", expert * size + begin
    return f"{layer}.gate_up_proj", (2 * expert + (part == "up")) * size + begin


def configuration(models: Sequence[Checkpoint], settings: Merging, shares: Shares) -> dict[str, Any]:
    """mergekit's own configuration of this merge."""
    method, alpha = settings.mergekit or LINEAR, shares[0]
    folders = [str(checkpoint.folder.absolute()) for checkpoint in models]
    own = [(method.base, 1 - alpha), *((method.distilled, share) for share in shares[1:])]
    parameters = [_with_alpha(value, alpha, share) for value, share in own]
    config = {
        "merge_method": method.method,
        "base_model": folders[0],
        "models": [{"model": f, "parameters": p} for f, p in zip(folders, parameters, strict=True)],
        "parameters": _with_alpha(method.parameters, alpha, 1 - alpha),
    }
    return config | ({"out_dtype": settings.dtype} if settings.dtype else {})


def _with_alpha(value: Any, alpha: float, share: float) -> Any:
    """The numbers in the place of the texts `alpha` and `1 - alpha`, which is a distilled model's own share."""
    if isinstance(value, dict):
        return {key: _with_alpha(item, alpha, share) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_alpha(item, alpha, share) for item in value]
    return {"alpha": alpha, "1 - alpha": share}.get(value, value) if isinstance(value, str) else value
