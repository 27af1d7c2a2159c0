"""Verb: format SFT, with verl's SFT trainer: the small base model learns to think and to underline its results."""

import json
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING

from polaris.curves.event_file import EventFile
from polaris.stage import subprocesses
from polaris.stage.cuda import require_cuda
from polaris.stage.errors import UserError
from polaris.stage.nodes import own_python
from polaris.stage.records import MESSAGES, TOKENS, read_rows, write_rows
from polaris.stage.stage import Stage, run_verb
from small_rl.format_settings import FormatSft
from small_rl.training import verl_checkpoint, verl_config, verl_devices
from small_rl.training.answer_tokens import tokenised

if TYPE_CHECKING:  # they run in the child; named here because the digest of this verb's code follows imports
    from small_rl.training import verl_chat_data, verl_cpu, verl_plugin  # noqa: F401

STEP_LINE = re.compile(r"step:(\d+) - (.*)")  # of verl's console logger: `step:3 - train/loss:0.7 - train/lr:0.001`


def launch(stage: Stage, start: Path, data: Path, checkpoints: Path, epoch_steps: int, done: int) -> None:
    """Run verl's SFT trainer under torchrun; each step's line goes to log/metrics.jsonl and to the progress."""
    settings: FormatSft = stage.settings
    if settings.device == "cuda":
        require_cuda("verl")
    curve = stage.log / "metrics.jsonl"
    verl_checkpoint.keep_curve(curve, done)
    progress, curves = stage.progress(settings.epochs * epoch_steps), EventFile(stage.log)

    def follow(line: str) -> None:
        if match := STEP_LINE.search(line):
            values = dict(part.rsplit(":", 1) for part in match[2].strip().split(" - "))
            loss = float(values["train/loss"])
            row = {"step": int(match[1]), "loss": loss, "grad_norm": float(values["train/grad_norm"])}
            with curve.open("a") as file:
                file.write(json.dumps(row) + "\n")
            curves.update()
            progress.update(int(match[1]), f"loss {loss:.3f}")

    overrides = verl_config.sft_overrides(settings, start, data, checkpoints, epoch_steps)
    python = own_python()
    torchrun = [python, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={settings.gpus_per_node}"]
    command = [*torchrun, "-m", "verl.trainer.sft_trainer", *overrides, *verl_config.hydra_overrides(stage.state)]
    environment = verl_devices.environment(settings.device) | {"PYTHON_EXEC": python}  # of torchrun's processes
    stage.say(f"verl starts ({stage.log / 'verl.log'})")
    with curves:
        subprocesses.run(command, stage.log / "verl.log", environment, settings.timeout, follow)


def train(stage: Stage) -> None:
    settings: FormatSft = stage.settings
    start, data = stage.inputs["start"].model, stage.inputs["data"].file("messages.parquet")
    rows = tokenised(read_rows(data, MESSAGES), start, settings.max_tokens)
    # As verl counts: each rank drops what does not fill its last batch of an epoch.
    epoch_steps = len(rows) // settings.gpus_per_node // (settings.batch // settings.gpus_per_node)
    steps = settings.epochs * epoch_steps
    if not steps:
        raise UserError(f"{data}: {len(rows)} examples are fewer than one batch ({settings.batch})")
    random.Random(settings.seed).shuffle(rows)  # verl's sampler knows no seed
    tokens, checkpoints = stage.state / "tokens.parquet", stage.state / "checkpoints"
    write_rows(tokens, rows, TOKENS)
    if done := verl_checkpoint.last_step(checkpoints):
        stage.say(f"resumes after step {done}")
    if done < steps:
        launch(stage, start, tokens, checkpoints, epoch_steps, done)
    reached = verl_checkpoint.last_step(checkpoints)
    if reached == steps:
        trained = verl_checkpoint.step_folder(checkpoints, reached) / "huggingface"
        verl_checkpoint.export(trained, start, settings.precision, stage.partial / "model")
    last = json.loads((stage.log / "metrics.jsonl").read_text().splitlines()[-1])
    stage.publish(metrics={"examples": len(rows), "loss": last["loss"]}, planned=steps, reached=reached)


def main() -> None:
    with Stage.from_command_line("small_rl.training.train_format", FormatSft, inputs=("start", "data")) as stage:
        train(stage)


if __name__ == "__main__":
    run_verb(main)
