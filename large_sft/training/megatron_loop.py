"""The training itself, on plain megatron-core: one object per process, the same code for one process and for a cluster.

The loss is the mean over the response tokens of the global batch, whatever the layout and the packing. The router's
load-balancing loss counts every token of a trace and no padding; since gradients are divided by the response tokens, it
weighs its coefficient times tokens / response tokens.
"""

import json
import signal
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.distributed import DistributedDataParallel, DistributedDataParallelConfig, finalize_model_grads
from megatron.core.optimizer import OptimizerConfig, get_megatron_optimizer
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.transformer.module import Float16Module

from large_sft.model.weights import Weights
from large_sft.settings import Sft
from large_sft.traces.packing import Pack
from large_sft.traces.tokens import read_traces
from large_sft.training import megatron_checkpoint, megatron_forward, megatron_hf
from large_sft.training.job import TrainingJob, TrainingResult
from large_sft.training.megatron_batch import Batch
from large_sft.training.megatron_processes import COLLECTIVE, bound_waits, start_processes
from polaris.models import canaries
from polaris.models.dtypes import torch_dtype
from polaris.stage.errors import UserError
from polaris.stage.manifest import digest_of, replace_file


def run(job: TrainingJob) -> None:
    """Train to the last step, from a checkpoint if there is one, and write the model; or save and stop on request."""
    settings = job.settings
    start_processes(settings)
    trainer = Trainer(job)
    saver = megatron_checkpoint.Saver(job.state, trainer.training)
    reached = trainer.resume()
    bound_waits(COLLECTIVE)
    for step in range(reached + 1, len(job.packs_SK) + 1):
        trainer.step(step)
        saver.poll()
        if trainer.must_stop or step % settings.save_every == 0:
            bound_waits(timedelta(seconds=settings.timeout))
            saver.save(step)
            bound_waits(COLLECTIVE)
        if trainer.must_stop:
            break
    bound_waits(timedelta(seconds=settings.timeout))
    saver.wait()
    if not trainer.must_stop:
        trainer.write_canaries()
        megatron_hf.export(trainer.bare, job.out, trainer.base, settings.shard_gb * 1e9)
    if dist.get_rank() == 0:
        trainer.result().write(job.result)
    dist.destroy_process_group()


class Trainer:
    """Model, optimizer and data of one process.

    bare, chunks: the pipeline stage's chunks of layers, as built and as trained; must_stop: the training ends after
    this step on request, the same on every process
    """

    def __init__(self, job: TrainingJob):
        self.job, self.settings = job, job.settings
        settings = job.settings
        self.base = Weights(job.start, "pt")
        self.traces = read_traces(job.tokens)
        self.must_stop = False
        self.bare = megatron_hf.read_model(self.base, settings, settings.loss_chunk)
        self.config = self.bare[0].config
        ddp = DistributedDataParallelConfig(grad_reduce_in_fp32=True, use_distributed_optimizer=True)
        wrapped = [Float16Module(self.config, chunk) for chunk in self.bare] if self.config.bf16 else self.bare
        self.chunks: list[Any] = [DistributedDataParallel(self.config, ddp, chunk) for chunk in wrapped]
        self.optimizer: Any = get_megatron_optimizer(_optimizer_config(settings), self.chunks)
        self.config.finalize_model_grads_func = finalize_model_grads
        self.config.grad_scale_func = self.optimizer.scale_loss
        self.scheduler = _scheduler(self.optimizer, settings, steps=len(job.packs_SK))
        data = digest_of([job.packs_SK, settings.seq_length])
        self.training = megatron_checkpoint.Training(self.chunks, self.optimizer, self.scheduler, data, settings)
        self.forward_backward = get_forward_backward_func()

    def resume(self) -> int:
        """Continue from the newest complete checkpoint, the log cut to match; returns the steps already done."""
        checkpoint = megatron_checkpoint.newest(self.job.state)
        step = megatron_checkpoint.load(checkpoint, self.training) if checkpoint else 0
        if dist.get_rank() == 0:
            metrics = self.job.metrics
            lines = metrics.read_text().splitlines() if metrics.exists() and step else []
            replace_file(metrics, "".join(line + "\n" for line in lines[:step]))
        dist.barrier()
        return step

    def step(self, step: int) -> None:
        """One optimizer step (counted from 1) on its planned packs. Raises UserError when the loss is not a number."""
        started = time.monotonic()
        packs = self.job.packs_SK[step - 1]
        replica, replicas = parallel_state.get_data_parallel_rank(), parallel_state.get_data_parallel_world_size()
        mine = packs[replica::replicas]
        for chunk in self.chunks:
            chunk.zero_grad_buffer()
        self.optimizer.zero_grad()
        losses = self.losses(mine, forward_only=False)
        # Before the optimizer's step: the first one must not run with the warmup's zero. The scheduler also keeps
        # weight decay off the norms; without it megatron-core 0.16.1 decays every parameter (wd_mult would be ignored).
        self.scheduler.step(1)
        _, norm, _ = self.optimizer.step()
        total, count = self._over_processes(losses)
        if not np.isfinite(total) or not np.isfinite(norm):
            raise UserError(f"step {step}: the loss is {total / count}, the gradient norm {norm}; lower learning_rate")
        if dist.get_rank() == 0:
            line = {
                "step": step,
                "loss": total / count,
                "grad_norm": float(norm),
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "tokens": int(sum(self.traces.lengths_R[row] for pack in packs for row in pack)),
                "loss_tokens": int(count),
                "seconds": round(time.monotonic() - started, 4),
                **self._gpu_memory(),
            }
            with self.job.metrics.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)

    def write_canaries(self) -> None:
        """What the trained model says of the first traces (polaris/models/canaries.py)."""
        rows = range(min(len(self.traces.lengths_R), canaries.ROWS))
        texts = [self.traces.row(row)[: canaries.TOKENS].tolist() for row in rows]
        prompts = [min(int(self.traces.prompt_tokens_R[row]), len(text)) for row, text in zip(rows, texts, strict=True)]
        said = megatron_forward.log_probs(self.chunks, texts, prompts, self.settings)
        if said is not None:
            spoken = [
                {"prompt": text[:prompt], "response": text[prompt:], "log_probs": values}
                | {"precision": self.settings.precision}
                for text, prompt, values in zip(texts, prompts, said, strict=True)
            ]
            replace_file(self.job.canaries, json.dumps(spoken) + "\n")

    def result(self) -> TrainingResult:
        """What the training came to, by its log of steps; for rank 0, when it has ended."""
        steps = [json.loads(line) for line in self.job.metrics.read_text().splitlines()]
        request = self.job.stop_request
        reason = request.read_text() if request.exists() else signal.SIGUSR1.name
        return TrainingResult(
            reached=steps[-1]["step"],
            stopped=reason if self.must_stop else None,
            loss=steps[-1]["loss"],
            first_loss=steps[0]["loss"],
            tokens=sum(step["tokens"] for step in steps),
            loss_tokens=sum(step["loss_tokens"] for step in steps),
        )

    def _gpu_memory(self) -> dict[str, float]:
        """GiB of rank 0's GPU in use, as nvidia-smi shows them: torch's pool at its largest so far, context and
        NCCL.
        """
        if self.settings.device == "cpu":
            return {}
        free, whole = torch.cuda.mem_get_info()
        return {"gpu_gib": round((whole - free) / 2**30, 2)}

    def losses(self, packs: Sequence[Pack], forward_only: bool) -> list[torch.Tensor]:
        """What `_forward` reports of each of this replica's packs; the gradients are added up unless forward_only."""
        batches = [Batch(pack, self.traces, self.settings.seq_length, self.settings.device) for pack in packs]
        return self.forward_backward(
            forward_step_func=self._forward,
            data_iterator=[iter(batches) for _ in self.chunks],
            model=self.chunks,
            num_microbatches=len(batches),
            seq_length=self.settings.seq_length,
            micro_batch_size=1,
            forward_only=forward_only,
        )

    def _forward(self, batches: Iterator[Batch], model: torch.nn.Module) -> tuple[torch.Tensor, Any]:
        """megatron-core's forward step: the output, and what makes of it (loss sum, loss tokens, values to report)."""
        batch = next(batches)
        output = model(**batch.inputs(), labels=batch.labels)

        def loss(output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            total, count = (output.float() * batch.mask).sum(), batch.mask.sum()
            return total, count.int(), torch.stack([total.detach().double(), count.double()])

        return output, loss

    def _over_processes(self, losses: list[torch.Tensor]) -> tuple[float, float]:
        """Sum of the loss and of the loss tokens over the global batch, and whether to stop, on every process."""
        sums = torch.zeros(3, dtype=torch.double, device=self.settings.device)
        if losses and parallel_state.get_tensor_model_parallel_rank() == 0:
            sums[:2] = torch.stack(losses).sum(0)
        # Blocked, the signal waits for ever: no handler, which a process forked for a checkpoint would have, too.
        warned = signal.SIGUSR1 in signal.sigpending()
        sums[2] = warned or (dist.get_rank() == 0 and self.job.stop_request.exists())
        dist.all_reduce(sums)
        self.must_stop = bool(sums[2])
        return float(sums[0]), float(sums[1])


def _optimizer_config(settings: Sft) -> OptimizerConfig:
    return OptimizerConfig(
        optimizer="adam",
        lr=settings.learning_rate,
        min_lr=settings.min_learning_rate,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        clip_grad=settings.grad_clip,
        use_distributed_optimizer=True,
        bf16=settings.precision == "bf16",
        params_dtype=torch_dtype(settings.precision),
    )


def _scheduler(optimizer: Any, settings: Sft, steps: int) -> OptimizerParamScheduler:
    """Linear warmup from zero, then cosine to min_learning_rate at the last step."""
    return OptimizerParamScheduler(
        optimizer,
        init_lr=0.0,
        max_lr=settings.learning_rate,
        min_lr=settings.min_learning_rate,
        lr_warmup_steps=min(round(settings.warmup * steps), steps - 1),
        lr_decay_steps=steps,
        lr_decay_style="cosine",
        start_wd=settings.weight_decay,
        end_wd=settings.weight_decay,
        wd_incr_steps=steps,
        wd_incr_style="constant",
    )
