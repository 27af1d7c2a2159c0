"""The rollouts of one RL step: vLLM answers, our grader judges, and verl gets the rows that our trainer makes of them.

In the place of verl's agent loops and reward workers, which serve conversations with tools: those take two further
processes, build each of the step's conversations anew and report them one by one. Here everything that a reward may
depend on is known before the rows reach TransferQueue, and every response has its own seed.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from omegaconf import DictConfig
from tensordict import TensorDict

from polaris.grading_pool import GradingPool
from polaris.seeds import response_seed
from small_rl import verl_batch
from small_rl.core import scored_steps
from small_rl.rl_step import Response, Rollout
from small_rl.step_metrics import Trajectory
from small_rl.steps import parse_steps


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
        self.pool = GradingPool(self.grading.timeout, self.grading.workers, self.grading.grader)

    def generate_sequences(self, prompts: TensorDict) -> None:
        """Roll out, grade and reward all prompts of a step; put the rows where verl's replay buffer finds them."""
        columns = [[getattr(item, "data", item) for item in prompts[name]] for name in
                   ("uid", "raw_prompt", "extra_info", "reward_model")]  # fmt: skip
        step = int(prompts["global_steps"])
        groups = asyncio.run(self._all(step, list(zip(*columns, strict=True))))
        verl_batch.put(step, columns[0], self.finish(groups), self.masked_from)

    async def _all(self, step: int, prompts: list[tuple]) -> list[list[Rollout]]:
        return await asyncio.gather(*(self._group(step, *prompt) for prompt in prompts))

    async def _group(self, step: int, uid: str, messages: list[dict], info: dict, gold: dict) -> list[Rollout]:
        """All responses to one prompt, graded as soon as they are there."""
        text = self.tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
        prompt = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        problem = str(info["index"])
        seeds = [response_seed(self.rollout.seed, f"step {step}", problem, i) for i in range(self.rollout.n)]
        responses = await asyncio.gather(*(self._response(prompt, seed) for seed in seeds))
        # Special tokens stay in the text: some tokenizers count </think> among them.
        texts = [self.tokenizer.decode(response.tokens_T) for response in responses]
        cut = [len(response.tokens_T) >= self.rollout.response_length for response in responses]
        pairs = [(json.loads(gold["ground_truth"]), text) for text in texts]
        verdicts = await asyncio.to_thread(self.pool.grade, pairs, self.grading.format, cut)
        steps = [await self._steps(text, v.answer) for text, v in zip(texts, verdicts, strict=True)]
        trajectories = [
            Trajectory(uid, problem, v.correct, v.reason, found, len(response.tokens_T))
            for v, found, response in zip(verdicts, steps, responses, strict=True)
        ]
        return [Rollout(t, prompt, response) for t, response in zip(trajectories, responses, strict=True)]

    async def _steps(self, text: str, answer: str | None) -> tuple[str, ...]:
        """The underlined results of a response, as the consensus sets have them."""
        if self.core is None:
            return parse_steps(text)
        steps = scored_steps(text, answer, self.core)
        return tuple(await asyncio.to_thread(self.pool.keys, steps)) if self.core.key == "structure" else steps

    async def _response(self, prompt: list[int], seed: int) -> Response:
        sampling = {
            "temperature": self.rollout.temperature,
            "top_p": self.rollout.top_p,
            "top_k": self.rollout.top_k,
            "max_tokens": self.rollout.response_length,
            "logprobs": True,
            "seed": seed,
        }
        output = await self.client.generate(uuid4().hex, prompt_ids=prompt, sampling_params=sampling)
        if not output.token_ids or len(output.log_probs) != len(output.token_ids):
            raise RuntimeError(f"vLLM gave no whole response: {len(output.token_ids)} tokens ({output.stop_reason})")
        return Response(list(output.token_ids), list(output.log_probs), output.extra_fields["global_steps"])
