"""verl's teacher servers, asked for a response: one vLLM engine or more for each model that reads it, no optimizer."""

import asyncio
from typing import Any

from omegaconf import DictConfig
from verl.experimental.teacher_loop.teacher_manager import AsyncTeacherLLMServerManager

from small_rl.teachers.target import Taught, target


class Teachers:
    """clients: verl's LLMServerClient of each model that reads; scale, delta: as of `target`."""

    def __init__(self, config: DictConfig, clients: dict[str, Any], scale: float, delta: bool):
        self.manager, self.scale, self.delta = AsyncTeacherLLMServerManager(config, clients), scale, delta
        self.names = list(clients)
        self.whole = not self.manager.distillation_loss_config.loss_settings.use_topk

    async def taught(self, prompt: list[int], response: list[int]) -> Taught:
        """What the student learns from its response. prompt, response: token ids"""
        tokens = [*prompt, *response]
        asked = (self.manager.compute_teacher_logprobs_single(tokens, routing_key=name) for name in self.names)
        answers = dict(zip(self.names, await asyncio.gather(*asked), strict=True))
        said = {name: log_probs for name, (_, log_probs) in answers.items()}
        ids, own = answers["teacher"]
        return Taught(target(said, self.scale, self.delta), ids, own[:, 0] if self.whole else None)
