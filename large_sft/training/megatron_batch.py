"""A pack of traces as the tensors that GPTModel takes."""

import itertools
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.packed_seq_params import PackedSeqParams

from large_sft.model.context import own_tokens, padded_length
from large_sft.traces.packing import Pack
from large_sft.traces.tokens import Traces


class Batch:
    """One pack as the model wants it; every tensor [1, seq_length / context]: this rank's own tokens.

    labels: the next token of the same trace; mask: 1 where that token belongs to the response; padding: true where no
    trace is (an empty pack keeps one real position, for the load-balancing loss divides by their number); edges: of the
    traces with what fills them up to their `padded_length`, in the whole pack
    """

    def __init__(self, pack: Pack, traces: Traces, capacity: int, device: str):
        rows = [torch.from_numpy(traces.row(row)).long() for row in pack]
        ranks, rank = parallel_state.get_context_parallel_world_size(), parallel_state.get_context_parallel_rank()
        lengths = [padded_length(len(row), ranks) for row in rows]
        if sum(lengths) < capacity:
            lengths.append(capacity - sum(lengths))
        self.edges = [0, *itertools.accumulate(lengths)]
        ids, labels, mask = (torch.zeros(capacity, dtype=torch.long) for _ in range(3))
        padding = torch.ones(capacity, dtype=torch.bool)
        for row, tokens, start in zip(pack, rows, self.edges, strict=False):
            end = start + len(tokens)
            ids[start:end] = tokens
            labels[start : end - 1] = tokens[1:]
            mask[start + int(traces.prompt_tokens_R[row]) - 1 : end - 1] = 1
            padding[start:end] = False
        padding[0] = False
        positions = torch.cat([torch.arange(length) for length in lengths])
        own = torch.from_numpy(own_tokens(self.edges, ranks, rank))
        self.ids, self.labels, self.mask, self.positions, self.padding = (
            tensor[own][None].to(device) for tensor in (ids, labels, mask.float(), positions, padding)
        )
        edges = torch.tensor(self.edges, dtype=torch.int32, device=device)
        # The true longest length: with the pack's own, RoPE would take positions from the pack's start
        # (megatron/core/models/common/embeddings/rope_utils.py, case 1).
        longest = max(lengths)
        self.packed = PackedSeqParams("thd", edges, edges, max_seqlen_q=longest, max_seqlen_kv=longest)

    def inputs(self) -> dict[str, Any]:
        """Arguments of GPTModel: it gives logits, or with `labels` the loss of each token."""
        return {
            "input_ids": self.ids,
            "position_ids": self.positions,
            "attention_mask": None,
            "packed_seq_params": self.packed,
            "padding_mask": self.padding,
        }
