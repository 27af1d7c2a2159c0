"""A stage's steps again, from its store: `python -m small_rl.repeat.again STORE --step N`, as `polaris replay` runs it.

The actor starts from the stage's newest checkpoint before the step, or, when the stage has published and has none, from
its start model; every update is made anew by verl's own actor. On a CPU all numbers and weights are the recorded ones.
"""

import argparse
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from polaris.stage import subprocesses, terminal
from polaris.stage.code import module_name
from polaris.stage.cuda import require_cuda
from polaris.stage.errors import UserError
from polaris.stage.files import remove
from polaris.stage.stage import run_verb
from small_rl.opd_settings import OpdTraining
from small_rl.repeat.compared import Compared, compared, usable
from small_rl.rl_settings import RlTraining
from small_rl.rollouts import about, store
from small_rl.training import train_rl, verl_checkpoint, verl_config, verl_devices
from small_rl.training.verl_preload import interpreter
from small_rl.training.verl_ray_cluster import ray_cluster, ray_folder

FOLDER = "replay"  # in a run's folder: what a repetition writes, removed when it has ended


def again(folder: Path, step: int, work: Path) -> list[Compared]:
    """Repeat the steps of the store in `folder` through `step` inside `work`, and compare them with the store.

    Raises UserError for a store that lacks rollouts of these steps, and as `small_rl.training.train_rl.launch`.
    """
    read = about.read(folder)
    if isinstance(read.settings, OpdTraining):
        raise UserError(
            f"{read.stage}: an on-policy distillation learns from its teacher's log-probabilities, which no store has; "
            "only an RL stage's steps can be made again"
        )
    if read.settings.rollout_store != "all":
        raise UserError(
            f"{read.stage}: its store has some groups of each step (rollout_store: {read.settings.rollout_store}), "
            "and an update is made of all of them; train with `rollout_store: all`"
        )
    there = store.stored_steps(folder)
    if step not in there:
        has = f"it has {there[0]} to {there[-1]}" if there else "it has none yet"
        raise UserError(f"{folder}: step {step} is not stored; {has}")
    settings = read.settings.model_copy(update={"steps": step, "validation": None})
    log, state = work / "log", work / "state"
    log.mkdir(parents=True)
    state.mkdir()
    start = _start(folder.parents[1], step, state / "checkpoints")
    usable(folder, range(start + 1, step + 1))
    terminal.say(f"{read.stage}: steps {start + 1} to {step} from {f'checkpoint {start}' if start else 'its start'}")
    with (
        ray_folder(state) as ray,
        interpreter(settings.engine.device, settings.nodes, ray, log / "preload.log") as python,
    ):
        files = train_rl.written(replace(read, settings=settings), state, log, terminal.say)
        _launch(settings, files, folder, ray, python, log)
    return compared(folder, files.rollouts, range(start + 1, step + 1))


def _start(stage: Path, step: int, checkpoints: Path) -> int:
    """The newest checkpoint of an unfinished stage before `step`, made the one to resume from; 0 without any."""
    checkpoints.mkdir()
    found = {}
    for tracker in stage.glob(f"state/*/checkpoints/{verl_checkpoint.TRACKER}"):
        newest = tracker.read_text().strip()
        for one in tracker.parent.glob("global_step_*"):
            number = int(one.name.rpartition("_")[2])
            if newest.isdigit() and number <= int(newest) and number < step:
                found[number] = one
    if not found:
        return 0
    start = max(found)
    verl_checkpoint.step_folder(checkpoints, start).symlink_to(found[start].resolve())
    (checkpoints / verl_checkpoint.TRACKER).write_text(str(start))
    return start


def _launch(settings: RlTraining, files: verl_config.RlFiles, folder: Path, ray: Path, python: str, log: Path) -> None:
    device = settings.engine.device
    if device == "cuda":
        require_cuda("verl")
    overrides = verl_config.rl_overrides(settings, files, evaluate=False) + verl_config.hydra_overrides(log)
    # Without an engine verl asks for the nodes of engines elsewhere, and starts none there either.
    overrides += [f"+polaris.repeated={json.dumps(str(folder))}", "actor_rollout_ref.rollout.nnodes=1"]
    command = [python, "-m", module_name("small_rl.repeat.verl_repeat"), *overrides]
    env = verl_devices.environment(device)
    cpus = verl_devices.logical_cpus(settings) if device == "cpu" else None
    with ray_cluster(settings.nodes, settings.gpus_per_node, cpus, ray, log / "ray.log", env) as env:
        subprocesses.run(command, log / "verl.log", env, settings.timeout)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m small_rl.repeat.again")
    parser.add_argument("store", type=Path)
    parser.add_argument("--step", type=int, required=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    folder = args.store.resolve()
    work = folder.parents[2] / FOLDER / folder.parents[1].name
    remove(work)
    rows = again(folder, args.step, work)
    shutil.rmtree(work)
    if args.json:
        terminal.say_json([asdict(row) for row in rows])
    else:
        terminal.say("\n".join(terminal.table(lines(rows))))
    if any(row.differs for row in rows):
        raise SystemExit(1)


def lines(rows: list[Compared]) -> list[list[str]]:
    """The steps as rows of a table, its head first."""
    head = ["step", "rewards", "log-probabilities", "advantages", "loss", "gradient norm", "weights"]
    return [head, *([str(value) for value in asdict(row).values()] for row in rows)]


if __name__ == "__main__":
    run_verb(main)
