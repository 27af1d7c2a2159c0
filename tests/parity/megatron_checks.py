"""Run under torchrun by megatron_layouts.py: several checks in one start of megatron-core.

usage: megatron_checks.py JOB STEPS [MODEL ...]: with the layout of JOB, its model is read and written again to `out`, a
pack's loss is compared with its traces', and STEPS steps are trained, from the checkpoint in `state` if there is one;
otherwise a checkpoint before the last step is gone on with. Each further MODEL (one process only) is read, written to
MODEL/again, and asked for its logits. What was seen is in seen.json of `state`.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file

from large_sft.training import megatron_cpu

megatron_cpu.install()

from megatron.core import parallel_state

from large_sft.model.weights import Weights
from large_sft.settings import Sft
from large_sft.traces.tokens import Traces
from large_sft.training import megatron_checkpoint, megatron_hf, megatron_loop, megatron_processes
from large_sft.training.job import TrainingJob
from large_sft.training.megatron_batch import Batch


def traces(rows: list[list[int]], prompt_tokens: list[int]) -> Traces:
    offsets = np.cumsum([0, *map(len, rows)])
    return Traces(Path("rows"), np.concatenate(rows).astype(np.int32), offsets, np.array(prompt_tokens))


def forward(model: torch.nn.Module, batch: Batch, labels: bool) -> torch.Tensor:
    return model(**batch.inputs(), labels=batch.labels if labels else None)


@torch.no_grad()
def inspect(folder: Path, settings: Sft) -> None:
    """Round trip, logits of the first prompt, the loss of a pack against that of its traces one by one, and fused in
    chunks.
    """
    weights = Weights(folder, "pt")
    chunks = megatron_hf.read_model(weights, settings)
    megatron_hf.export(chunks, folder / "again", weights, 2e5)
    rows = load_file(folder.parent / "prompts.safetensors")["ids"].tolist()
    lengths, prompts = [len(row) for row in rows], [3 + 5 * i for i in range(len(rows))]
    few, model = traces(rows, prompts), chunks[0]
    logits = forward(model, Batch((0,), few, lengths[0], "cpu"), labels=False)
    together = Batch(tuple(range(len(rows))), few, sum(lengths) + 7, "cpu")
    packed = (forward(model, together, labels=True) * together.mask).sum()
    alone = [Batch((row,), few, length, "cpu") for row, length in enumerate(lengths)]
    single = sum((forward(model, batch, labels=True) * batch.mask).sum() for batch in alone)
    counts = torch.stack([together.mask.sum(), sum(batch.mask.sum() for batch in alone)])
    chunked = megatron_hf.read_model(weights, settings, loss_chunk=16)
    chunked[0].config.cross_entropy_loss_fusion = chunked[0].config.bias_activation_fusion = True
    fused = (forward(chunked[0], together, labels=True) * together.mask).sum()
    out = {"logits": logits, "packed": packed, "single": single, "fused": fused, "counts": counts}
    save_file({name: tensor.contiguous() for name, tensor in out.items()}, folder / "seen.safetensors")


@torch.no_grad()
def packed_and_single(trainer: megatron_loop.Trainer) -> list[float]:
    """The mean loss of the first step's fullest pack, together and trace by trace, through the layout's own
    schedule.
    """
    pack = max(trainer.job.packs_SK[0], key=len)
    stages = trainer.settings.layout.pipeline
    losses = []
    for packs in ([pack], [(row,) for row in pack]):
        packs += [()] * (-len(packs) % stages)  # chunks of layers want a multiple of the stages
        total, count = trainer._over_processes(trainer.losses(packs, forward_only=True))
        losses.append(total / count)
    return losses


def goes_on_alike(trainer: megatron_loop.Trainer, last: int) -> bool:
    """Whether another trainer, from the checkpoint, has the same weights after the last step, to the bit, on every
    rank.
    """
    again = megatron_loop.Trainer(trainer.job)
    assert again.resume() == last - 1
    again.step(last)
    pairs = [zip(a.parameters(), b.parameters(), strict=True) for a, b in zip(trainer.bare, again.bare, strict=True)]
    same = torch.tensor(float(all(torch.equal(a, b) for chunk in pairs for a, b in chunk)))
    dist.all_reduce(same, op=dist.ReduceOp.MIN)
    return bool(same)


def main() -> None:
    job, steps = TrainingJob.read(Path(sys.argv[1])), int(sys.argv[2])
    settings = job.settings
    megatron_processes.start_processes(settings)
    trainer = megatron_loop.Trainer(job)
    megatron_hf.export(trainer.bare, job.out, trainer.base, settings.shard_gb * 1e9)
    packed, single = packed_and_single(trainer)
    reached = trainer.resume()
    megatron_processes.bound_waits(megatron_processes.COLLECTIVE)
    groups = [
        parallel_state.get_data_parallel_group(),
        parallel_state.get_tensor_model_parallel_group(),
        dist.group.WORLD,
    ]
    bounds = {group._get_backend(torch.device("cpu")).options._timeout for group in groups}
    assert bounds == {megatron_processes.COLLECTIVE}, f"a step's collectives wait as long as {bounds}"
    with contextlib.suppress(RuntimeError):
        megatron_processes.all_entries({"the same on every rank": 0})
        assert dist.get_world_size() == 1, "a tensor of two processes is an error"
    saver = megatron_checkpoint.Saver(job.state, trainer.training)
    for step in range(reached + 1, steps + 1):
        if step == steps and dist.get_rank() == dist.get_world_size() - 1:
            os.kill(os.getpid(), signal.SIGUSR1)
        trainer.step(step)
        assert trainer.must_stop == (step == steps), "the warning of one rank is every rank's"
        if step == steps - 1:
            saver.save(step)  # written while the last step changes the weights
    saver.wait()
    decay = {group["weight_decay"] for group in trainer.optimizer.param_groups if group["wd_mult"] == 0}
    assert decay == {0.0}, f"weight decay of the norms: {decay}"
    resumed = None if reached else goes_on_alike(trainer, steps)
    if dist.get_rank() == 0:
        seen = {"packed": packed, "single": single, "resumed": resumed}
        (job.state / "seen.json").write_text(json.dumps(seen))
    for folder in sys.argv[3:]:
        inspect(Path(folder), settings)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
