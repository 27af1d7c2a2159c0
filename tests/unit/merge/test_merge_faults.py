"""The merge as a process that is killed, whose disk is full, or whose target is read-only."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from polaris.stage import manifest
from tests.helpers import seed
from tests.helpers.merge_checkpoints import MERGING, near, save, weights
from tests.helpers.stages import command, publish

KILLS = 3  # and one more; tests/chaos/kill_merge.py has 20
# A file system of our own, in a mount namespace of our own; "$1" is its place, "$2" its options, the rest the command.
OWN_DISK = 'mount -t tmpfs -o "$2" tmpfs "$1" && shift 2 && '
UNSHARE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "bash", "-c"]
TRIED = [*UNSHARE, OWN_DISK + "true", "bash", "/mnt", "size=1m"]
MOUNTS = subprocess.run(TRIED, check=False, capture_output=True).returncode == 0
needs_mounts = pytest.mark.skipif(not MOUNTS, reason="no mount namespace is allowed here")


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[Path, Path]:
    """Manifests of two models of 38 MB in four shards and in one."""
    folder, large = tmp_path_factory.mktemp("pair"), weights(1, rows=100_000)
    save(folder / "base/model", large, shards=4)
    save(folder / "distilled/model", near(large, 2))
    return publish(folder / "base"), publish(folder / "distilled")


def verb(pair: tuple[Path, Path], out: Path) -> list[str]:
    return command(
        "merge.merge_models", {"alpha": 0.3} | MERGING | {"threads": 1}, out, base=pair[0], distilled=pair[1]
    )


def start(command: list[str], **pipes: int) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, env=environment, **pipes
    )


def finished(command: list[str]) -> tuple[int, str]:
    process = start(command)
    said = process.communicate(timeout=120)[0]
    return process.returncode, said


def assert_nothing_final(folder: Path) -> None:
    assert not (folder / "checkpoint.json").exists()
    assert not (folder / "model").exists()


@pytest.mark.slow
def test_sigkill_at_any_moment_leaves_no_final_name_and_the_rerun_the_same_digests(tmp_path, pair):
    started = time.monotonic()
    code, said = finished(verb(pair, tmp_path / "reference/checkpoint.json"))
    assert code == 0, said
    whole = time.monotonic() - started
    reference = manifest.read(tmp_path / "reference/checkpoint.json").files
    generator, out, midway = seed.generator("merge faults"), tmp_path / "merged/checkpoint.json", 0
    for attempt in range(5 * KILLS):  # on a busy machine a merge may be over before its moment comes
        process = start(verb(pair, out))
        begun = out.parent / "new.partial/model/model-00001-of-00004.safetensors"
        if attempt % 2:  # while it writes
            while not begun.exists() and process.poll() is None:
                time.sleep(0.001)
        else:
            time.sleep(generator.uniform(0, whole))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == -signal.SIGKILL and not out.exists():
            assert_nothing_final(out.parent)
            midway += begun.exists()
        if out.exists():
            shutil.rmtree(out.parent)
        if attempt >= KILLS and midway:
            break
    assert midway
    code, said = finished(verb(pair, out))
    assert code == 0, said
    assert manifest.read(out).files == reference
    assert sorted(path.name for path in out.parent.iterdir()) == ["checkpoint.json", "log", "model", "state"]


@pytest.mark.slow
def test_file_that_may_not_grow_is_said_and_leaves_no_final_name(tmp_path, pair):
    command = verb(pair, tmp_path / "merged/checkpoint.json")
    code, said = finished(["bash", "-c", 'ulimit -f 3072; exec "$@"', "bash", *command])
    assert code == 1
    assert "new.partial/model/model-00001-of-00004.safetensors: File too large; make room there" in said
    assert "Traceback" not in said
    assert_nothing_final(tmp_path / "merged")


@needs_mounts
@pytest.mark.slow
def test_disk_that_fills_up_midway_is_said_and_the_rerun_succeeds(tmp_path, pair):
    disk = tmp_path / "disk"
    disk.mkdir()
    script = OWN_DISK + '{ "$@" & echo "pid $!"; wait $!; echo "code $?"; read; "$@"; echo "code $?"; }'
    for _ in range(5):  # the merge may be over before the disk is full
        command = [*UNSHARE, script, "bash", str(disk), "size=115m", *verb(pair, disk / "merged/checkpoint.json")]
        shell = start(command, stdin=subprocess.PIPE)
        pid = int(shell.stdout.readline().split()[1])
        inside = Path(f"/proc/{pid}/root{disk}")
        begun = inside / "merged/new.partial/model/model-00001-of-00004.safetensors"
        while not begun.exists() and shell.poll() is None and Path(f"/proc/{pid}").exists():
            time.sleep(0.001)
        if not begun.exists():
            shell.communicate("\n")
            continue
        os.kill(pid, signal.SIGSTOP)
        filler = inside / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        inside = Path(f"/proc/{shell.pid}/root{disk}")  # the merge's own goes with it
        os.kill(pid, signal.SIGCONT)
        said = ""
        while not said.endswith(("code 0\n", "code 1\n")):
            said += shell.stdout.readline()
        if said.endswith("code 1\n"):
            break
        shell.communicate("\n")
    assert ".safetensors: No space left on device; make room there and run the merge again" in said
    assert "Traceback" not in said
    assert_nothing_final(inside / "merged")
    (inside / "filler").unlink()
    rest = shell.communicate("\n", timeout=120)[0]
    assert rest.endswith("code 0\n"), rest


@needs_mounts
def test_too_small_and_read_only_disks_are_refused_at_once(tmp_path, pair):
    for options, message in (
        ("size=50m", "merging needs 0.11 GB and only 0.05 GB are free"),
        ("ro", "this cannot be written (Read-only file system)"),
    ):
        command = verb(pair, tmp_path / "merged/checkpoint.json")
        code, said = finished([*UNSHARE, OWN_DISK + 'exec "$@"', "bash", str(tmp_path), options, *command])
        assert code == 1
        assert message in said
        assert "Traceback" not in said
