"""Stage: Megatron SFT of the generalist on the specialist's traces.

The work is done by `large_sft.megatron_train` in torchrun's processes; here are the checks that need no engine, the
launch, the progress and the publication. The same command continues after a kill.
"""

import dataclasses
import json
import os
import re
import sys
from pathlib import Path

import numpy as np

from large_sft import layout, megatron_train
from large_sft.packing import Pack, filled, plan
from large_sft.settings import Sft
from large_sft.tokens import Traces, read_traces
from large_sft.weights import Weights, architecture, check
from polaris import child
from polaris.errors import UserError
from polaris.nodes import free_port, on_every_node, this_node
from polaris.progress import Progress
from polaris.stage import Stage, run_verb

CAUSE = re.compile(r"error: (.+)|(?:\[rank\d+\]: )?((?:\w+\.)*\w*(?:Error|Exception): .+)")


def checked(start: Path, traces: Traces, settings: Sft) -> list[list[Pack]]:
    """The packs of every step, after everything that can be wrong before an engine starts. Raises UserError."""
    model = architecture(start)
    check(Weights(start, "numpy"), model)
    layout.check(model, settings)
    if settings.pack_tokens <= model.context:
        traces.check(model.vocabulary, settings.pack_tokens, "pack_tokens")
    else:
        traces.check(model.vocabulary, model.context, "the model's context")
    if settings.min_learning_rate > settings.learning_rate:
        raise UserError("min_learning_rate: it is above learning_rate")
    return plan(
        traces.lengths_R.tolist(),
        settings.pack_tokens,
        layout.packs_per_batch(settings),
        settings.epochs,
        np.random.default_rng(settings.seed),
    )


def launch(job: Path, settings: Sft, log: Path, progress: Progress) -> None:
    """Run the training under torchrun and follow its steps. Raises UserError when it fails."""
    nodes, processes = settings.layout.nodes, settings.layout.processes
    head = "127.0.0.1" if nodes == 1 else this_node()
    command = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nnodes", str(nodes), "--nproc-per-node", str(processes)),
        *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{head}:{free_port(head)}", "--rdzv-id", job.parent.name),
        *("-m", megatron_train.__name__, str(job)),
    ]
    environment = {
        **({"GLOO_SOCKET_IFNAME": "lo"} if nodes == 1 else {}),
        # Transformer Engine under sequence parallelism needs kernels in the order of their launch.
        "CUDA_DEVICE_MAX_CONNECTIONS": "1",
        "OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // processes)),
    }

    causes: list[str] = []

    def follow(line: str) -> None:
        if line.startswith('{"step"'):
            values = json.loads(line)
            progress.update(values["step"], f"loss {values['loss']:.4f}")
        elif match := CAUSE.match(line):
            causes.append(match[match.lastindex])

    try:
        child.run(on_every_node(nodes, command), log, environment, settings.limit, follow)
    except UserError as error:
        # The first process to fail tells why; the log ends with what the others and torchrun say about that.
        raise UserError(f"{causes[0]} (all of it: {log})" if causes else str(error)) from None


def main() -> None:
    with Stage.from_command_line("large_sft.train_sft", Sft, inputs=("start", "data")) as stage:
        settings: Sft = stage.settings
        start, tokens = stage.inputs["start"].model, stage.inputs["data"].file("tokens.parquet")
        traces = read_traces(tokens)
        packs_SK = checked(start, traces, settings)
        lengths_R = traces.lengths_R.tolist()
        fill = filled(packs_SK, lengths_R, settings.pack_tokens)
        seen = [row for packs in packs_SK for pack in packs for row in pack]
        stage.say(f"{len(seen)} traces in {len(packs_SK)} steps, packs filled to {fill:.1%}")
        metrics = stage.log / "metrics.jsonl"
        job = stage.state / "job.json"
        asked = megatron_train.Job(
            settings=settings.model_dump(mode="json"),
            start=str(start.absolute()),
            tokens=str(tokens.absolute()),
            state=str(stage.state),
            out=str(stage.partial / "model"),
            metrics=str(metrics),
        )
        job.write_text(json.dumps(dataclasses.asdict(asked)))
        launch(job, settings, stage.log / "torchrun.log", Progress(stage.name, len(packs_SK)))
        steps = [json.loads(line) for line in metrics.read_text().splitlines()]
        stage.publish(
            metrics={
                "loss": steps[-1]["loss"],
                "first_loss": steps[0]["loss"],
                "fill": round(fill, 4),
                "traces": len(seen),
                "tokens": sum(step["tokens"] for step in steps),
                "loss_tokens": sum(step["loss_tokens"] for step in steps),
            },
            planned=len(packs_SK),
            reached=steps[-1]["step"],
        )


if __name__ == "__main__":
    run_verb(main)
