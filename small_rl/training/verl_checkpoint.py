"""verl's checkpoint folders: the last whole step, and its weights as a Hugging Face model in the training precision.

verl's own merger casts every model to bfloat16 (base_model_merger.py); we take the float32 weights that `hf_model` in
`checkpoint.save_contents` leaves in `huggingface/`, and everything that is no weight from the start model.
"""

import json
import shutil
from pathlib import Path

from polaris.models.checkpoint import CONFIG, INDEX, read_checkpoint, read_config
from polaris.models.dtypes import PRECISIONS, torch_dtype

TRACKER = "latest_checkpointed_iteration.txt"  # written last by verl
WEIGHTS_FOLDER = "actor/huggingface"  # in a step's folder: the weights in float32
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".index.json")


def last_step(checkpoints: Path) -> int:
    """Step of the newest complete checkpoint, 0 without one. Removes a tracker that a kill left empty."""
    tracker = checkpoints / TRACKER
    text = tracker.read_text().strip() if tracker.is_file() else ""
    if text.isdigit() and step_folder(checkpoints, int(text)).is_dir():
        return int(text)
    tracker.unlink(missing_ok=True)
    return 0


def step_folder(checkpoints: Path, step: int) -> Path:
    return checkpoints / f"global_step_{step}"


def keep_curve(curve: Path, step: int) -> None:
    """Drop the lines of a log after `step`, one JSON object each: unsaved steps are repeated, and logged then."""
    lines = curve.read_text().splitlines() if curve.is_file() else []
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
    curve.write_text("".join(line + "\n" for line in kept))


def export(trained: Path, start: Path, precision: str, out: Path) -> None:
    """Write `out`: the weights of `trained` (verl's `huggingface/`) as safetensors, the rest from `start`.

    Raises RuntimeError when the tensors' names are not those of the start model.
    """
    from safetensors.torch import load_file, save_file

    dtype = torch_dtype(precision)
    out.mkdir(parents=True)
    for path in start.iterdir():
        if path.is_file() and not path.name.endswith(WEIGHTS):
            shutil.copyfile(path, out / path.name)
    names: dict[str, str] = {}
    size = 0
    for path in (shard.path for shard in read_checkpoint(trained).shards):
        tensors = {name: tensor.to(dtype).contiguous() for name, tensor in load_file(path).items()}
        save_file(tensors, out / path.name, metadata={"format": "pt"})
        names |= dict.fromkeys(tensors, path.name)
        size += sum(tensor.nbytes for tensor in tensors.values())
    expected = set(read_checkpoint(start).shard_of)
    if set(names) != expected:
        raise RuntimeError(f"{trained}: other tensors than in {start}: {sorted(set(names) ^ expected)[:5]}")
    if len(set(names.values())) > 1:
        index = {"metadata": {"total_size": size}, "weight_map": names}
        (out / INDEX).write_text(json.dumps(index, indent=2) + "\n")
    config = read_config(start)
    config.pop("torch_dtype", None)
    (out / CONFIG).write_text(json.dumps(config | {"dtype": PRECISIONS[precision]}, indent=2) + "\n")
