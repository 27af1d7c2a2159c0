"""Stage: Megatron SFT of the generalist on the specialist's traces.

The work is done by `large_sft.training.megatron_train` in torchrun's processes; here are the checks that need no
engine, the launch, the progress and the publication. The same command continues after a kill.
"""

import contextlib
import dataclasses
import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from large_sft.model import layout
from large_sft.model.weights import Weights, architecture, check
from large_sft.settings import Sft
from large_sft.traces.packing import Pack, filled, plan
from large_sft.traces.tokens import Traces, read_traces
from large_sft.training import megatron_train
from large_sft.training.job import TrainingJob, TrainingResult
from large_sft.training.torchrun import launch
from polaris.curves.event_file import EventFile
from polaris.models import canaries
from polaris.stage.deadline import deadline
from polaris.stage.errors import UserError
from polaris.stage.stage import Stage, run_verb


def planned_packs(start: Path, traces: Traces, settings: Sft) -> list[list[Pack]]:
    """The packs of every step, after everything that can be wrong before an engine starts. Raises UserError."""
    model = architecture(start)
    check(Weights(start, "numpy"), model)
    layout.check(model, settings)
    if settings.seq_length <= model.context:
        traces.check(model.vocabulary, settings.seq_length, "seq_length")
    else:
        traces.check(model.vocabulary, model.context, "the model's context")
    if settings.min_learning_rate > settings.learning_rate:
        raise UserError("min_learning_rate: it is above learning_rate")
    return plan(
        layout.padded_lengths(traces.lengths_R.tolist(), settings.layout),
        settings.seq_length,
        layout.packs_per_batch(settings),
        settings.epochs,
        np.random.default_rng(settings.seed),
    )


def check_gate(stage: Stage) -> None:
    """Raises UserError when the conversion gate was passed by another start model, in another layout or by other
    modules.
    """
    if (gate := stage.inputs.get("conversion")) is None:
        return
    now = stage.settings.model_dump(mode="json")
    other = [name for name in ("layout", "transformer_impl", "dispatcher") if gate.settings.get(name) != now[name]]
    if other or gate.inputs["start"]["content"] != stage.inputs["start"].content:
        what = other[0] if other else "start model"
        raise UserError(
            f"{gate.path}: this gate was passed with another {what}; run large_sft.training.check_conversion again"
        )


ENDING = 30.0  # seconds for the processes to end, on a busy machine


@dataclasses.dataclass
class TimeLimit:
    """Whether there is time for another step and a checkpoint, by the longest so far; all in seconds.

    end: since the epoch. Until a checkpoint has been timed, it counts as a tenth of the limit.
    """

    limit: float
    end: float
    step: float = 0.0
    save: float | None = None

    def read(self, line: dict[str, Any]) -> None:
        """Note how long a step or a checkpoint took, as rank 0 prints it."""
        if "step" in line:
            self.step = max(self.step, line["seconds"])
        else:
            self.save = max(self.save or 0.0, line["seconds"])

    def is_short(self, now: float) -> bool:
        """A step has begun; after one more a checkpoint would come too late."""
        save = 0.1 * self.limit if self.save is None else self.save
        return now + 2 * self.step + save + ENDING > self.end


@contextlib.contextmanager
def stop_on_signal(request: Path) -> Iterator[None]:
    """Within the block SIGTERM and SIGUSR1 (Slurm's warning) become the file `request`: a step ends, and is saved.

    A second one ends this process, and with it the training.
    """

    def request_stop(number: int, frame: Any) -> None:
        request.write_text(signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, request_stop) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_training(stage: Stage, job: TrainingJob) -> TrainingResult:
    """Run the job under torchrun, show its steps, and stop it before the time limit. Raises UserError."""
    for old in (job.stop_request, job.result):
        old.unlink(missing_ok=True)
    job.write(path := stage.state / "job.json")
    limit = job.settings.timeout
    progress, curves = stage.progress(len(job.packs_SK)), EventFile(stage.log)
    time_limit = TimeLimit(limit, deadline(limit))

    def follow(line: str) -> None:
        if not line.startswith(('{"step"', '{"saved"')):
            return
        values = json.loads(line)
        time_limit.read(values)
        if "step" in values:
            curves.update()
            progress.update(values["step"], f"loss {values['loss']:.4f}")
            if time_limit.is_short(time.time()) and not job.stop_request.exists():
                job.stop_request.write_text("time limit")

    with curves, stop_on_signal(job.stop_request):
        launch(megatron_train.__name__, path, job.settings, stage.log / "torchrun.log", follow)
    return TrainingResult.read(job.result)


def main() -> None:
    with Stage.from_command_line(
        "large_sft.training.train_sft", Sft, inputs=("start", "data"), optional=("conversion",)
    ) as stage:
        settings: Sft = stage.settings
        check_gate(stage)
        start, tokens = stage.inputs["start"].model, stage.inputs["data"].file("tokens.parquet")
        traces = read_traces(tokens)
        packs_SK = planned_packs(start, traces, settings)
        count = sum(len(pack) for packs in packs_SK for pack in packs)
        fill = filled(packs_SK, traces.lengths_R.tolist(), settings.seq_length)
        stage.say(f"{count} traces in {len(packs_SK)} steps, packs filled to {fill:.1%}")
        job = TrainingJob(
            settings=settings,
            start=start.absolute(),
            tokens=tokens.absolute(),
            packs_SK=packs_SK,
            state=stage.state,
            out=stage.partial / "model",
            metrics=stage.log / "metrics.jsonl",
        )
        result = run_training(stage, job)
        if result.stopped:
            raise UserError(
                f"{result.stopped}: stopped after step {result.reached} of {len(packs_SK)}, which is saved; "
                f"the same command goes on from there"
            )
        shutil.copyfile(job.canaries, stage.partial / canaries.NAME)
        stage.publish(
            metrics={
                "loss": result.loss,
                "first_loss": result.first_loss,
                "fill": round(fill, 4),
                "traces": count,
                "tokens": result.tokens,
                "loss_tokens": result.loss_tokens,
            },
            planned=len(packs_SK),
            reached=result.reached,
        )


if __name__ == "__main__":
    run_verb(main)
