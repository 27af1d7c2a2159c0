"""The process of one rank of the conversion gate: `python -m large_sft.training.megatron_conversion job.json`."""

import sys
from pathlib import Path
from typing import Any

from large_sft.settings import ConversionCheck
from large_sft.training.job import ConversionJob, ConversionResult, ReturnedTensor
from large_sft.training.rank import run_process


def run(job: ConversionJob) -> None:
    """Read the model into the layout, give its tensors back, and ask it for the prompts' logits."""
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
    _write_logits(chunks, job.settings, job)
    dist.destroy_process_group()


def _digest(tensor: Any) -> str:
    import torch
    import xxhash

    return xxhash.xxh3_64_hexdigest(tensor.contiguous().view(torch.uint8).numpy())


def _write_logits(chunks: Any, settings: ConversionCheck, job: ConversionJob) -> None:
    """All prompts as one pack, through the layout's pipeline; the first replica of the last stage writes."""
    import torch
    import torch.distributed as dist
    from megatron.core import parallel_state
    from safetensors.torch import save_file

    from large_sft.training import megatron_forward

    batch = megatron_forward.pack(job.prompts, [1] * len(job.prompts), settings)
    output = megatron_forward.through(chunks, batch, settings, losses=False)
    if output is not None:
        group: Any = parallel_state.get_tensor_model_parallel_group()
        columns = [torch.empty_like(output) for _ in range(group.size())]
        dist.all_gather(columns, output.contiguous(), group=group)
        own = torch.cat(columns, dim=-1)[0].float().contiguous()
        whole = megatron_forward.in_order(own, batch.edges)
        if megatron_forward.speaks():
            starts = zip(batch.edges, map(len, job.prompts), strict=False)
            logits = torch.cat([whole[start : start + length] for start, length in starts])
            save_file({"logits": logits.cpu().contiguous()}, job.logits)


def main() -> None:
    job = ConversionJob.read(Path(sys.argv[1]))
    run_process(job.settings.device, lambda: run(job))


if __name__ == "__main__":
    main()
