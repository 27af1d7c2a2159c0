"""`polaris merge BASE DISTILLED`: merges of two folders, a folder for each alpha."""

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from merge import estimate, merging
from merge.alpha import of_alpha, spelled
from merge.settings import MergeOne, Merging
from polaris.models.check_model import check_model
from polaris.models.checkpoint import read_checkpoint
from polaris.stage import files
from polaris.stage.errors import UserError
from polaris.stage.manifest import sync_folder
from polaris.stage.settings import validated
from polaris.stage.terminal import say

Tokenizer = Literal["same", "base", "distilled"]


def main(
    base: Path, distilled: Path, alphas: Sequence[float], output: Path, tokenizer: Tokenizer, dry_run: bool
) -> None:
    """theta = alpha * base + (1 - alpha) * distilled, in one reading of both; they are only read.

    output: holds `alpha=0.30/`, ... afterwards, each whole or not there. Raises UserError.
    """
    settings = Merging(
        backend="stream", mergekit=None, dtype=None, tokenizer=tokenizer, threads=1, o_direct=False, sha256=False
    )
    outs = {one.alpha: output / f"alpha={spelled(one.alpha)}" for one in (_checked(settings, a) for a in alphas)}
    if taken := next((path for path in outs.values() if files.kind_of(path) is not None), None):
        raise UserError(f"{taken}: already exists; name another --output, or remove it")
    for folder in (base, distilled):
        check_model(folder)
    start = read_checkpoint(base)
    trained = merging.check(settings, start, [read_checkpoint(distilled)], output, len(outs), say)
    if dry_run:
        say(estimate.describe(start, trained, merging.needed_bytes(settings, start, len(outs)), output))
        return
    output.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="merging.", suffix=".partial", dir=output))
    try:
        parts = {of_alpha(alpha): partial / path.name for alpha, path in outs.items()}
        for part in parts.values():
            part.mkdir()
        merging.write(settings, start, trained, parts, {}, partial, say, "merging")
        for alpha, path in outs.items():
            parts[of_alpha(alpha)].rename(path)
            say(f"{path}: {spelled(alpha)} * {base} + (1 - {spelled(alpha)}) * {distilled}")
        sync_folder(output)
    finally:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(partial)


def _checked(settings: Merging, alpha: float) -> MergeOne:
    """Raises UserError for an alpha that is no merge, or has no spelling."""
    return validated(MergeOne, settings.model_dump() | {"alpha": alpha}, "--alphas")
