"""The rollouts of one RL step: vLLM answers, our grader judges, and verl gets the rows that our trainer makes of them.

In the place of verl's agent loops and reward workers, which serve conversations with tools: those take two further
processes, build each of the step's conversations anew and report them one by one. Here everything that a reward may
depend on is known before the rows reach TransferQueue, and every response has its own seed.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from omegaconf import DictConfig
from tensordict import TensorDict

from polaris.generation.seeds import response_seed
from polaris.grading.grading_pool import GradingPool, Verdict
from polaris.models.chat_template import ChatTemplate
from small_rl.reward.core import scored_steps
from small_rl.reward.rl_step import Response, Rollout
from small_rl.reward.step_metrics import Trajectory
from small_rl.reward.steps import parse_steps
from small_rl.training import verl_batch


@dataclass(frozen=True)
class Asked:
    """A prompt, as tokens, and the responses to it."""

    prompt: list[int]
    responses: list[Response]


class Rollouts:
    """What verl's trainer calls its agent loop manager.

    client: verl's LLMServerClient; finish: the groups to train on, from a step's graded groups
    """

    def __init__(
        self,
        config: DictConfig,
        tokenizer: Any,
        client: Any,
        finish: Callable[[list[list[Rollout]]], list[list[Rollout]]],
    ):
        self.rollout, self.grading = config.actor_rollout_ref.rollout, config.polaris.grading
        self.core, self.masked_from = config.polaris.core, config.polaris.masked_from
        self.tokenizer, self.client, self.finish = tokenizer, client, finish
        self.template = ChatTemplate(tokenizer)
        self.pool = GradingPool(self.grading.timeout, self.grading.workers, self.grading.grader)

    def generate_sequences(self, prompts: TensorDict) -> None:
        """Roll out, grade and reward all prompts of a step; put the rows where verl's replay buffer finds them."""
        columns = [[getattr(item, "data", item) for item in prompts[name]] for name in
                   ("uid", "raw_prompt", "extra_info", "reward_model")]  # fmt: skip
        step = int(prompts["global_steps"])
        groups = asyncio.run(_all(self._group(step, *prompt) for prompt in zip(*columns, strict=True)))
        verl_batch.put(step, columns[0], self.finish(groups), self.masked_from)

    def validate(self, step: int, prompts: Iterable[dict[str, Any]]) -> list[Trajectory]:
        """Graded responses to a benchmark, rows of verl's data set; nothing of them reaches the training.

        Their seeds are of their own, and no </think> is demanded, as in the evaluation of V1.
        """
        groups = asyncio.run(_all(self._validated(step, prompt) for prompt in prompts))
        return [trajectory for group in groups for trajectory in group]

    async def _group(self, step: int, uid: str, messages: list[dict], info: dict, gold: dict) -> list[Rollout]:
        """All responses to one prompt, graded as soon as they are there."""
        problem = str(info["index"])
        asked = await self._asked(f"step {step}", self.rollout, problem, messages)
        graded = await self._graded(asked, gold, self.grading.format)
        steps = [await self._steps(text, verdict.answer) for _, text, verdict in graded]
        return [
            Rollout(self._trajectory(uid, problem, response, verdict, found), asked.prompt, response)
            for (response, _, verdict), found in zip(graded, steps, strict=True)
        ]

    async def _validated(self, step: int, row: dict[str, Any]) -> list[Trajectory]:
        problem = str(row["extra_info"]["index"])
        asked = await self._asked(f"validation, step {step}", self.rollout.val_kwargs, problem, row["raw_prompt"])
        graded = await self._graded(asked, row["reward_model"], "none")
        return [self._trajectory(problem, problem, response, verdict, ()) for response, _, verdict in graded]

    async def _asked(self, purpose: str, sampling: DictConfig, problem: str, messages: list[dict]) -> Asked:
        """sampling.n responses; purpose: what their seeds are of."""
        prompt = self.template.prompt_tokens(messages)
        seeds = [response_seed(self.rollout.seed, purpose, problem, i) for i in range(sampling.n)]
        return Asked(prompt, await asyncio.gather(*(self._response(prompt, sampling, seed) for seed in seeds)))

    async def _graded(self, asked: Asked, gold: dict, format: str) -> list[tuple[Response, str, Verdict]]:
        # Special tokens stay in the text: some tokenizers count </think> among them.
        texts = [self.tokenizer.decode(response.tokens_T) for response in asked.responses]
        pairs = [(json.loads(gold["ground_truth"]), text) for text in texts]
        cut = [self._cut(response) for response in asked.responses]
        verdicts = await asyncio.to_thread(self.pool.grade, pairs, format, cut)
        return list(zip(asked.responses, texts, verdicts, strict=True))

    def _cut(self, response: Response) -> bool:
        return len(response.tokens_T) >= self.rollout.response_length

    def _trajectory(
        self, group: str, problem: str, response: Response, verdict: Verdict, steps: tuple[str, ...]
    ) -> Trajectory:
        tokens, cut = len(response.tokens_T), self._cut(response)
        return Trajectory(group, problem, verdict.correct, verdict.reason, steps, tokens, cut)

    async def _steps(self, text: str, answer: str | None) -> tuple[str, ...]:
        """The underlined results of a response, as the consensus sets have them."""
        if self.core is None:
            return parse_steps(text)
        steps = scored_steps(text, answer, self.core)
        return tuple(await asyncio.to_thread(self.pool.keys, steps)) if self.core.key == "structure" else steps

    async def _response(self, prompt: list[int], sampling: DictConfig, seed: int) -> Response:
        asked = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "max_tokens": self.rollout.response_length,
            "logprobs": True,
            "seed": seed,
        }
        output = await self.client.generate(uuid4().hex, prompt_ids=prompt, sampling_params=asked)
        if not output.token_ids or len(output.log_probs) != len(output.token_ids):
            raise RuntimeError(f"vLLM gave no whole response: {len(output.token_ids)} tokens ({output.stop_reason})")
        return Response(list(output.token_ids), list(output.log_probs), output.extra_fields["global_steps"])


async def _all(coroutines: Iterable[Coroutine]) -> list[Any]:
    return await asyncio.gather(*coroutines)
