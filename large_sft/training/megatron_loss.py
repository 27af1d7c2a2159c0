"""The loss of long packs: the logits of a few tokens at a time, never all of them.

At 80K tokens and a vocabulary of 152K the logits, their float32 copy and their gradient would take over 100 GB.
"""

from typing import Any

import torch
from megatron.core.models.gpt.gpt_model import GPTModel
from torch.utils.checkpoint import checkpoint


class ChunkedLossModel(GPTModel):
    """A GPTModel whose loss is computed from `loss_chunk` tokens' logits at a time, in the backward pass once more.

    Loss and gradient are the plain ones' to float order. Batches of one pack.
    """

    def __init__(self, *args: Any, loss_chunk: int, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.loss_chunk = loss_chunk

    # GPTModel calls it by keywords only.
    def _postprocess(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, hidden_states: torch.Tensor, labels: torch.Tensor | None, **others: Any
    ) -> torch.Tensor:
        """hidden_states [tokens, 1, hidden], labels [1, tokens] -> loss [1, tokens]; else what GPTModel gives.

        Under sequence parallelism a rank has tokens / tensor of them, and the output layer gathers the ranks' chunks.
        """
        if labels is None or not self.post_process:
            return super()._postprocess(hidden_states=hidden_states, labels=labels, **others)
        ranks = self.config.tensor_model_parallel_size if self.config.sequence_parallel else 1
        theirs = labels.view(ranks, -1)
        size = -(-self.loss_chunk // ranks)
        # Not reentrant: the output layer's gradient must arrive once, when it is complete, for the data-parallel hooks.
        losses = [
            checkpoint(self._losses, *chunk, use_reentrant=False, preserve_rng_state=False)
            for chunk in zip(hidden_states.split(size), theirs.split(size, dim=1), strict=True)
        ]
        return torch.cat(losses, dim=1).view(1, -1)

    def _losses(self, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        weight = self.shared_embedding_or_output_weight() if self.share_embeddings_and_output_weights else None
        logits, _ = self.output_layer(hidden, weight=weight)
        return self.compute_language_model_loss(labels.reshape(1, -1), logits).view(labels.shape)
