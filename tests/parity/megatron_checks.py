"""Run under torchrun by test_megatron.py: several checks in one start of megatron-core.

usage: megatron_checks.py JOB STEPS [MODEL ...]: with the layout of JOB, its model is read and written again to `out`, and
STEPS steps are trained; each further MODEL (one process only) is read, written to MODEL/again, and asked for its logits.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from large_sft import megatron_cpu

megatron_cpu.install()

from large_sft import megatron_hf, megatron_loop, megatron_model
from large_sft.megatron_train import Job
from large_sft.settings import Sft
from large_sft.tokens import Traces
from large_sft.weights import Weights, architecture


def traces(rows: list[list[int]], prompt_tokens: list[int]) -> Traces:
    offsets = np.cumsum([0, *map(len, rows)])
    return Traces(Path("rows"), np.concatenate(rows).astype(np.int32), offsets, np.array(prompt_tokens))


def forward(model: torch.nn.Module, batch: megatron_loop.Batch, labels: bool) -> torch.Tensor:
    return model(
        input_ids=batch.ids,
        position_ids=batch.positions,
        attention_mask=None,
        labels=batch.labels if labels else None,
        packed_seq_params=batch.packed,
    )


@torch.no_grad()
def inspect(folder: Path, settings: Sft) -> None:
    """Round trip, logits of the first prompt, and the loss of a pack against the loss of its traces one by one."""
    weights = Weights(folder, "pt")
    model = megatron_model.build(architecture(folder), settings)
    megatron_hf.load(model, weights)
    megatron_hf.export(model, folder / "again", weights, 2e5)
    rows = load_file(folder.parent / "prompts.safetensors")["ids"].tolist()
    lengths, prompts = [len(row) for row in rows], [3 + 5 * i for i in range(len(rows))]
    few = traces(rows, prompts)
    logits = forward(model, megatron_loop.Batch((0,), few, lengths[0]), labels=False)
    together = megatron_loop.Batch(tuple(range(len(rows))), few, sum(lengths) + 7)
    packed = (forward(model, together, labels=True) * together.mask).sum()
    alone = [megatron_loop.Batch((row,), few, length) for row, length in enumerate(lengths)]
    single = sum((forward(model, batch, labels=True) * batch.mask).sum() for batch in alone)
    counts = torch.stack([together.mask.sum(), sum(batch.mask.sum() for batch in alone)])
    out = {"logits": logits, "packed": packed, "single": single, "counts": counts}
    save_file({name: tensor.contiguous() for name, tensor in out.items()}, folder / "seen.safetensors")


def main() -> None:
    job, steps = Job(**json.loads(Path(sys.argv[1]).read_text())), int(sys.argv[2])
    settings = Sft.model_validate(job.settings)
    megatron_loop.start_processes(settings)
    trainer = megatron_loop.Trainer(job, settings)
    megatron_hf.export(trainer.bare, Path(job.out), trainer.base, settings.shard_gb * 1e9)
    for step in range(1, steps + 1):
        trainer.step(step)
    decay = {group["weight_decay"] for group in trainer.optimizer.param_groups if group["wd_mult"] == 0}
    assert decay == {0.0}, f"weight decay of the norms: {decay}"
    for folder in sys.argv[3:]:
        inspect(Path(folder), settings)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
