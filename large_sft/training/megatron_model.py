"""megatron-core's GPTModel for a `Decoder`, on the process's place in the layout.

The recipe's `transformer_impl` chooses the layers: Transformer Engine's modules, or megatron-core's local ones with our
packed attention. The Transformer Engine branch was written from megatron-core's code and has not been run.
"""

import importlib.util
from functools import partial
from typing import Any

import torch.nn.functional as F
from megatron.core import parallel_state
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec
from megatron.core.models.gpt.gpt_model import GPTModel
from megatron.core.transformer import TransformerConfig

from large_sft.model.decoder import Decoder
from large_sft.settings import Placed
from large_sft.training.megatron_local import local_spec
from large_sft.training.megatron_loss import ChunkedLossModel
from polaris.models.dtypes import torch_dtype
from polaris.stage.errors import UserError

RECOMPUTE = {
    "none": {},
    "selective": {"recompute_granularity": "selective", "recompute_modules": ["core_attn"]},
    "full": {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1},
}
# The package that a value of the recipe asks for, and how its makers call it.
PACKAGES = {"transformer_engine": ("transformer_engine", "Transformer Engine"), "flex": ("deep_ep", "DeepEP")}


def chunks_of(settings: Placed) -> int | None:
    """Chunks of layers on a pipeline stage as megatron-core wants it: None for one."""
    return settings.layout.virtual_pipeline if settings.layout.virtual_pipeline > 1 else None


def transformer_config(model: Decoder, settings: Placed) -> TransformerConfig:
    """The model's sizes and the layout as megatron-core wants them."""
    layout, dtype = settings.layout, torch_dtype(settings.precision)
    return TransformerConfig(
        num_layers=model.layers,
        hidden_size=model.hidden,
        num_attention_heads=model.heads,
        num_query_groups=model.kv_heads,
        kv_channels=model.head_dim,
        ffn_hidden_size=model.intermediate_size,
        normalization="RMSNorm",
        layernorm_epsilon=model.norm_epsilon,
        qk_layernorm=model.head_norms,
        activation_func=F.silu,
        gated_linear_unit=True,
        add_bias_linear=False,
        add_qkv_bias=model.qkv_bias,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        bias_dropout_fusion=False,
        masked_softmax_fusion=False,
        params_dtype=dtype,
        pipeline_dtype=dtype,
        bf16=settings.precision == "bf16",
        # Every weight is read from the start model, yet this must stay: without it megatron-core 0.16.1 does not mark
        # the weights as tensor parallel (tensor_parallel/layers.py:855), and the gradient norm counts one rank's part
        # only.
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
        **fusions(settings),
        **RECOMPUTE[settings.recompute],
    )


def fusions(settings: Placed) -> dict[str, bool]:
    """The keys that ask for kernels of CUDA (by torch.compile) and of Transformer Engine.

    gradient_accumulation_fusion is none of them: the output layer would want apex (tensor_parallel/layers.py:924). The
    modules of Transformer Engine need none and get it in `build`.
    """
    cuda, engine = settings.device == "cuda", settings.transformer_impl == "transformer_engine"
    return {
        "use_cpu_initialization": not cuda,
        "batch_p2p_comm": cuda,
        "bias_activation_fusion": cuda,
        # Its gradient is bfloat16 whatever the logits are (fusions/fused_cross_entropy.py:82).
        "cross_entropy_loss_fusion": cuda and settings.precision == "bf16",
        "apply_rope_fusion": engine,
        "moe_grouped_gemm": engine,
        "moe_permute_fusion": engine,
        # With a padding mask megatron-core counts tokens in a float tensor (moe/moe_utils.py:229), and the fused loss
        # of Transformer Engine takes an int.
        "moe_router_fusion": engine and settings.aux_loss == 0,
    }


def _mixture(model: Decoder, settings: Placed) -> dict[str, Any]:
    """The keys of a mixture of experts.

    The coefficient: with calculate_per_token_loss megatron-core 0.16.1 weights the load-balancing loss by the rank's
    own tokens (transformer/moe/router.py:456-466), too weak by tensor * context. Not so with a padding mask, which the
    training always gives: the sum over the ranks is then taken in place before the count (moe_utils.py:223-228), and
    the count is the right one. A correction here would make it too strong (measured with tensor: 2).
    """
    layout = settings.layout
    return {
        "num_moe_experts": model.experts,
        "moe_layer_freq": [int(mixture) for mixture in model.moe_layers],
        "moe_ffn_hidden_size": model.moe_intermediate_size,
        "moe_router_topk": model.experts_per_token,
        "moe_router_score_function": "softmax",
        # Softmax over the chosen experts is softmax over all of them with the chosen gates normalised.
        "moe_router_pre_softmax": not model.normalized_gates,
        "moe_router_load_balancing_type": "aux_loss" if settings.aux_loss else "none",
        "moe_aux_loss_coeff": settings.aux_loss,
        "moe_router_dtype": "fp32",
        "moe_token_dispatcher_type": settings.dispatcher,
        "moe_flex_dispatcher_backend": "deepep",
        "expert_model_parallel_size": layout.expert,
        "expert_tensor_parallel_size": layout.expert_tensor,
    }


def _check_packages(settings: Placed) -> None:
    """Raises UserError where this Python lacks what `transformer_impl` or `dispatcher` asks for."""
    for key, other in (("transformer_impl", "local"), ("dispatcher", "alltoall")):
        package, name = PACKAGES.get(value := getattr(settings, key), (None, None))
        if package and importlib.util.find_spec(package) is None:
            raise UserError(
                f"{key}: {value} needs {name} (the package {package}), which this Python lacks; install it or use "
                f"{other}"
            )


def layer_spec(config: TransformerConfig, spec: str, chunk: int | None) -> Any:
    """The modules of this pipeline stage's layers, TransformerBlockSubmodules. chunk: of them, where there are several.

    GPTModel takes them, though its type says ModuleSpec.
    """
    if spec == "transformer_engine":
        return get_gpt_decoder_block_spec(config, use_transformer_engine=True, normalization="RMSNorm", vp_stage=chunk)
    return local_spec(config, chunk)


def build(model: Decoder, settings: Placed, loss_chunk: int | None = None) -> list[GPTModel]:
    """The part of the model that lies on this process, its weights still to be read: one GPTModel per chunk of layers.

    parallel_state and the random number trackers must be initialised. Raises UserError where a package is missing.
    """
    _check_packages(settings)
    config = transformer_config(model, settings)
    kind = partial(ChunkedLossModel, loss_chunk=loss_chunk) if loss_chunk else GPTModel
    chunks = []
    for chunk in range(settings.layout.virtual_pipeline):
        stage = chunk if chunks_of(settings) else None
        built = kind(
            config=config,
            transformer_layer_spec=layer_spec(config, settings.transformer_impl, stage),
            vocab_size=model.vocabulary,
            max_sequence_length=settings.seq_length,
            pre_process=parallel_state.is_pipeline_first_stage(ignore_virtual=False, vp_stage=stage),
            post_process=parallel_state.is_pipeline_last_stage(ignore_virtual=False, vp_stage=stage),
            share_embeddings_and_output_weights=model.tied,
            position_embedding_type="rope",
            rotary_base=model.rope_base,  # pyright: ignore[reportArgumentType] (a float, as it calculates)
            rope_scaling=model.rope_factor is not None,
            rope_scaling_factor=model.rope_factor or 1.0,
            vp_stage=stage,
        )
        module: Any
        for module in built.modules():
            if hasattr(module, "fuse_wgrad_accumulation"):  # of Transformer Engine: adds to the float32 gradient itself
                module.fuse_wgrad_accumulation = True
        chunks.append(built.to(settings.device))
    return chunks
