"""Merge the base and the distilled model into one: theta = alpha * base + (1 - alpha) * distilled.

Alpha 0 and 1 are no merges: they are the distilled model and the base themselves, and the recipe evaluates those.
"""

import threading
import time
from pathlib import Path
from typing import Any

from merge import gate, mergekit_backend, stream
from merge.alpha import spelled
from merge.checkpoint import Checkpoint, copy_companions, read_checkpoint
from merge.settings import MergeOne
from polaris.progress import Progress
from polaris.stage import Stage, run_verb

MEGABYTE = 1_000_000


def main() -> None:
    with Stage.from_command_line("merge.merge_models", MergeOne, inputs=("base", "distilled")) as stage:
        base, distilled = (read_checkpoint(stage.inputs[name].model) for name in ("base", "distilled"))
        gate.check_pair(base, distilled)
        gate.check_space(stage.partial, base.size)
        alpha = spelled(stage.settings.alpha)
        stage.say(f"theta = {alpha} * {base.folder} + (1 - {alpha}) * {distilled.folder}")
        out = stage.partial / "model"
        out.mkdir()
        started = time.monotonic()
        merge = _by_stream if stage.settings.backend == "stream" else _by_mergekit
        changes = merge(stage, base, distilled, out)
        merged = read_checkpoint(out)
        measured = {"tensors": len(merged.shard_of), "bytes": merged.size, "merging_seconds": _since(started)}
        stage.publish(metrics={"alpha": stage.settings.alpha, **measured, **changes})


def _by_stream(stage: Stage, base: Checkpoint, distilled: Checkpoint, out: Path) -> dict[str, Any]:
    """Our merger; returns how far the result is from both."""
    progress = Progress(stage.name, -(-base.size // MEGABYTE), unit="megabyte")
    lock, done = threading.Lock(), 0

    def advanced(size: int) -> None:
        nonlocal done
        with lock:
            done += size
            progress.update(done // MEGABYTE)

    tally = stream.merge(base, distilled, stage.settings.alpha, out, stage.settings.threads, advanced)
    progress.update(progress.total)
    copy_companions(base.folder, out)
    return {
        "share_differing_from_base": tally.from_base / max(1, tally.weights),
        "share_differing_from_distilled": tally.from_distilled / max(1, tally.weights),
        "largest_change_of_base": tally.largest,
    }


def _by_mergekit(stage: Stage, base: Checkpoint, distilled: Checkpoint, out: Path) -> dict[str, Any]:
    """mergekit's linear merge; it measures nothing."""
    if any(".experts." in name for name in base.shard_of):
        stage.say(
            "warning: mergekit writes a mixture's experts fused (experts.gate_up_proj), not as the base has them: "
            "transformers 5 reads that, engines that look for experts.0.gate_proj do not"
        )
    mergekit_backend.merge(base, distilled, stage.settings.alpha, out, stage.settings.threads, stage.log)
    return {}


def _since(started: float) -> float:
    return round(time.monotonic() - started, 2)


if __name__ == "__main__":
    run_verb(main)
