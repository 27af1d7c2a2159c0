"""A merge that no file holds (merge: {keep: none}): its folder has all but the weights, and `weights` makes those.

    python -m merge.unwritten --settings S --base B --distilled D --out runs/x/merged/alpha=0.30/checkpoint.json

The engine that evaluates it averages the models while it loads (polaris/generation/vllm_loader.py), into the very
values that merge.merge_models would write.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from merge import gate, merging
from merge.alpha import Shares
from merge.companions import copy_companions
from merge.merge_models import formula, read_inputs
from merge.settings import MergeOne
from merge.stream import InputDigests, Memory, OpenShard, Writing, check_published
from polaris.models.checkpoint import Checkpoint, read_checkpoint
from polaris.models.dtypes import FLOATS
from polaris.models.unwritten import SOURCE
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.settings import validated
from polaris.stage.stage import Stage, run_verb

INPUTS = ("base", "distilled")
TORCH = {**FLOATS, "BOOL": "bool", "I32": "int32", "I64": "int64"}  # safetensors' name -> torch's


def main() -> None:
    with Stage.from_command_line(
        "merge.unwritten", MergeOne, inputs=INPUTS, repeated=INPUTS[1:], unchecked=INPUTS
    ) as stage:
        settings = stage.settings
        base, *distilled = read_inputs(stage)
        if settings.backend != "stream":
            raise UserError("merge.keep: none needs backend: stream, which alone can average while an engine loads")
        merging.check(settings, base, distilled, stage.folder, 0, stage.say)
        stage.say(f"{formula([base, *distilled], settings)}, made when it is loaded")
        out = stage.partial / "model"
        out.mkdir()
        donor = distilled[0] if settings.tokenizer == "distilled" else base
        copy_companions(base.folder, donor.folder, out, settings.dtype)
        inputs = [stage.inputs["base"], *stage.inputs["distilled"]]
        names = [*INPUTS, *(f"distilled_{number}" for number in range(2, len(inputs)))]
        made_of = {
            name: {"path": str(one.path), "content": one.content} for name, one in zip(names, inputs, strict=True)
        }
        (out / SOURCE).write_text(json.dumps({"settings": settings.model_dump(mode="json"), "inputs": made_of}) + "\n")
        stage.publish(metrics={**settings.parts, "tensors": len(base.shard_of), "bytes": 0})


def weights(folder: Path) -> Iterator[tuple[str, Any]]:
    """Names and tensors of the merge in this folder, one by one. Raises UserError, also where the inputs changed."""
    made = json.loads((folder / SOURCE).read_text())
    settings = validated(MergeOne, made["settings"], f"{folder / SOURCE}: settings")
    inputs = [manifest.read(source["path"]) for source in made["inputs"].values()]
    for source, recorded in zip(inputs, made["inputs"].values(), strict=True):
        if source.content != recorded["content"]:
            raise UserError(f"{source.path}: it has changed since {folder} was made from it; remove that and rerun")
    base, *distilled = (read_checkpoint(source.model) for source in inputs)
    distilled = [gate.check_pair(base, one) for one in distilled]
    dtype = merging.HEADER_NAMES.get(settings.dtype)
    yield from averaged(base, distilled, settings.shares, dtype, merging.published_digests(inputs))


def averaged(
    base: Checkpoint,
    distilled: Sequence[Checkpoint],
    shares: Shares,
    dtype: str | None,
    published: Mapping[Path, str],
) -> Iterator[tuple[str, Any]]:
    """Names and tensors of one result, one by one, as `merge` would write them, bit for bit, without a file.

    distilled, dtype, published, and what is raised: as in `merge`
    """
    import torch

    input_digests: InputDigests = {}
    writing = Writing(dtype, 1, False, False)
    for shard in base.shards:
        with contextlib.ExitStack() as files:
            memory = Memory(base.folder)
            opened = OpenShard(shard, {shares: memory}, writing, files)
            for name, tensor in shard.tensors.items():
                for _ in opened.merged_chunks(name, distilled):
                    pass
                kind = TORCH[dtype if dtype and tensor.dtype in FLOATS else tensor.dtype]
                yield name, torch.frombuffer(memory.taken(), dtype=getattr(torch, kind)).view(tensor.shape)
            read = {path: reader.digest for path, reader in opened.readers.items()}
            input_digests |= {path: digest or input_digests.get(path) for path, digest in read.items()}
    check_published(input_digests, published)


if __name__ == "__main__":
    run_verb(main)
