"""kill -9 at random moments of the whole test recipe: verbs, Ray workers, vLLM engines, Megatron ranks, Snakemake
itself.

    python tests/chaos/kill_run.py FOLDER [--reference RUN] [--seed 1]

FOLDER/broken is struck at the pairs of a kind of process and a stage that the seed draws, once each, and started again
with the same command after each strike, as a person would; FOLDER/reference runs undisturbed (or is given: the folder
of a finished run). Every stage's content must then be the reference's, and no process may be left. FOLDER/faults.jsonl
remembers the strikes: this command, given again, goes on. Prints the table of docs/reliability.md; ends with status 1
at a broken promise. About 40 minutes on 2 cores.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from polaris.stage import manifest
from polaris.stage.code import PACKAGES
from tests.pipeline.conftest import command

# What a process is called by its command line. A snakemake that dies leaves its job alive: the next one meets its lock.
KINDS = {
    "ray worker": lambda line: line.startswith("ray::WorkerDict"),
    "vLLM engine": lambda line: line.startswith("VLLM::EngineCore"),
    "Megatron rank": lambda line: "large_sft.training.megatron_" in line and "torch.distributed.run" not in line,
    "verb": lambda line: any(f" -m {package}." in line for package in PACKAGES) and " --out " in line,
    "snakemake": lambda line: " -m snakemake " in line,
}
# Share of a kind's stages at which it is struck: few stages have the rare kinds.
SHARES = {"ray worker": 1.0, "vLLM engine": 0.3, "Megatron rank": 1.0, "verb": 0.1, "snakemake": 0.06}
ATTEMPTS = 60  # starts without a strike: of the one that finds a stage's lock still held, every 15 seconds
LONGEST = 30.0  # seconds from a process's first sight to its end
MANIFESTS = ("checkpoint.json", "data.json")


def started(folder: Path) -> subprocess.Popen:
    folder.mkdir(parents=True, exist_ok=True)
    log = (folder / "snakemake.log").open("a")
    return subprocess.Popen(command(), cwd=folder, stdout=log, stderr=log, start_new_session=True)


def line_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def stage_of(process: psutil.Process) -> str:
    """The folder that the verb above (or at) this process makes; empty outside every verb.

    A forked process has no verb above it, but one that writes into the stage's log.
    """
    try:
        for one in [process, *process.parents()]:
            words = line_of(one).split()
            if "--out" in words:
                return str(Path(words[words.index("--out") + 1]).parent.relative_to("runs/test"))
            for file in one.open_files():
                if written := re.search(r"/runs/test/(.+?)/(?:log|state)/", file.path):
                    return written[1]
    except psutil.Error:
        pass
    return ""


def candidates(run: subprocess.Popen) -> Iterator[tuple[str, str, psutil.Process]]:
    """(kind, stage, process) of what could be struck now; Snakemake itself once for each stage that it runs."""
    for process in psutil.Process(run.pid).children(recursive=True):
        line, stage = line_of(process), stage_of(process)
        for kind, is_one in KINDS.items():
            if stage and is_one(line):
                yield kind, stage, process
                break
        if stage and KINDS["verb"](line):
            yield "snakemake", stage, psutil.Process(run.pid)


def drawn(kind: str, stage: str, seed: int) -> bool:
    """Whether this seed strikes that kind of process at that stage."""
    return random.Random(f"{seed} {kind} {stage}").random() < SHARES[kind]


def strike(run: subprocess.Popen, done: set[tuple[str, str]], seed: int, folder: Path) -> dict | None:
    """End one process that was not struck before; None when the run ended by itself before there was one."""
    rng = random.Random(f"{seed} {len(done)}")
    while run.poll() is None:
        new = [one for one in candidates(run) if one[:2] not in done and drawn(*one[:2], seed)]
        if not new:
            time.sleep(0.3)
            continue
        kind, stage, process = rng.choice(new)
        time.sleep(rng.uniform(0, LONGEST))
        try:
            seconds, steps = time.time() - process.create_time(), steps_of(folder, stage)
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
        return {"kind": kind, "stage": stage, "seconds": round(seconds, 1), "steps": steps}
    return None


def steps_of(folder: Path, stage: str) -> int | None:
    """Lines of a training's log."""
    path = folder / "runs/test" / stage / "log/metrics.jsonl"
    return path.read_text().count("\n") if stage and path.is_file() else None


def left_over(folder: Path) -> list[str]:
    """Command lines of living processes that belong to the run in this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(folder)) and process.pid != os.getpid():
                found.append(line_of(process)[:100])
        except psutil.Error:
            continue
    return found


def contents(run: Path) -> dict[str, str]:
    """Stage -> digest of what its consumers read. The report holds times and is left out."""
    paths = [path for name in MANIFESTS for path in run.rglob(name) if path.parent.name != "report"]
    return {str(path.parent.relative_to(run)): manifest.load(path).content for path in sorted(paths)}


def finished(folder: Path) -> Path:
    """The reference: a run that nobody disturbs."""
    if started(folder).wait():
        sys.exit(f"the undisturbed run failed by itself: {folder / 'snakemake.log'}")
    return folder / "runs/test"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reference", type=Path, help="folder of a finished run of the test recipe: .../runs/test")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    folder = args.folder.absolute()
    broken, log = folder / "broken", folder / "faults.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    faults = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    starts, vain, code = 0, 0, None
    while code != 0 and vain < ATTEMPTS:
        starts, vain = starts + 1, vain + 1
        run = started(broken)
        done = {(fault["kind"], fault["stage"]) for fault in faults}
        if fault := strike(run, done, args.seed, broken):
            vain = 0
            faults.append(fault)
            with log.open("a") as file:
                file.write(json.dumps(fault) + "\n")
            print(json.dumps(fault), file=sys.stderr, flush=True)
        code = run.wait()
        if code:
            time.sleep(5)  # a person does not type faster; a job that lost its Snakemake may still hold its stage
    print("| SIGKILL of | stage | after s | steps done |\n|---|---|---|---|")
    for fault in faults:
        print(f"| {fault['kind']} | {fault['stage'] or '-'} | {fault['seconds']} | {fault['steps'] or '-'} |")
    reference = args.reference.absolute() if args.reference else finished(folder / "reference")
    wanted, made = contents(reference), contents(broken / "runs/test")
    other = sorted(name for name in wanted if made.get(name) != wanted[name])
    time.sleep(60)  # an engine's children have so long to end
    left = left_over(broken)
    print(
        f"\n{len(faults)} strikes, {starts} starts; {len(wanted) - len(other)} of {len(wanted)} stages as undisturbed"
    )
    print(f"different: {', '.join(other) or 'none'}; processes left: {len(left)}")
    sys.exit(bool(code or other or left))


if __name__ == "__main__":
    main()
