"""mergekit as the other backend, set up so that its pitfalls are gone. Needs the mergekit 0.1.5 package.

* It writes the model card through the hub's API, after the weights and before the tokenizer: switched off, and offline.
* Without a base_model the donor of tokenizer and config comes from an unordered set: base_model is given, and the
  base's files replace the rewritten ones (mergekit saves the config in the form of its own transformers version).
* It passes NaNs on, and drops tensors that its architecture file does not know: the inputs are read before, and the
  weights of the result are counted.
* A path with one slash would be looked up on the hub, one with a plus sign be read as a model and its adapter: paths
  are absolute, and a plus sign is refused.
What stays: a mixture's experts come out fused (mlp.experts.gate_up_proj, down_proj), cut into other shards.

Its linear merge is the tested method; any other is passed through as the recipe writes it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from merge import stream
from merge.alpha import Shares
from merge.settings import MergekitMethod, Merging
from polaris.models.checkpoint import Checkpoint, read_checkpoint
from polaris.models.dtypes import FLOATS
from polaris.stage import subprocesses
from polaris.stage.errors import UserError

SHARD_BYTES = 5_000_000_000
LIMIT = 24 * 3600  # seconds
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
        [sys.executable, "-m", "mergekit.scripts.run_yaml", str(written), str(out), *options],
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
        stream.check_finite(result)  # another method may divide by nothing


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
