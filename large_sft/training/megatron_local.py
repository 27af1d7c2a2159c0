"""The modules of the layer spec that stand in for Transformer Engine where there is none: norm and packed attention."""

import itertools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from megatron.core import parallel_state
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec
from megatron.core.tensor_parallel.mappings import gather_from_sequence_parallel_region
from megatron.core.transformer import TransformerConfig
from megatron.core.transformer.module import MegatronModule
from megatron.core.transformer.moe import moe_utils
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules

from large_sft.model.context import own_tokens


class Norm(torch.nn.RMSNorm):
    """RMSNorm that may be used under sequence parallelism, which megatron-core's local norm refuses (torch_norm.py:32).

    The mark on its weight makes finalize_model_grads sum the gradient over the tensor ranks.
    """

    def __init__(self, config: TransformerConfig, hidden_size: int, eps: float, **kwargs: Any):
        super().__init__(hidden_size, eps=eps)
        weight: Any = self.weight
        weight.sequence_parallel = config.sequence_parallel


class PackedAttention(MegatronModule):
    """Causal attention within each trace of a pack; megatron-core's local one refuses packs (dot_product_attention.py).

    Under context parallelism the ranks' own queries look at the keys and values of all of them (megatron-core's local
    attention has no context parallelism either); Transformer Engine passes them round in a ring instead.
    """

    def __init__(self, config: TransformerConfig, softmax_scale: float | None = None, **kwargs: Any):
        super().__init__(config)
        self.scale = softmax_scale
        self.ranks: Any = parallel_state.get_context_parallel_group()

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: None = None,
        packed_seq_params: Any = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """query [tokens, heads, head_dim], key and value [tokens, kv_heads, head_dim] -> [tokens, heads * head_dim].

        packed_seq_params: PackedSeqParams, whose edges of the traces are those of the whole pack; tokens: this rank's.
        """
        edges, ranks = packed_seq_params.cu_seqlens_q.tolist(), self.ranks.size()
        lengths = [b - a for a, b in itertools.pairwise(edges)]
        masks = [None] * len(lengths)
        if ranks > 1:
            places = [own_tokens(edges, ranks, rank) for rank in range(ranks)]
            in_order = torch.from_numpy(np.argsort(np.concatenate(places))).to(key.device)
            key, value = (gather_from_sequence_parallel_region(x, group=self.ranks)[in_order] for x in (key, value))
            own = torch.from_numpy(places[self.ranks.rank()]).to(key.device).split([n // ranks for n in lengths])
            masks = [
                torch.arange(a, b, device=key.device) <= mine[:, None]
                for (a, b), mine in zip(itertools.pairwise(edges), own, strict=True)
            ]
        heads_first = [x.transpose(0, 1) for x in (query, key, value)]
        queries = heads_first[0].split([n // ranks for n in lengths], dim=1)
        keys, values = (x.split(lengths, dim=1) for x in heads_first[1:])
        attended = [
            F.scaled_dot_product_attention(
                q[None], k[None], v[None], mask, is_causal=mask is None, scale=self.scale, enable_gqa=True
            )
            for q, k, v, mask in zip(queries, keys, values, masks, strict=True)
        ]
        return torch.cat(attended, dim=2)[0].transpose(0, 1).flatten(1)


def local_spec(config: TransformerConfig, chunk: int | None) -> TransformerBlockSubmodules:
    """megatron-core's own spec without Transformer Engine, with the two modules above put in.

    chunk: of this pipeline stage's layers, where it has several
    """
    # transformer/moe/moe_utils.py:1192 of 0.16.1 reads this name, which :38 leaves undefined without Transformer
    # Engine.
    if not hasattr(moe_utils, "te_general_gemm"):
        moe_utils.te_general_gemm = None
    spec: Any = get_gpt_decoder_block_spec(
        config, use_transformer_engine=False, normalization="RMSNorm", vp_stage=chunk
    )
    for layer in spec.layer_specs:
        layer.submodules.input_layernorm = layer.submodules.pre_mlp_layernorm = Norm
        attention = layer.submodules.self_attention.submodules
        if config.qk_layernorm:
            attention.q_layernorm = attention.k_layernorm = Norm
        attention.core_attention = PackedAttention
    spec.layer_norm = Norm
    return spec
