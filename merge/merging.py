"""One merge from its checks to its files, by whichever backend: what the verbs of this package share."""

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from merge import estimate, gate, mergekit_backend, stream
from merge.alpha import Shares
from merge.companions import copy_companions
from merge.settings import Merging
from merge.stream import Digests
from polaris.models.checkpoint import Checkpoint
from polaris.models.dtypes import FLOATS
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from polaris.stage.progress import Progress

MEGABYTE = 1_000_000
HEADER_NAMES: dict[str | None, str] = {name: short for short, name in FLOATS.items()}


def needed_bytes(settings: Merging, base: Checkpoint, results: int) -> int:
    """What so many results take on disk."""
    return results * stream.written_bytes(base, HEADER_NAMES.get(settings.dtype))


def check(
    settings: Merging,
    base: Checkpoint,
    distilled: Sequence[Checkpoint],
    folder: Path,
    results: int,
    say: Callable[[str], None],
) -> list[Checkpoint]:
    """All that can be checked before a byte is written into `folder`.

    Returns the distilled checkpoints with the base's tensors. Raises UserError.
    """
    distilled = [gate.check_pair(base, one) for one in distilled]
    for one in distilled:
        try:
            gate.check_tokenizer(base.folder, one.folder)
        except UserError as error:
            if settings.tokenizer == "same":
                raise
            say(f"warning: {error}; the tokenizer is taken from the {settings.tokenizer} model, as the recipe says")
    gate.check_space(estimate.nearest_folder(folder), needed_bytes(settings, base, results))
    return distilled


def write(
    settings: Merging,
    base: Checkpoint,
    distilled: Sequence[Checkpoint],
    outs: Mapping[Shares, Path],
    published: Mapping[Path, str],
    log: Path,
    say: Callable[[str], None],
    label: str,
) -> dict[Shares, tuple[dict[str, Any], Digests]]:
    """A model in the folder of each result, tokenizer and all: what was measured of it, and the digests of its files.

    published: as `published_digests` gives it; label: of the progress; log: a folder for what mergekit says. Raises
        UserError.
    """
    if settings.backend == "stream":
        results = _by_stream(settings, base, distilled, outs, published, label)
    else:
        stream.check_published(dict.fromkeys(published), published)
        results = _by_mergekit(settings, base, distilled, outs, log, say)
    donor = distilled[0] if settings.tokenizer == "distilled" else base
    for shares, out in outs.items():
        copy_companions(base.folder, donor.folder, out, settings.dtype)
        if settings.sha256:
            for path in out.iterdir():
                results[shares][1].setdefault(path.name, _both_digests(path))
    return results


def published_digests(inputs: Iterable[Manifest]) -> dict[Path, str]:
    """Shard of an input -> the xxh3 that its manifest lists."""
    return {
        stage.folder / name: file["xxh3"]
        for stage in inputs
        for name, file in stage.files.items()
        if name.endswith(".safetensors")
    }


def _by_stream(
    settings: Merging,
    base: Checkpoint,
    distilled: Sequence[Checkpoint],
    outs: Mapping[Shares, Path],
    published: Mapping[Path, str],
    label: str,
) -> dict[Shares, tuple[dict[str, Any], Digests]]:
    """Our merger; counts the tensors that are the same in all inputs."""
    progress = Progress(label, -(-base.size // MEGABYTE), unit="megabyte")
    lock, done = threading.Lock(), 0

    def advanced(size: int) -> None:
        nonlocal done
        with lock:
            done += size
            progress.update(done // MEGABYTE)

    dtype = HEADER_NAMES.get(settings.dtype)
    writing = stream.Writing(dtype, settings.threads, settings.o_direct, settings.sha256)
    same, digests = stream.merge(base, distilled, outs, writing, published, advanced)
    progress.update(progress.total)
    stream.check_written(base, distilled, outs, dtype)
    return {shares: ({"same_in_inputs": same}, digests[shares]) for shares in outs}


def _by_mergekit(
    settings: Merging,
    base: Checkpoint,
    distilled: Sequence[Checkpoint],
    outs: Mapping[Shares, Path],
    log: Path,
    say: Callable[[str], None],
) -> dict[Shares, tuple[dict[str, Any], Digests]]:
    """mergekit, one result; it measures nothing and takes no digests."""
    ((shares, out),) = outs.items()
    if any(".experts." in name for name in base.shard_of):
        say(
            "warning: mergekit writes a mixture's experts fused (experts.gate_up_proj), not as the base has them: "
            "transformers 5 reads that, engines that look for experts.0.gate_proj do not"
        )
    mergekit_backend.merge([base, *distilled], settings, shares, out, log)
    return {shares: ({}, {})}


def _both_digests(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        return {"xxh3": manifest.file_digest(path), "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
