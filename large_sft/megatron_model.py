"""megatron-core's GPTModel for a Qwen3 or Qwen3-MoE, on the process's place in the layout.

The layer spec is chosen here and nowhere else: Transformer Engine where CUDA is, otherwise megatron-core's local modules
with our packed attention. The Transformer Engine branch was written from megatron-core's code and has not been run.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from megatron.core import parallel_state
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec
from megatron.core.models.gpt.gpt_model import GPTModel
from megatron.core.transformer import TransformerConfig
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules

from large_sft.megatron_local import local_spec
from large_sft.megatron_loss import ChunkedLossModel
from large_sft.qwen3 import Qwen3
from large_sft.settings import Placed

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
RECOMPUTE = {
    "none": {},
    "selective": {"recompute_granularity": "selective", "recompute_modules": ["core_attn"]},
    "full": {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1},
}
# What needs kernels that only Transformer Engine or CUDA brings.
ON_CPU = {
    "use_cpu_initialization": True,
    "gradient_accumulation_fusion": False,
    "batch_p2p_comm": False,
    "moe_grouped_gemm": False,
}
ON_GPU = {"moe_grouped_gemm": True, "moe_permute_fusion": True, "apply_rope_fusion": True}


def chunks_of(settings: Placed) -> int | None:
    """Chunks of layers on a pipeline stage as megatron-core wants it: None for one."""
    return settings.layout.virtual_pipeline if settings.layout.virtual_pipeline > 1 else None


def transformer_config(model: Qwen3, settings: Placed) -> TransformerConfig:
    """The model's sizes and the layout as megatron-core wants them."""
    layout, dtype = settings.layout, DTYPES[settings.precision]
    return TransformerConfig(
        num_layers=model.layers,
        hidden_size=model.hidden,
        num_attention_heads=model.heads,
        num_query_groups=model.kv_heads,
        kv_channels=model.head_dim,
        ffn_hidden_size=model.feed_forward,
        normalization="RMSNorm",
        layernorm_epsilon=model.norm_epsilon,
        qk_layernorm=True,
        activation_func=F.silu,
        gated_linear_unit=True,
        add_bias_linear=False,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        bias_activation_fusion=False,
        bias_dropout_fusion=False,
        masked_softmax_fusion=False,
        params_dtype=dtype,
        pipeline_dtype=dtype,
        bf16=settings.precision == "bf16",
        # Every weight is read from the start model, yet this must stay: without it megatron-core 0.16.1 does not mark the
        # weights as tensor parallel (tensor_parallel/layers.py:855), and the gradient norm counts one rank's part only.
        perform_initialization=True,
        tensor_model_parallel_size=layout.tensor,
        sequence_parallel=layout.tensor > 1,
        pipeline_model_parallel_size=layout.pipeline,
        virtual_pipeline_model_parallel_size=chunks_of(settings),
        num_layers_in_first_pipeline_stage=layout.first_layers,
        num_layers_in_last_pipeline_stage=layout.last_layers,
        context_parallel_size=layout.context,
        calculate_per_token_loss=True,
        **(_mixture(model, settings) if model.experts else {}),
        **(ON_GPU if settings.device == "cuda" else ON_CPU),
        **RECOMPUTE[settings.recompute],
    )


def _mixture(model: Qwen3, settings: Placed) -> dict[str, Any]:
    """The keys of a mixture of experts.

    The coefficient: with calculate_per_token_loss megatron-core 0.16.1 weights the load-balancing loss by the rank's own
    tokens (transformer/moe/router.py:456-466), too weak by tensor * context. Not so with a padding mask, which the
    training always gives: the sum over the ranks is then taken in place before the count (moe_utils.py:223-228), and the
    count is the right one. A correction here would make it too strong (measured with tensor: 2).
    """
    layout = settings.layout
    return {
        "num_moe_experts": model.experts,
        "moe_layer_freq": [int(mixture) for mixture in model.moe_layers],
        "moe_ffn_hidden_size": model.expert_feed_forward,
        "moe_router_topk": model.experts_per_token,
        "moe_router_score_function": "softmax",
        # Softmax over the chosen experts is softmax over all of them with the chosen gates normalised.
        "moe_router_pre_softmax": not model.normalized_gates,
        "moe_router_load_balancing_type": "aux_loss" if settings.aux_loss else "none",
        "moe_aux_loss_coeff": settings.aux_loss,
        "moe_router_dtype": "fp32",
        "moe_token_dispatcher_type": "alltoall",
        "expert_model_parallel_size": layout.expert,
        "expert_tensor_parallel_size": layout.expert_tensor,
    }


def layer_spec(config: TransformerConfig, device: str, chunk: int | None) -> TransformerBlockSubmodules:
    """Transformer Engine's modules on a GPU, our local ones on a CPU."""
    if device == "cuda":
        return get_gpt_decoder_block_spec(config, use_transformer_engine=True, normalization="RMSNorm", vp_stage=chunk)
    return local_spec(config, chunk)


def build(model: Qwen3, settings: Placed, loss_chunk: int | None = None) -> list[GPTModel]:
    """The part of the model that lies on this process, its weights still to be read: one GPTModel per chunk of layers.

    parallel_state and the random number trackers must be initialised.
    """
    config = transformer_config(model, settings)
    kind = partial(ChunkedLossModel, loss_chunk=loss_chunk) if loss_chunk else GPTModel
    chunks = []
    for chunk in range(settings.layout.virtual_pipeline):
        stage = chunk if chunks_of(settings) else None
        built = kind(
            config=config,
            transformer_layer_spec=layer_spec(config, settings.device, stage),
            vocab_size=model.vocabulary,
            max_sequence_length=settings.pack_tokens,
            pre_process=parallel_state.is_pipeline_first_stage(ignore_virtual=False, vp_stage=stage),
            post_process=parallel_state.is_pipeline_last_stage(ignore_virtual=False, vp_stage=stage),
            share_embeddings_and_output_weights=model.tied,
            position_embedding_type="rope",
            rotary_base=model.rope_base,
            vp_stage=stage,
        )
        chunks.append(built.to(settings.device))
    return chunks
