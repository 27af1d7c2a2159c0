"""Merge the base and the distilled model, or several: theta = alpha * base + (1 - alpha) * distilled.

    python -m merge.merge_models --settings S --base B --distilled D --out runs/x/merged/alpha=0.30/checkpoint.json
    ... --alphas 0.3 0.4 0.5 --out 'runs/x/merged/alpha={alpha}/checkpoint.json'   several in one reading of the inputs
    ... --distilled D E --out 'runs/x/merged/soup=0.50_0.25_0.25/checkpoint.json'  settings with `several`, not `alpha`
    ... --dry-run                                                                  verdict, sizes, time; no merge

With --alphas the settings have no alpha, and the results are those of as many single merges: Snakemake finds them done.
Alpha 0 and 1 are no merges: they are the distilled model and the base themselves, and the recipe evaluates those.
"""

import argparse
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from merge import estimate, merging
from merge.alpha import Shares, spelled
from merge.settings import MergeOne, Merging
from polaris.models.checkpoint import Checkpoint, read_checkpoint
from polaris.stage.errors import UserError
from polaris.stage.settings import validated
from polaris.stage.stage import Stage, run_verb
from polaris.stage.terminal import say

MODULE = "merge.merge_models"


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--alphas", nargs="+", type=float)
    parser.add_argument("--dry-run", action="store_true")
    flags, others = parser.parse_known_args()
    stages = _several(flags.alphas, others) if flags.alphas else [_one(MergeOne, others)]
    settings, folder = stages[0].settings, stages[0].folder
    base, *distilled = read_inputs(stages[0])
    checked = (settings, base, distilled, folder, len(stages), stages[0].say)
    if flags.dry_run:
        merging.check(*checked)
        written = merging.needed_bytes(settings, base, len(stages))
        say(estimate.describe(base, distilled, written, folder))
        return
    with contextlib.ExitStack() as entered:
        for stage in stages:
            entered.enter_context(stage)
        _merge(stages, base, merging.check(*checked))


def read_inputs(stage: Stage[MergeOne]) -> list[Checkpoint]:
    """The base, then the distilled ones. Raises UserError unless there are as many as the settings have shares for."""
    models = [stage.inputs["base"], *stage.inputs["distilled"]]
    wanted = len(stage.settings.shares) if isinstance(stage.settings, MergeOne) else 2
    if len(models) != wanted:
        raise UserError(f"--distilled: {len(models) - 1} of {wanted - 1} models that the settings have shares for")
    return [read_checkpoint(model.model) for model in models]


def formula(models: Sequence[Checkpoint], settings: MergeOne) -> str:
    """In words, for people."""
    folders = [str(one.folder) for one in models]
    if settings.alpha is not None:
        alpha = spelled(settings.alpha)
        return f"theta = {alpha} * {folders[0]} + (1 - {alpha}) * {folders[1]}"
    return "theta = " + " + ".join(f"{spelled(s)} * {f}" for s, f in zip(settings.shares, folders, strict=True))


def _merge(stages: Sequence[Stage], base: Checkpoint, distilled: Sequence[Checkpoint]) -> None:
    """One reading of the inputs; the stages' settings are the same but for alpha."""
    started = time.monotonic()
    for stage in stages:
        stage.say(formula([base, *distilled], stage.settings))
        (stage.partial / "model").mkdir()
    outs: dict[Shares, Path] = {stage.settings.shares: stage.partial / "model" for stage in stages}
    label = " ".join(stage.name for stage in stages)
    first = stages[0]
    published = merging.published_digests([first.inputs["base"], *first.inputs["distilled"]])
    results = merging.write(first.settings, base, distilled, outs, published, first.log, first.say, label)
    for stage in stages:
        measured, digests = results[stage.settings.shares]
        merged = read_checkpoint(stage.partial / "model")
        counted = {"tensors": len(merged.shard_of), "bytes": merged.size}
        seconds = {"merging_seconds": round(time.monotonic() - started, 2)}
        stage.publish(
            metrics={**stage.settings.parts, **counted, **seconds, **measured},
            digests={f"model/{name}": digest for name, digest in digests.items()},
        )


def _one(settings: type[Merging], arguments: list[str]) -> Stage:
    flags = ("base", "distilled")  # their weights' digests are taken while they are read
    return Stage.from_command_line(MODULE, settings, inputs=flags, repeated=flags[1:], unchecked=flags, argv=arguments)


def _several(alphas: list[float], arguments: list[str]) -> list[Stage]:
    """A stage for each alpha, from one command line. Raises UserError."""
    common = _one(Merging, arguments)
    if common.settings.backend != "stream":
        raise UserError("--alphas: only backend: stream merges several alphas in one reading")
    if "{alpha}" not in str(common.out):
        raise UserError(f"--out {common.out}: with --alphas it needs {{alpha}} where the spelling of each belongs")
    stages: dict[Path, Stage] = {}
    for alpha in alphas:
        settings = validated(MergeOne, common.settings.model_dump() | {"alpha": alpha}, "--alphas")
        try:
            out = Path(str(common.out).replace("{alpha}", spelled(alpha)))
        except ValueError as error:
            raise UserError(f"--alphas: {error}") from None
        stages[out] = Stage(MODULE, settings, common.inputs, out, "by hand", common.unchecked)
    return list(stages.values())


if __name__ == "__main__":
    run_verb(main)
