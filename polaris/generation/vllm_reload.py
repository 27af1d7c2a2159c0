"""New weights for a vLLM model that runs, also on a CPU, where vLLM's own way leaves some layers as they were.

vLLM 0.32 packs a mixture's experts for its CPU kernel when they are first loaded. On a reload it takes the packing for
done (unquantized_fused_moe_method.py, `_setup_kernel`) and gives the kernel bare matrices: the model is then neither
the old nor the new one. And the output head of tied embeddings is packed apart from them, from a tensor
`lm_head.weight` that such a model need not have (vocab_parallel_embedding.py).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from vllm.model_executor.layers.fused_moe.routed_experts import RoutedExperts
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead
from vllm.platforms import current_platform

from polaris.generation.vllm_sentinel import EMBEDDINGS, HEAD, Sentinel


def reload(runner: Any, weights: Iterable[tuple[str, torch.Tensor]], turn: int = 0) -> int:
    """Load `weights`, all of a model's in Hugging Face's names, into the model of vLLM's `runner`, and ask it for them.

    Returns the number of tensors found. Raises OtherWeightsError for the first that the model does not hold.
    """
    model = runner.get_model()
    if current_platform.is_cpu():
        for module in model.modules():
            if isinstance(module, RoutedExperts):
                module.quant_method.moe_kernel = None  # as before the first load: they are packed again
        if isinstance(getattr(model, "lm_head", None), ParallelLMHead):
            weights = _with_head(weights)
    sentinel = Sentinel(model, turn)
    runner.reload_weights(weights_iterator=sentinel.watched(weights))
    return sentinel.check()


def _with_head(weights: Iterable[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights, and the embeddings once more as the head if there is none among them."""
    embeddings, there = None, False
    for name, tensor in weights:
        there = there or name == HEAD
        embeddings = tensor if name == EMBEDDINGS else embeddings
        yield name, tensor
    if not there and embeddings is not None:
        yield HEAD, embeddings
