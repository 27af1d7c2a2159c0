"""Verb: one RL stage of the specialist: GRPO on verl, with outcome rewards or with CORE's process reward."""

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polaris.grading.answers import STRUCTURE
from polaris.grading.grading_pool import GradingPool
from polaris.grading.settings import Grading
from polaris.models.chat_template import ChatTemplate
from polaris.models.model_context import check_context, with_context
from polaris.models.prompts import load_tokenizer, messages
from polaris.stage import child
from polaris.stage.cuda import require_cuda
from polaris.stage.deadline import deadline
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from polaris.stage.nodes import on_every_node
from polaris.stage.progress import Progress
from polaris.stage.records import ACCURACY, CONSENSUS, MESSAGES, SINK, read_problems, read_rows, write_rows
from polaris.stage.settings import read_section
from polaris.stage.stage import Stage, run_verb
from small_rl.reward.core import initial_sets
from small_rl.reward.rescue import Kept, Sink
from small_rl.rl_settings import Core, RlTraining, SearchedTemperature
from small_rl.training import export_gate, verl_checkpoint, verl_config, verl_devices
from small_rl.training.answer_tokens import tokenised
from small_rl.training.verl_ray_cluster import ray_cluster

RAY_FOLDERS = Path("/tmp"), "ray-"  # where they lie, and how their names begin


def prompts(problems: dict[str, dict[str, Any]], instruction: str) -> list[dict[str, Any]]:
    """Rows of verl's data set: the chat prompt, the accepted answers as JSON, the problem's id."""
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
    """What can be known to be wrong before any engine starts."""
    if len(problems) < settings.prompts_per_step:
        raise UserError(
            f"{where}: {len(problems)} problems are fewer than prompts_per_step ({settings.prompts_per_step}); "
            "one step needs so many different ones"
        )
    on_every_node(settings.nodes, [])  # raises where there are not so many


def write_start_sets(core: Core, grading: Grading, problems: dict[str, Any], consensus: Path, out: Path) -> None:
    """The consensus sets that this stage starts from. Raises UserError for sets of other problems."""
    rows = read_rows(consensus, CONSENSUS)
    if problems.keys().isdisjoint(row["problem_id"] for row in rows):
        raise UserError(f"{consensus}: none of the stage's problems has a consensus set here; are these its data's?")
    if core.key == "string" and any(row["step"].startswith(STRUCTURE) for row in rows):
        raise UserError(
            f"{consensus}: its steps have keys of structure, so that core.key must be `structure` here, too"
        )
    golds = {problem_id: problem["answers"] for problem_id, problem in problems.items()}
    with GradingPool(grading.timeout, grading.workers, grading.grader) as pool:
        sets = initial_sets(rows, golds, core, pool.keys if core.key == "structure" else None)
    write_rows(out, sets.rows(), CONSENSUS)


def write_teacher_sink(answers: Path, problems: dict[str, Any], model: Path, longest: int, out: Path) -> int:
    """A full sink for `rescue: teacher`: of each problem the first answer with at most `longest` tokens. Their number.

    Raises UserError when no problem has one.
    """
    rows = [row for row in read_rows(answers, MESSAGES) if row["problem_id"] in problems]
    sink = Sink()
    for row in reversed(tokenised(rows, model, None)):
        if len(tokens_T := row["input_ids"][row["prompt_tokens"] :]) <= longest:
            sink.keep(row["problem_id"], Kept(step=0, weights=0, tokens_T=tuple(tokens_T)))
    if not len(sink):
        raise UserError(
            f"{answers}: {len(rows)} answers to the stage's problems, and none has at most "
            f"max_response_length ({longest}) tokens"
        )
    write_rows(out, sink.rows(), SINK)
    return len(sink)


def check_lengths(rows: list[dict[str, Any]], model: Path, limit: int) -> None:
    """Raises UserError for a prompt of more than `limit` tokens, naming the problem."""
    with ChatTemplate(load_tokenizer(model)) as template:
        for row in rows:
            tokens = len(template.prompt_tokens(row["prompt"]))
            if tokens > limit:
                name = row["extra_info"]["index"]
                raise UserError(f"problem {name}: its prompt has {tokens} tokens, max_prompt_length is {limit}")


@contextlib.contextmanager
def ray_folder(state: Path) -> Iterator[Path]:
    """A folder with a short path for Ray's sockets (at most 107 characters), removed afterwards.

    state/ray points to it, so that the next start removes it after a kill.
    """
    link, (place, prefix) = state / "ray", RAY_FOLDERS
    if link.is_symlink():
        left = link.readlink()
        if left.parent == place and left.name.startswith(prefix):  # nobody else's folder is removed
            shutil.rmtree(left, ignore_errors=True)
        link.unlink()
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    link.symlink_to(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        link.unlink()


def at_temperature(settings: RlTraining, search: Manifest | None) -> RlTraining:
    """The settings with a number as temperature: their own, or what `search` has chosen. Raises UserError without
    it.
    """
    if not isinstance(settings.temperature, SearchedTemperature):
        return settings
    if search is None:
        raise UserError(
            f"temperature: {{search: {settings.temperature.search}}} needs --temperature, the manifest of that search"
        )
    chosen = json.loads(search.file("temperature.json").read_text())["temperature"]
    return settings.model_copy(update={"temperature": chosen})


def launch(stage: Stage, settings: RlTraining, files: verl_config.RlFiles, ray: Path, evaluate: bool) -> None:
    """Run verl until all steps are done; a line of progress for each line of metrics.jsonl."""
    device = settings.engine.device
    if device == "cuda":
        require_cuda("verl")
    progress = Progress(stage.name, settings.steps)
    seen = files.metrics.stat().st_size

    def follow(line: str) -> None:
        nonlocal seen
        if files.metrics.stat().st_size == seen:
            return
        seen = files.metrics.stat().st_size
        lines = files.metrics.read_text().splitlines()
        if lines and lines[-1].endswith("}"):
            last = json.loads(lines[-1])
            progress.update(last["step"], f"accuracy {last['accuracy']:.2f}")

    overrides = verl_config.rl_overrides(settings, files, evaluate, deadline(settings.timeout))
    overrides += verl_config.hydra_overrides(stage.state)
    command = [sys.executable, "-m", "small_rl.training.verl_main", *overrides]
    stage.say(f"verl starts ({stage.log / 'verl.log'})")
    env = verl_devices.environment(device)
    cpus = verl_devices.logical_cpus(settings) if device == "cpu" else None
    with ray_cluster(settings.nodes, settings.gpus_per_node, cpus, ray, stage.log / "ray.log", env) as env:
        child.run(command, stage.log / "verl.log", env, settings.timeout, follow)


def evaluation_due(settings: RlTraining, log: Path, done: int) -> bool:
    """Whether the actor of step `done` should have been evaluated and was not: at the start, or a kill came between."""
    if settings.validation is None or (done % settings.validation.every and done < settings.steps):
        return False
    return done not in [json.loads(line)["step"] for line in log.read_text().splitlines()]


def prompts_file(out: Path, problems: dict[str, dict[str, Any]], settings: RlTraining, model: Path) -> Path:
    """Write verl's data set of some problems. Raises UserError for a prompt that is too long."""
    rows = prompts(problems, settings.instruction)
    check_lengths(rows, model, settings.max_prompt_length)
    write_prompts(out, rows)
    return out


def train(stage: Stage) -> None:
    settings = at_temperature(stage.settings, stage.inputs.get("temperature"))
    stage.say(f"temperature {settings.temperature:g}")
    start = with_context(stage.inputs["start"].model, settings.context, settings.engine.yarn, stage.state / "model")
    check_context(start, settings.engine.max_model_len, "raise `context`")
    data = stage.inputs["data"].file("problems.parquet")
    given = stage.inputs.get("consensus")
    problems = read_problems(data)
    check(settings, problems, data)
    if settings.core and given is None:
        raise UserError("reward: core needs --consensus, the manifest with the consensus sets to start from")
    sets = stage.state / "start_sets.parquet" if settings.core else None
    if sets:
        write_start_sets(settings.core, settings.grading, problems, given.file("consensus.parquet"), sets)
    sink = None
    if settings.rescue == "teacher":
        if "teacher" not in stage.inputs:
            raise UserError("rescue: teacher needs --teacher, the manifest of the teacher's answers")
        sink, answers = stage.state / "teacher_sink.parquet", stage.inputs["teacher"].file("messages.parquet")
        helped = write_teacher_sink(answers, problems, start, settings.max_response_length, sink)
        stage.say(f"the teacher's answers stand by for {helped} of {len(problems)} problems")
    data_file = prompts_file(stage.state / "prompts.parquet", problems, settings, start)
    benchmark = None
    if settings.validation:
        if "benchmark" not in stage.inputs:
            raise UserError("validate needs --benchmark, the manifest of the problems that it names")
        asked = read_problems(stage.inputs["benchmark"].file("problems.parquet"))
        benchmark = prompts_file(stage.state / "benchmark.parquet", asked, settings, start)
    checkpoints = stage.state / "checkpoints"
    logs = metrics, accuracy, validation = [
        stage.log / f"{name}.jsonl" for name in ("metrics", "accuracy", "validation")
    ]
    if done := verl_checkpoint.last_step(checkpoints):
        stage.say(f"goes on after step {done}")
    for log in logs if settings.validation else logs[:2]:
        verl_checkpoint.keep_curve(log, done)
    evaluate = evaluation_due(settings, validation, done)
    if done < settings.steps or evaluate:
        with ray_folder(stage.state) as ray:
            written = (data_file, checkpoints, metrics, accuracy)
            files = verl_config.RlFiles(start, *written, sets, sink, benchmark, validation)
            launch(stage, settings, files, ray, evaluate)
    reached = verl_checkpoint.last_step(checkpoints)
    if reached < settings.steps:
        raise UserError(
            f"stopped after step {reached} of {settings.steps}, which is saved: another one might not have ended "
            "before `limit` or the end of the job; the same command goes on from there"
        )
    folder = verl_checkpoint.step_folder(checkpoints, reached)
    precision, device = settings.precision, settings.engine.device
    deviation = export_gate.export(folder, start, precision, device, stage.partial / "model")
    stage.say(f"exported; its log-probabilities are within {deviation:.1e} of the actor's")
    if settings.core:
        shutil.copyfile(folder / "consensus.parquet", stage.partial / "consensus.parquet")
    write_rows(stage.partial / "accuracy.parquet", accuracy_rows(accuracy), ACCURACY)
    last = json.loads(metrics.read_text().splitlines()[-1])
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


def print_overrides() -> None:
    """`--print-overrides --settings S`: what verl would be told, with stand-ins for the files."""
    settings = at_temperature(read_section(RlTraining, sys.argv[sys.argv.index("--settings") + 1]), None)
    names = ["MODEL", "PROMPTS", "CHECKPOINTS", "METRICS", "ACCURACY", "CONSENSUS", "SINK", "BENCHMARK", "VALIDATION"]
    print("\n".join(verl_config.rl_overrides(settings, verl_config.RlFiles(*map(Path, names)))))


def main() -> None:
    if "--print-overrides" in sys.argv:
        print_overrides()
        return
    inputs, optional = ("start", "data"), ("consensus", "teacher", "temperature", "benchmark")
    with Stage.from_command_line("small_rl.training.train_rl", RlTraining, inputs=inputs, optional=optional) as stage:
        train(stage)


if __name__ == "__main__":
    run_verb(main)
