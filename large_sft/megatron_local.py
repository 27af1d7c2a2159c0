"""The modules of the layer spec that stand in for Transformer Engine where there is none: norm and packed attention."""

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec
from megatron.core.packed_seq_params import PackedSeqParams
from megatron.core.transformer import TransformerConfig
from megatron.core.transformer.module import MegatronModule
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules


class Norm(torch.nn.RMSNorm):
    """RMSNorm that may be used under sequence parallelism, which megatron-core's local norm refuses (torch_norm.py:32).

    The mark on its weight makes finalize_model_grads sum the gradient over the tensor ranks.
    """

    def __init__(self, config: TransformerConfig, hidden_size: int, eps: float, **kwargs: Any):
        super().__init__(hidden_size, eps=eps)
        self.weight.sequence_parallel = config.sequence_parallel


class PackedAttention(MegatronModule):
    """Causal attention within each trace of a pack; megatron-core's local one refuses packs (dot_product_attention.py).

    Context parallelism has no place here yet: the verb refuses it where Transformer Engine is absent.
    """

    def __init__(self, config: TransformerConfig, softmax_scale: float | None = None, **kwargs: Any):
        super().__init__(config)
        self.scale = softmax_scale

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: None = None,
        packed_seq_params: PackedSeqParams | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """query [tokens, heads, head_dim], key and value [tokens, kv_heads, head_dim] -> [tokens, heads * head_dim]."""
        edges = packed_seq_params.cu_seqlens_q.tolist()
        lengths = [b - a for a, b in itertools.pairwise(edges)]
        traces = zip(*(x.transpose(0, 1).split(lengths, dim=1) for x in (query, key, value)), strict=True)
        attended = [
            F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True, scale=self.scale, enable_gqa=True)
            for q, k, v in traces
        ]
        return torch.cat(attended, dim=2)[0].transpose(0, 1).flatten(1)


def local_spec(config: TransformerConfig) -> TransformerBlockSubmodules:
    """megatron-core's own spec without Transformer Engine, with the two modules above put in."""
    spec = get_gpt_decoder_block_spec(config, use_transformer_engine=False, normalization="RMSNorm")
    for layer in spec.layer_specs:
        layer.submodules.input_layernorm = layer.submodules.pre_mlp_layernorm = Norm
        attention = layer.submodules.self_attention.submodules
        attention.q_layernorm = attention.k_layernorm = Norm
        attention.core_attention = PackedAttention
    spec.layer_norm = Norm
    return spec
