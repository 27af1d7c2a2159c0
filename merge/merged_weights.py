"""Whether a merged model's weights are on disk: remove them once they are evaluated, or make them again.

    python -m merge.merged_weights removed --checkpoint runs/x/merged/alpha=0.30/checkpoint.json
    python -m merge.merged_weights present --checkpoint ...

The manifest stays as it is, so that nothing that was computed from the weights counts as stale; the sibling
weights.json lists what is gone. `present` merges again, with the manifest's settings, into the very same bytes; for a
checkpoint that no merge made, or whose weights are there, it does nothing.
"""

import argparse
import functools
import json
import shutil
import sys
from pathlib import Path

from merge import merging
from merge.settings import MergeOne
from polaris.models.checkpoint import read_checkpoint
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.lock import take_lock
from polaris.stage.manifest import WEIGHTS_RECORD, Manifest
from polaris.stage.settings import validated
from polaris.stage.stage import content, run_verb
from polaris.stage.terminal import say

MERGE = "merge.merge_models"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m merge.merged_weights")
    parser.add_argument("state", choices=("present", "removed"))
    parser.add_argument("--checkpoint", required=True, type=Path, metavar="MANIFEST")
    args = parser.parse_args()
    merged = manifest.load(args.checkpoint.absolute())
    if merged.module != MERGE:
        if args.state == "removed":
            raise UserError(f"{merged.path}: only weights of a merge can be removed, as a merge can be repeated")
        return
    weights = [name for name in merged.files if name.startswith("model/") and name.endswith(".safetensors")]
    with take_lock(merged.folder):
        if args.state == "removed":
            _record(merged, weights)  # first, so that a file that is missing is always known to be
            for name in weights:
                (merged.folder / name).unlink(missing_ok=True)
            _say(merged, f"{sum(merged.files[name]['size'] for name in weights) / 1e9:.2f} GB of weights are removed")
        else:
            if any(not (merged.folder / name).is_file() for name in weights):
                _restore(merged, weights)
            _record(merged, [])


def _restore(merged: Manifest, weights: list[str]) -> None:
    """The removed files from the merge's own inputs. Raises UserError unless they come out as they were."""
    _say(merged, "its weights were removed after their evaluation and are needed: they are merged again")
    settings = validated(MergeOne, merged.settings, f"{merged.path}: settings")
    inputs = {name: list(map(manifest.read, manifest.paths_of(one["path"]))) for name, one in merged.inputs.items()}
    for name, sources in inputs.items():
        if content(sources) != merged.inputs[name]["content"]:
            raise UserError(
                f"{merged.inputs[name]['path']}: it has changed since {merged.path} was merged from it; "
                f"rm {merged.path} and rerun"
            )
    sources = [*inputs["base"], *inputs["distilled"]]
    base, *distilled = (read_checkpoint(source.model) for source in sources)
    say = functools.partial(_say, merged)
    distilled = merging.check(settings, base, distilled, merged.folder, 1, say)
    partial = merged.folder / "new.partial"
    shutil.rmtree(partial, ignore_errors=True)
    out = partial / "model"
    out.mkdir(parents=True)
    published = merging.published_digests(sources)
    written = merging.write(settings, base, distilled, {settings.shares: out}, published, partial, say, merged.stage)
    _, digests = written[settings.shares]
    for name in weights:
        digest = digests.get(Path(name).name) or {"xxh3": manifest.file_digest(partial / name)}
        if digest["xxh3"] != merged.files[name]["xxh3"]:
            raise UserError(
                f"{partial / name}: merged again it has other bytes than before; rm {merged.path} and rerun"
            )
    for name in weights:
        (partial / name).rename(merged.folder / name)
    manifest.sync_folder(merged.folder / "model")
    shutil.rmtree(partial)


def _record(merged: Manifest, removed: list[str]) -> None:
    text = json.dumps({"removed": removed, "bytes": sum(merged.files[name]["size"] for name in removed)}, indent=1)
    manifest.replace_file(merged.folder / WEIGHTS_RECORD, text + "\n")


def _say(merged: Manifest, text: str) -> None:
    say(f"{merged.stage}: {text}", sys.stderr)


if __name__ == "__main__":
    run_verb(main)
