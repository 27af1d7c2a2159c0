"""The rollouts of one RL step: vLLM samples, our grader grades, our trainer rewards, and verl gets the rows.

They replace verl's agent loops and reward workers, which serve conversations with tools: those need two more processes,
rebuild each conversation of the step and report them one by one. Here everything that a reward may depend on is known
before the rows reach TransferQueue, and every response has its own seed.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from tensordict import TensorDict

from polaris.generation.seeds import response_seed
from polaris.grading.answers import Format
from polaris.grading.grading_pool import GradingPool, Verdict
from polaris.models.chat_template import ChatTemplate
from small_rl.reward.core import scored_results
from small_rl.reward.results import parse_results
from small_rl.reward.rl_step import Response, Rollout
from small_rl.reward.step_metrics import Trajectory
from small_rl.rollouts.features import features
from small_rl.teachers.verl_teachers import Teachers
from small_rl.training import verl_batch
from small_rl.training.verl_config import polaris_settings
from small_rl.training.verl_server import GroupClient


@dataclass(frozen=True)
class Sampled:
    """A prompt (token ids) and the responses to it."""

    prompt: list[int]
    responses: list[Response]


class Rollouts:
    """Takes the place of the trainer's agent loop manager in verl.

    client: of the rollout engine; finish: a step's graded groups -> the groups to train on; teachers: who read each
    response of the training, None: nobody
    """

    def __init__(
        self,
        config: DictConfig,
        tokenizer: Any,
        client: GroupClient,
        finish: Callable[[list[list[Rollout]]], list[list[Rollout]]],
        teachers: Teachers | None = None,
    ):
        settings = polaris_settings(config)
        self.rollout, self.grading = config.actor_rollout_ref.rollout, settings.grading
        self.core, self.masked_from, self.alarm = settings.core, settings.masked_from, settings.alarm
        self.tokenizer, self.client, self.finish, self.teachers = tokenizer, client, finish, teachers
        self.template = ChatTemplate(tokenizer)
        self.pool = GradingPool(self.grading.timeout, self.grading.workers, self.grading.grader)

    def generate_sequences(self, prompts: TensorDict) -> None:
        """Roll out, grade and reward all prompts of a step; put the rows where verl's replay buffer finds them."""
        columns: list[list[Any]] = [[getattr(item, "data", item) for item in prompts[name]] for name in
                   ("uid", "raw_prompt", "extra_info", "reward_model")]  # fmt: skip
        step = int(prompts["global_steps"])
        groups = asyncio.run(_all(self._group(step, *prompt) for prompt in zip(*columns, strict=True)))
        verl_batch.put(step, columns[0], self.finish(groups), self.masked_from)

    def validate(self, step: int, prompts: Iterable[dict[str, Any]]) -> list[Trajectory]:
        """Graded responses to a benchmark; nothing of them reaches the training.

        prompts: rows of verl's data set. The seeds are separate from the training's, and no </think> is demanded, as in
        V1's evaluation.
        """
        groups = asyncio.run(_all(self._validated(step, prompt) for prompt in prompts))
        return [trajectory for group in groups for trajectory in group]

    async def _group(self, step: int, uid: str, messages: list[dict], info: dict, gold: dict) -> list[Rollout]:
        """All responses to one prompt, graded as soon as they are sampled."""
        problem = str(info["index"])
        sampled = await self._sample(f"step {step}", self.rollout, problem, messages)
        graded = await self._graded(sampled, gold, self.grading.format)
        golds = json.loads(gold["ground_truth"])
        results_G = [await self._results(text, verdict, golds) for _, text, verdict in graded]
        seen_G = [await self._features(text, messages, response) for response, text, _ in graded]
        return [
            Rollout(self._trajectory(uid, problem, response, verdict, results, seen), sampled.prompt, response)
            for (response, _, verdict), results, seen in zip(graded, results_G, seen_G, strict=True)
        ]

    async def _validated(self, step: int, row: dict[str, Any]) -> list[Trajectory]:
        problem = str(row["extra_info"]["index"])
        purpose = f"validation, step {step}"
        sampled = await self._sample(purpose, self.rollout.val_kwargs, problem, row["raw_prompt"])
        graded = await self._graded(sampled, row["reward_model"], "none")
        return [
            self._trajectory(problem, problem, response, verdict, (), frozenset()) for response, _, verdict in graded
        ]

    async def _sample(self, purpose: str, sampling: DictConfig, problem: str, messages: list[dict]) -> Sampled:
        """sampling.n responses; their seeds depend on `purpose`, the problem and the response's number."""
        prompt = self.template.prompt_tokens(messages)
        parameters = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "max_tokens": self.rollout.response_length,
            "logprobs": True,
        }
        seeds = [response_seed(self.rollout.seed, purpose, problem, i) for i in range(sampling.n)]
        outputs = await self.client.responses(prompt, parameters, seeds)
        # A benchmark's answers teach nothing.
        teachers = self.teachers if sampling is self.rollout else None
        return Sampled(prompt, await asyncio.gather(*(self._response(prompt, output, teachers) for output in outputs)))

    async def _graded(self, sampled: Sampled, gold: dict, format: Format) -> list[tuple[Response, str, Verdict]]:
        # Special tokens stay in the text: some tokenizers count </think> among them.
        texts = [self.tokenizer.decode(response.tokens_T) for response in sampled.responses]
        pairs = [(json.loads(gold["ground_truth"]), text) for text in texts]
        cut = [self._cut(response) for response in sampled.responses]
        verdicts = await asyncio.to_thread(self.pool.grade, pairs, format, cut)
        return list(zip(sampled.responses, texts, verdicts, strict=True))

    def _cut(self, response: Response) -> bool:
        return len(response.tokens_T) >= self.rollout.response_length

    def _trajectory(
        self,
        group: str,
        problem: str,
        response: Response,
        verdict: Verdict,
        results: tuple[str, ...],
        seen: frozenset[str],
    ) -> Trajectory:
        tokens, cut = len(response.tokens_T), self._cut(response)
        return Trajectory(group, problem, verdict.correct, verdict.reason, results, tokens, cut, verdict.answer, seen)

    async def _features(self, text: str, messages: list[dict], response: Response) -> frozenset[str]:
        """What the alarm looks for in a response."""
        if self.alarm is None:
            return frozenset()
        return await asyncio.to_thread(features, text, messages[-1]["content"], response.tokens_T)

    async def _results(self, text: str, verdict: Verdict, golds: list[str]) -> tuple[str, ...]:
        """The underlined results of a response, as the consensus sets have them."""
        if self.core is None:
            return parse_results(text)
        answers = [*golds, verdict.answer] if verdict.correct else golds
        results = scored_results(text, answers, self.core)
        return tuple(await asyncio.to_thread(self.pool.keys, results)) if self.core.key == "structure" else results

    async def _response(self, prompt: list[int], output: Any, teachers: Teachers | None) -> Response:
        """output: verl's TokenOutput"""
        if not output.token_ids or len(output.log_probs) != len(output.token_ids):
            raise RuntimeError(
                f"vLLM returned no whole response: {len(output.token_ids)} tokens ({output.stop_reason})"
            )
        tokens = list(output.token_ids)
        taught = await teachers.taught(prompt, tokens) if teachers else None
        return Response(tokens, list(output.log_probs), output.extra_fields["global_steps"], taught)


async def _all(coroutines: Iterable[Coroutine]) -> list[Any]:
    return await asyncio.gather(*coroutines)
