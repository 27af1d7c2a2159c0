"""The event file of a training: TensorBoard's own reader finds each step once, whatever was killed and resumed."""

import json
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from polaris.curves.event_file import EventFile


def write(path, steps, **more):
    path.write_text("".join(json.dumps({"step": step, "loss": step / 10, **more}) + "\n" for step in steps))


def scalars(folder, tag="loss"):
    read = EventAccumulator(str(folder))
    read.Reload()
    return read.Scalars(tag)


def test_every_number_of_every_curve_is_there_once(tmp_path):
    write(tmp_path / "metrics.jsonl", [1, 2], word="x", nothing=None, endless=float("inf"))
    write(tmp_path / "validation.jsonl", [0])
    with EventFile(tmp_path) as curves:
        assert curves.update() is None  # what was there before is no news
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.write('{"step": 3, "loss": 0.3}\n{"step": 4, "lo')
        assert curves.update() == {"step": 3, "loss": 0.3} and curves.update() is None
    assert [(event.step, round(event.value, 3)) for event in scalars(tmp_path)] == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert [event.step for event in scalars(tmp_path, "validation/loss")] == [0]
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    assert sorted(read.Tags()["scalars"]) == ["loss", "validation/loss"]


def test_a_resumed_training_has_no_step_twice_and_keeps_its_times(tmp_path):
    write(tmp_path / "metrics.jsonl", [1, 2, 3])
    with EventFile(tmp_path) as curves:
        curves.update()
    times = [event.wall_time for event in scalars(tmp_path)]
    (file,) = tmp_path.glob("*tfevents*")
    file.write_bytes(file.read_bytes()[:-7])  # killed while it wrote the third
    write(tmp_path / "metrics.jsonl", [1])  # of which one step is saved
    with EventFile(tmp_path) as curves:
        curves.update()
        write(tmp_path / "metrics.jsonl", [1, 2, 3])
    assert [event.step for event in scalars(tmp_path)] == [1, 2, 3]
    assert scalars(tmp_path)[0].wall_time == times[0] and scalars(tmp_path)[1].wall_time > times[1]
    assert [path.stat().st_size > 0 for path in sorted(tmp_path.glob("*tfevents*"))] == [False, True]
    with EventFile(tmp_path) as curves:
        curves.update()
    assert [event.step for event in scalars(tmp_path)] == [1, 2, 3] and len(list(tmp_path.glob("*tfevents*"))) == 2


def test_a_running_reader_sees_no_step_twice(tmp_path):
    """It has read the file of the launch before, which begins anew in another file."""
    write(tmp_path / "metrics.jsonl", [1, 2, 3])
    with EventFile(tmp_path) as curves:
        curves.update()
    reader = EventAccumulator(str(tmp_path))
    reader.Reload()
    write(tmp_path / "metrics.jsonl", [1, 2])
    with EventFile(tmp_path) as curves:
        curves.update()
    reader.Reload()
    assert [event.step for event in reader.Scalars("loss")] == [1, 2]


@pytest.mark.slow
def test_tensorboard_takes_a_runs_folder(tmp_path):
    for stage in ("grpo", "core"):
        (tmp_path / stage / "log").mkdir(parents=True)
        write(tmp_path / stage / "log/metrics.jsonl", [1, 2])
        with EventFile(tmp_path / stage / "log") as curves:
            curves.update()
    command = [sys.executable, "-m", "tensorboard.main", "--inspect", "--logdir", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.count("num_steps            2") == 2 and "core/log" in said and "grpo/log" in said
