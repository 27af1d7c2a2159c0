"""mergekit's `linear` as the other backend, set up so that its pitfalls are gone. Needs the mergekit 0.1.5 package.

* It writes the model card through the hub's API, after the weights and before the tokenizer: switched off, and offline.
* Without a base_model the donor of tokenizer and config comes from an unordered set: base_model is given, and the base's
  files replace the rewritten ones (mergekit saves the config in the form of its own transformers version).
* It passes NaNs on, and drops tensors that its architecture file does not know: the inputs are read before, and the
  weights of the result are counted.
What stays: a mixture's experts come out fused (mlp.experts.gate_up_proj, down_proj), cut into other shards.
"""

import sys
from pathlib import Path

import yaml

from merge import stream
from merge.checkpoint import Checkpoint, copy_companions, read_checkpoint
from polaris import child
from polaris.errors import UserError

SHARD_BYTES = 5_000_000_000
LIMIT = 24 * 3600  # seconds


def merge(base: Checkpoint, distilled: Checkpoint, alpha: float, out: Path, threads: int, log: Path) -> None:
    """Run mergekit into the folder `out`; its configuration and its output go into the folder `log`.

    Raises UserError for weights that are not finite, and when mergekit fails or loses weights.
    """
    for checkpoint in (base, distilled):
        stream.check_finite(checkpoint)
    models = [
        {"model": str(checkpoint.folder.absolute()), "parameters": {"weight": weight}}
        for checkpoint, weight in ((base, alpha), (distilled, 1 - alpha))
    ]
    config = {
        "merge_method": "linear",
        "base_model": models[0]["model"],
        "models": models,
        "parameters": {"normalize": False},  # the weights add up to 1 already
    }
    written = log / "mergekit.yaml"
    written.write_text(yaml.safe_dump(config, sort_keys=False))
    options = ["--no-write-model-card", f"--out-shard-size={SHARD_BYTES}", "--num-threads", str(threads)]
    child.run(
        [sys.executable, "-m", "mergekit.scripts.run_yaml", str(written), str(out), *options],
        log=log / "mergekit.log",
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)},
        limit=LIMIT,
    )
    if (count := read_checkpoint(out).weights) != base.weights:
        raise UserError(
            f"{out}: mergekit wrote {count} of {base.weights} weights; use `backend: stream` for this model"
        )
    copy_companions(base.folder, out)
