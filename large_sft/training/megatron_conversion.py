"""The process of one rank of the conversion gate: `python -m large_sft.training.megatron_conversion job.json`."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from large_sft.model.layout import padded_lengths
from large_sft.settings import ConversionCheck
from large_sft.training.job import ConversionJob, ConversionResult, ReturnedTensor
from large_sft.training.rank import run_process


def run(job: ConversionJob) -> None:
    """Read the model into the layout, give its tensors back, and ask it for the prompts' logits."""
    import torch
    import torch.distributed as dist

    from large_sft.model.weights import Weights
    from large_sft.training import megatron_hf, megatron_processes

    megatron_processes.start_processes(job.settings)
    weights = Weights(job.start, "pt")
    chunks = megatron_hf.read_model(weights, job.settings)
    own = {
        name: ReturnedTensor(
            dtype=weights.dtype(name),
            shape=tuple(tensor.shape),
            xxh3=_digest(tensor),
            start=_digest(weights.slice(name)[:]),
        )
        for name, tensor in megatron_hf.exported_tensors(chunks, weights)
    }
    result = ConversionResult(tensors=megatron_processes.all_entries(own))
    if dist.get_rank() == 0:
        result.write(job.result)
    with torch.no_grad():
        _write_logits(chunks, job.settings, job)
    dist.destroy_process_group()


def _digest(tensor: Any) -> str:
    import torch
    import xxhash

    return xxhash.xxh3_64_hexdigest(tensor.contiguous().view(torch.uint8).numpy())


def _write_logits(chunks: Any, settings: ConversionCheck, job: ConversionJob) -> None:
    """All prompts as one pack, through the layout's pipeline; the first replica of the last stage writes."""
    import numpy as np
    import torch
    import torch.distributed as dist
    from megatron.core import parallel_state
    from megatron.core.pipeline_parallel import get_forward_backward_func
    from safetensors.torch import save_file

    from large_sft.traces.tokens import Traces
    from large_sft.training.megatron_batch import Batch

    offsets = np.cumsum([0, *map(len, job.prompts)])
    ids = np.concatenate([np.array(prompt, np.int32) for prompt in job.prompts])
    traces = Traces(job.start, ids, offsets, np.ones(len(job.prompts), np.int32))
    used = sum(padded_lengths([len(prompt) for prompt in job.prompts], settings.layout))
    parts = math.lcm(2 * settings.layout.context, settings.layout.context * settings.layout.tensor)
    capacity = -(-used // parts) * parts  # sequence and context parallelism cut it into equal parts
    batch = Batch(tuple(range(len(job.prompts))), traces, capacity, settings.device)
    # The interleaved schedule wants as many packs as there are stages: the same one each time.
    packs = settings.layout.pipeline if len(chunks) > 1 else 1

    def forward(batches: Iterator[Batch], model: Any) -> tuple[Any, Any]:
        return model(**next(batches).inputs()), lambda logits, non_loss_data: logits

    outputs = get_forward_backward_func()(
        forward_step_func=forward,
        data_iterator=[iter([batch] * packs) for _ in chunks],
        model=chunks,
        num_microbatches=packs,
        seq_length=capacity,
        micro_batch_size=1,
        forward_only=True,
        collect_non_loss_data=True,
    )
    if parallel_state.is_pipeline_last_stage():
        group: Any = parallel_state.get_tensor_model_parallel_group()
        columns = [torch.empty_like(outputs[0]) for _ in range(group.size())]
        dist.all_gather(columns, outputs[0].contiguous(), group=group)
        own = torch.cat(columns, dim=-1)[0].float().contiguous()
        whole = _in_order(own, batch.edges)
        if group.rank() == 0 and parallel_state.get_data_parallel_rank(with_context_parallel=True) == 0:
            starts = zip(batch.edges, map(len, job.prompts), strict=False)
            logits = torch.cat([whole[start : start + length] for start, length in starts])
            save_file({"logits": logits.cpu().contiguous()}, job.logits)


def _in_order(own: Any, edges: list[int]) -> Any:
    """The pack's tokens in order, from those of each context-parallel rank: [tokens / context, n] -> [tokens, n]."""
    import torch
    import torch.distributed as dist
    from megatron.core import parallel_state

    from large_sft.model.context import own_tokens

    group: Any = parallel_state.get_context_parallel_group()
    parts = [torch.empty_like(own) for _ in range(group.size())]
    dist.all_gather(parts, own, group=group)
    whole = own.new_empty(edges[-1], own.shape[1])
    for rank, part in enumerate(parts):
        whole[torch.from_numpy(own_tokens(edges, group.size(), rank)).to(own.device)] = part
    return whole


def main() -> None:
    job = ConversionJob.read(Path(sys.argv[1]))
    run_process(job.settings.device, lambda: run(job))


if __name__ == "__main__":
    main()
