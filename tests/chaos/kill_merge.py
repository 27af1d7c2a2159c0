"""kill -9 at random moments of a merge: never a final name for half a merge, and a rerun gives the digests of an
undisturbed merge.

    python tests/chaos/kill_merge.py FOLDER [--kills 20] [--megabytes 400] [--seed 1]

Every fourth moment is any after the start (most of it is Python's own), the others lie after the first file was begun.
By hand; tests/unit/merge/test_merge_faults.py is the short form. Every second target is rerun after one kill, the
others are killed again first. Prints a line for each kill and ends with status 1 at the first broken promise.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from polaris.stage import manifest
from tests.helpers.merge_checkpoints import MERGING, near, save, weights
from tests.helpers.stages import command, publish

ROOT = Path(__file__).resolve().parents[2]
BYTES_A_ROW = 4 * 48 * 2  # four of the five tensors have rows


def started(folder: Path, out: Path) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    inputs = {name: folder / name / "checkpoint.json" for name in ("base", "distilled")}
    words = command("merge.merge_models", {"alpha": 0.3} | MERGING, out, **inputs)
    return subprocess.Popen(words, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)


def until_first_file(process: subprocess.Popen, out: Path) -> None:
    begun = out.parent / "new.partial/model"
    while process.poll() is None and not any(begun.glob("*")):
        time.sleep(0.001)


def succeeded(process: subprocess.Popen) -> bool:
    """Whether it came to its end; False when it was killed. Raises CalledProcessError when it failed by itself."""
    code = process.wait()
    if code not in (0, -signal.SIGKILL):
        raise subprocess.CalledProcessError(code, process.args)
    return code == 0


def killed(folder: Path, out: Path, anywhere: bool, wait: float) -> bool:
    """Whether the kill came before the merge's end: `wait` seconds after its start, or after its first file."""
    process = started(folder, out)
    if not anywhere:
        until_first_file(process, out)
    try:
        process.wait(wait)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return not succeeded(process)


def where(folder: Path) -> str:
    """How far the killed merge was."""
    if (folder / "model").exists():
        return "between the model's rename and the manifest"
    files = list((folder / "new.partial").glob("model/*")) if (folder / "new.partial").exists() else []
    size = sum(path.stat().st_size for path in files) / 1e6
    return f"with {len(files)} files begun, {size:.0f} MB" if files else "before its first file"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1, help="of the moments, as shares of the merge's time")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    print(f"seed {args.seed}", flush=True)
    folder = args.folder.absolute()
    large = weights(1, rows=args.megabytes * 1_000_000 // BYTES_A_ROW)
    save(folder / "base/model", large, shards=4)
    save(folder / "distilled/model", near(large, 2), shards=3)
    for name in ("base", "distilled"):
        publish(folder / name)
    out, at = folder / "reference/checkpoint.json", time.monotonic
    begin, process = at(), started(folder, out)
    until_first_file(process, out)
    first = at()
    assert succeeded(process)
    whole, writing = at() - begin, at() - first
    reference, out = manifest.read(out).files, folder / "merged/checkpoint.json"
    kills = whole_results = 0
    while kills < args.kills:
        anywhere = kills % 4 == 0
        if not killed(folder, out, anywhere, rng.uniform(0, whole if anywhere else writing)):
            shutil.rmtree(out.parent)  # over before its moment came
            continue
        kills += 1
        print(f"kill {kills}: {'after its manifest' if out.exists() else where(out.parent)}", flush=True)
        if kills % 2 == 0:
            assert out.exists() or succeeded(started(folder, out))
        if out.exists():  # whole, and be it that the process was killed on its way out
            whole_results += 1
            assert manifest.read(out).files == reference, "other digests"
            for name, file in reference.items():
                assert manifest.file_digest(out.parent / name) == file["xxh3"], name
            shutil.rmtree(out.parent)
    print(f"{kills} kills, {whole_results} results, each with the digests of the undisturbed merge")


if __name__ == "__main__":
    main()
