"""Verb: one RL stage of the specialist: GRPO on verl, with outcome rewards or with CORE's process reward."""

import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from polaris.curves.event_file import EventFile
from polaris.grading.equality.structure import STRUCTURE
from polaris.grading.grading_pool import GradingPool
from polaris.grading.settings import Grading
from polaris.models import canaries
from polaris.models.chat_template import ChatTemplate
from polaris.models.checkpoint import read_checkpoint
from polaris.models.model_context import check_context, with_context
from polaris.models.prompts import load_tokenizer, messages
from polaris.stage import subprocesses
from polaris.stage.code import module_name
from polaris.stage.cuda import require_cuda
from polaris.stage.deadline import deadline
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from polaris.stage.nodes import on_every_node
from polaris.stage.records import ACCURACY, CONSENSUS, MESSAGES, RESCUE_BUFFER, read_problems, read_rows, write_rows
from polaris.stage.stage import Stage, run_verb
from small_rl.reward.core import initial_sets
from small_rl.reward.rescue import BufferedResponse, RescueBuffer
from small_rl.rl_settings import Core, RlTraining, SearchedTemperature
from small_rl.rollouts import about, alarm, hearing, store, updates
from small_rl.rollouts.about import About
from small_rl.training import export_gate, verl_checkpoint, verl_config, verl_devices
from small_rl.training.answer_tokens import tokenised
from small_rl.training.verl_preload import interpreter
from small_rl.training.verl_ray_cluster import ray_cluster, ray_folder


def prompts(problems: dict[str, dict[str, Any]], instruction: str) -> list[dict[str, Any]]:
    """Rows of verl's data set: the chat prompt, the accepted answers as JSON, the problem's id.

    problems: rows of polaris.stage.records.PROBLEMS by id; instruction: appended to each problem's text
    """
    return [
        {
            "prompt": messages(problem["problem"], instruction),
            "data_source": problem["source"],
            "reward_model": {"style": "rule", "ground_truth": json.dumps(problem["answers"])},
            "extra_info": {"index": problem_id},
        }
        for problem_id, problem in problems.items()
    ]


def check(settings: RlTraining, problems: dict[str, Any], where: Path) -> None:
    """Raises UserError for what is wrong before any engine starts: too few problems, or too few nodes."""
    if len(problems) < settings.prompts_per_step:
        raise UserError(
            f"{where}: {len(problems)} problems, but one step needs {settings.prompts_per_step} (prompts_per_step); "
            "add problems or lower it"
        )
    on_every_node(settings.all_nodes, [])  # raises outside a job with these nodes


def write_start_sets(core: Core, grading: Grading, problems: dict[str, Any], consensus: Path, out: Path) -> None:
    """Write the consensus sets that this stage starts from, as rows of records.CONSENSUS.

    consensus: the table of another stage. Raises UserError for sets of other problems, or with other keys.
    """
    rows = read_rows(consensus, CONSENSUS)
    if problems.keys().isdisjoint(row["problem_id"] for row in rows):
        raise UserError(f"{consensus}: no set of this stage's problems: other data, or too few solved (difficulty.k)")
    if core.key == "string" and any(row["step"].startswith(STRUCTURE) for row in rows):
        raise UserError(
            f"{consensus}: its results are keys of `core.key: structure`; set core.key to `structure` here, too"
        )
    golds = {problem_id: problem["answers"] for problem_id, problem in problems.items()}
    with GradingPool(grading.timeout, grading.workers, grading.grader) as pool:
        sets = initial_sets(rows, golds, core, pool.keys if core.key == "structure" else None)
    write_rows(out, sets.rows(), CONSENSUS)


def write_teacher_buffer(answers: Path, problems: dict[str, Any], model: Path, longest: int, out: Path) -> int:
    """Write the buffer of `rescue: teacher`: of each problem the first answer with at most `longest` tokens.

    Returns the number of problems with one. Raises UserError when there is none.
    """
    rows = [row for row in read_rows(answers, MESSAGES) if row["problem_id"] in problems]
    buffer = RescueBuffer()
    for row in reversed(tokenised(rows, model, None)):
        if len(tokens_T := row["input_ids"][row["prompt_tokens"] :]) <= longest:
            buffer.put(row["problem_id"], BufferedResponse(step=0, weights=0, tokens_T=tuple(tokens_T)))
    if not len(buffer):
        raise UserError(
            f"{answers}: none of {len(rows)} answers to the stage's problems has at most {longest} tokens; raise "
            "max_response_length, or set `rescue` to own or false"
        )
    write_rows(out, buffer.rows(), RESCUE_BUFFER)
    return len(buffer)


def check_lengths(rows: list[dict[str, Any]], model: Path, limit: int) -> None:
    """Raises UserError for a prompt of more than `limit` tokens, naming the problem."""
    with ChatTemplate(load_tokenizer(model)) as template:
        for row in rows:
            tokens = len(template.prompt_tokens(row["prompt"]))
            if tokens > limit:
                name = row["extra_info"]["index"]
                raise UserError(f"problem {name}: its prompt has {tokens} tokens, max_prompt_length is {limit}")


def at_temperature(settings: RlTraining, search: Manifest | None) -> RlTraining:
    """The settings with a number as temperature: their own, or the one that `search` chose.

    search: manifest of a temperature search. Raises UserError where the settings need one and it is None.
    """
    if not isinstance(settings.temperature, SearchedTemperature):
        return settings
    if search is None:
        raise UserError(
            f"temperature: {{search: {settings.temperature.search}}} needs --temperature, the manifest of that search"
        )
    chosen = json.loads(search.file("temperature.json").read_text())["temperature"]
    return settings.model_copy(update={"temperature": chosen})


def launch(
    stage: Stage, settings: RlTraining, files: verl_config.RlFiles, ray: Path, python: str, evaluate: bool
) -> None:
    """Run verl until all steps are done; one line of progress per line of metrics.jsonl.

    ray: folder for Ray's sockets; python: of all processes; evaluate: with `validate`, before the first step
    Raises UserError without a GPU for device cuda, and as polaris.stage.subprocesses.run for a hang or a crash.
    """
    device = settings.engine.device
    if device == "cuda":
        require_cuda("verl")
    progress, curves = stage.progress(settings.steps), EventFile(stage.log)

    def follow(line: str) -> None:
        if alarm.SAID in line:
            stage.say(f"warning: {line.partition(alarm.SAID)[2].strip()}")
        if last := curves.update():
            told = {name: last[name] for name in ("accuracy", "reverse_kl") if name in last}
            progress.update(last["step"], "  ".join(f"{name} {value:.2f}" for name, value in told.items()))

    shards = read_checkpoint(files.model).shards
    largest = max(math.prod(tensor.shape) for shard in shards for tensor in shard.tensors.values())
    overrides = verl_config.rl_overrides(settings, files, evaluate, deadline(settings.timeout), largest)
    overrides += verl_config.hydra_overrides(stage.state)
    command = [python, "-m", module_name("small_rl.training.verl_main"), *overrides]
    loggers = verl_config.logging_environment(settings, stage.log)
    stage.say(f"verl starts ({stage.log / 'verl.log'})")
    env = loggers | verl_devices.environment(device)
    cpus = verl_devices.logical_cpus(settings) if device == "cpu" else None
    ray_log = stage.log / "ray.log"
    cluster = ray_cluster(settings.all_nodes, settings.all_gpus_per_node, cpus, ray, ray_log, env, python)
    with curves, cluster as env:
        subprocesses.run(command, stage.log / "verl.log", env, settings.timeout, follow)


def evaluation_due(settings: RlTraining, log: Path, done: int) -> bool:
    """Whether the actor of step `done` still lacks its evaluation: at the start, or after a kill before it."""
    if settings.validation is None or (done % settings.validation.every and done < settings.steps):
        return False
    return done not in [json.loads(line)["step"] for line in log.read_text().splitlines()]


def prompts_file(out: Path, problems: dict[str, dict[str, Any]], settings: RlTraining, model: Path) -> Path:
    """Write verl's data set of some problems. Raises UserError for a prompt that is too long."""
    rows = prompts(problems, settings.instruction)
    check_lengths(rows, model, settings.max_prompt_length)
    write_prompts(out, rows)
    return out


def prepare(stage: Stage, settings: RlTraining, teachers: Mapping[str, Path]) -> verl_config.RlFiles:
    """Write what verl reads into the stage's state, and name what it writes. Raises UserError for bad inputs."""
    sets, answers, benchmark = None, None, None
    if settings.core:
        sets = required(stage, "consensus", "reward: core").file("consensus.parquet")
    if settings.rescue == "teacher":
        answers = required(stage, "teacher", "rescue: teacher").file("messages.parquet")
    data = stage.inputs["data"].file("problems.parquet")
    read = About(stage.name, settings, stage.inputs["start"].model, data, sets, answers)
    files = written(read, stage.state, stage.log, stage.say)
    if settings.core and files.consensus:
        court = stage.log / hearing.NAME
        worst = hearing.hold(read_problems(data), settings.core, settings.grading, files.consensus, court)
        stage.say(f"of the known hacks `{worst.hack}` earns the most from the text alone: {worst.mean:.3f} ({court})")
    if settings.validation:
        questions = read_problems(required(stage, "benchmark", "validate").file("problems.parquet"))
        benchmark = prompts_file(stage.state / "benchmark.parquet", questions, settings, files.model)
    if settings.rollout_store:
        about.write(files.rollouts, read)
    return replace(files, benchmark=benchmark, teachers=teachers)


def written(read: About, state: Path, log: Path, say: Callable[[str], None]) -> verl_config.RlFiles:
    """Write what a training reads into `state`, and name what it writes: into `state` and `log`."""
    settings = read.settings
    start = with_context(read.model, settings.context, settings.engine.yarn, state / "model")
    check_context(start, settings.engine.max_model_len, "raise `context`")
    problems = read_problems(read.problems)
    check(settings, problems, read.problems)
    start_sets = rescue_buffer = None
    if settings.core and read.consensus:
        start_sets = state / "start_sets.parquet"
        write_start_sets(settings.core, settings.grading, problems, read.consensus, start_sets)
    if read.teacher:
        rescue_buffer = state / "rescue_buffer.parquet"
        available = write_teacher_buffer(read.teacher, problems, start, settings.max_response_length, rescue_buffer)
        say(f"teacher answers available for {available} of {len(problems)} problems")
    return verl_config.RlFiles(
        model=start,
        data=prompts_file(state / "prompts.parquet", problems, settings, start),
        checkpoints=state / "checkpoints",
        metrics=log / "metrics.jsonl",
        accuracy=log / "accuracy.jsonl",
        consensus=start_sets,
        rescue_buffer=rescue_buffer,
        validation=log / "validation.jsonl",
        rollouts=log / store.FOLDER,
    )


def required(stage: Stage, name: str, key: str) -> Manifest:
    """An optional input that the settings make necessary. Raises UserError where its flag is missing."""
    if name not in stage.inputs:
        raise UserError(f"{stage.name}: `{key}` needs --{name}, the path of a manifest")
    return stage.inputs[name]


def run(stage: Stage, settings: RlTraining, files: verl_config.RlFiles, ray: Path, python: str) -> int:
    """Train from the last checkpoint to the planned last step; the step reached. Raises UserError for fewer.

    ray, python: as in `launch`
    """
    if done := verl_checkpoint.last_step(files.checkpoints):
        stage.say(f"resumes after step {done}")
    asked = [files.validation] if settings.validation else []
    asked += [files.rollouts / updates.NAME] if settings.rollout_store else []
    for log in (files.metrics, files.accuracy, stage.log / alarm.NAME, *asked):
        verl_checkpoint.keep_curve(log, done)
    store.keep(files.rollouts, done)
    evaluate = evaluation_due(settings, files.validation, done)
    if done < settings.steps or evaluate:
        launch(stage, settings, files, ray, python, evaluate)
    reached = verl_checkpoint.last_step(files.checkpoints)
    if reached < settings.steps:
        raise UserError(
            f"stopped after step {reached} of {settings.steps}, which is saved: another one might not have ended "
            "before `limit` or the end of the job; the same command resumes there"
        )
    return reached


def train(stage: Stage, teachers: Mapping[str, Path] = MappingProxyType({})) -> None:
    """The stage: prepare, train, export, publish. teachers: model folders, by the names of OpdTraining.read"""
    settings = at_temperature(stage.settings, stage.inputs.get("temperature"))
    stage.say(f"temperature {settings.temperature:g}")
    device, preload_log = settings.engine.device, stage.log / "preload.log"
    with ray_folder(stage.state) as ray, interpreter(device, settings.all_nodes, ray, preload_log) as python:
        files = prepare(stage, settings, teachers)  # while verl is imported
        reached = run(stage, settings, files, ray, python)
    folder = verl_checkpoint.step_folder(files.checkpoints, reached)
    deviation, spoken = export_gate.export(folder, files.model, settings.precision, device, stage.partial / "model")
    stage.say(f"exported; its log-probabilities are within {deviation:.1e} of the actor's")
    (stage.partial / canaries.NAME).write_text(json.dumps(spoken) + "\n")
    if settings.core:
        shutil.copyfile(folder / "consensus.parquet", stage.partial / "consensus.parquet")
    write_rows(stage.partial / "accuracy.parquet", accuracy_rows(files.accuracy), ACCURACY)
    last = json.loads(files.metrics.read_text().splitlines()[-1])
    stage.publish(metrics=last | {"temperature": settings.temperature}, planned=settings.steps, reached=reached)


def accuracy_rows(log: Path) -> Iterator[dict[str, Any]]:
    """Rows of records.ACCURACY from the trainer's log, a line per step."""
    for line in map(json.loads, log.read_text().splitlines()):
        for problem_id, accuracy in zip(line["problems"], line["accuracy"], strict=True):
            yield {"step": line["step"], "problem_id": problem_id, "accuracy": accuracy}


def write_prompts(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)


def main() -> None:
    inputs, optional = ("start", "data"), ("consensus", "teacher", "temperature", "benchmark")
    with Stage.from_command_line("small_rl.training.train_rl", RlTraining, inputs=inputs, optional=optional) as stage:
        train(stage)


if __name__ == "__main__":
    run_verb(main)
