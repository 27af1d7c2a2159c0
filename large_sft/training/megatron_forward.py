"""A few texts as one pack through a model in its layout, forward only, and what its last stage says of them."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.pipeline_parallel import get_forward_backward_func

from large_sft.model.context import own_tokens
from large_sft.model.layout import padded_lengths
from large_sft.settings import Placed
from large_sft.traces.tokens import Traces
from large_sft.training.megatron_batch import Batch


def pack(texts: Sequence[Sequence[int]], prompts: Sequence[int], settings: Placed) -> Batch:
    """All texts in one pack. texts: their tokens; prompts: how many of these are prompt"""
    offsets = np.cumsum([0, *map(len, texts)])
    ids = np.concatenate([np.array(text, np.int32) for text in texts])
    layout = settings.layout
    used = sum(padded_lengths([len(text) for text in texts], layout))
    parts = math.lcm(2 * layout.context, layout.context * layout.tensor)
    capacity = -(-used // parts) * parts  # sequence and context parallelism cut it into equal parts
    traces = Traces(Path(), ids, offsets, np.array(prompts, np.int32))
    return Batch(tuple(range(len(texts))), traces, capacity, settings.device)


def through(chunks: Any, batch: Batch, settings: Placed, losses: bool) -> torch.Tensor | None:
    """What the model says of the pack: logits [1, tokens of this rank, own part of the vocabulary], or losses [1,
    tokens of this rank]; None on all but the last pipeline stage.
    """
    # The interleaved schedule wants as many packs as there are stages: the same one each time.
    packs = settings.layout.pipeline if len(chunks) > 1 else 1
    capacity = batch.edges[-1]

    def forward(batches: Iterator[Batch], model: Any) -> tuple[Any, Callable]:
        one = next(batches)
        asked = one.inputs() | ({"labels": one.labels} if losses else {})
        return model(**asked), lambda output, non_loss_data: output

    with torch.no_grad():
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
    return outputs[0] if parallel_state.is_pipeline_last_stage() else None


def in_order(own: torch.Tensor, edges: list[int]) -> torch.Tensor:
    """The pack's tokens in order, from those of each context-parallel rank: [tokens / context, n] -> [tokens, n]."""
    group: Any = parallel_state.get_context_parallel_group()
    parts = [torch.empty_like(own) for _ in range(group.size())]
    dist.all_gather(parts, own, group=group)
    whole = own.new_empty(edges[-1], own.shape[1])
    for rank, part in enumerate(parts):
        whole[torch.from_numpy(own_tokens(edges, group.size(), rank)).to(own.device)] = part
    return whole


def speaks() -> bool:
    """Whether this process, one of the last pipeline stage, is the one that writes what that says."""
    first = parallel_state.get_tensor_model_parallel_rank() == 0
    return first and parallel_state.get_data_parallel_rank(with_context_parallel=True) == 0


def log_probs(
    chunks: Any, texts: Sequence[Sequence[int]], prompts: Sequence[int], settings: Placed
) -> list[list[float]] | None:
    """Log-probabilities of each text's tokens after its prompt; None on processes that do not write them."""
    batch = pack(texts, prompts, settings)
    losses = through(chunks, batch, settings, losses=True)
    if losses is None:
        return None
    whole = in_order(losses[0, :, None].float().contiguous(), batch.edges)[:, 0]
    places = zip(batch.edges, prompts, map(len, texts), strict=False)
    said = [(-whole[start + prompt - 1 : start + length - 1]).tolist() for start, prompt, length in places]
    return said if speaks() else None
