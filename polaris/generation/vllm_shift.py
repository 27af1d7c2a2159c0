"""What RL changed in a small model's logits, added to a large model's at every token (RAST, arXiv 2506.15710).

logits(large) + scale * (logits(specialist) - logits(its base)), before temperature and top-p; nothing is trained. The
two small models read each prompt and every sampled token in transformers, one response after the other, with a cache of
keys and values each: two small models' work per token, which no batch makes cheaper.
"""

import dataclasses
from typing import Any

import torch
from transformers import AutoModelForCausalLM, DynamicCache
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates


@dataclasses.dataclass
class Response:
    """One that is being written. output: vLLM's own list, which grows; shift: at the last token read; read: tokens."""

    prompt: list[int]
    output: list[int]
    caches: tuple[DynamicCache, DynamicCache]
    shift: torch.Tensor | None = None
    read: int = 0


class LogitShift(LogitsProcessor):
    """vLLM's interface: told which responses a batch holds, given their logits [batch, vocabulary]."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool):
        about = vllm_config.additional_config  # of polaris.generation.generate.shifting
        self.scale, self.responses = about["scale"], {}
        self.models = tuple(
            AutoModelForCausalLM.from_pretrained(
                about[name], dtype=vllm_config.model_config.dtype, local_files_only=True, trust_remote_code=False
            )
            .eval()
            .to(device)
            for name in ("specialist", "base")
        )

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        process_dict_updates(self.responses, batch_update, _begun)

    @torch.inference_mode()
    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        for place, response in self.responses.items():
            shift = self._shift(response)
            width = min(len(shift), logits.shape[1])  # beyond the tokenizer's ids a vocabulary may be padded
            logits[place, :width] += shift[:width]
        return logits

    def _shift(self, response: Response) -> torch.Tensor:
        """scale * (specialist - base) [vocabulary] for the token that comes next."""
        new = [*response.prompt, *response.output][response.read :]
        if new or response.shift is None:
            response.read += len(new)
            tokens = torch.tensor([new], device=self.models[0].device)
            specialist, base = (
                model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1].float()
                for model, cache in zip(self.models, response.caches, strict=True)
            )
            width = min(len(specialist), len(base))
            response.shift = self.scale * (specialist[:width] - base[:width])
        return response.shift


def _begun(parameters: Any, prompt: list[int] | None, output: list[int]) -> Response:
    assert prompt is not None  # only tokens are asked here, no embeddings
    return Response(prompt, output, (DynamicCache(), DynamicCache()))
