"""The rollouts of one RL step: vLLM answers, our grader judges, rewards are given, and verl gets finished rows.

In the place of verl's agent loops and reward workers, which serve conversations with tools: those take two further
processes, build each of the step's conversations anew and report them one by one. Here everything that a reward may
depend on is known before the rows reach TransferQueue, and every response has its own seed.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import torch
import transfer_queue
from omegaconf import DictConfig
from tensordict import TensorDict
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from polaris.grading_pool import GradingPool
from polaris.seeds import response_seed
from small_rl.core import scored_steps
from small_rl.step_metrics import Trajectory
from small_rl.steps import parse_steps

PARTITION = "train"


@dataclass(frozen=True)
class Response:
    """tokens, log_probs: of the response alone, as sampled; weights: step of the weights that sampled it."""

    tokens: list[int]
    log_probs: list[float]
    weights: int


class Rollouts:
    """What verl's trainer calls its agent loop manager.

    client: verl's LLMServerClient; reward: rewards of all trajectories of a step, in their order
    """

    def __init__(
        self,
        config: DictConfig,
        tokenizer: Any,
        client: Any,
        reward: Callable[[Sequence[Trajectory]], Sequence[float]],
    ):
        self.rollout, self.grading = config.actor_rollout_ref.rollout, config.polaris.grading
        self.core = config.polaris.get("core")
        self.tokenizer, self.client, self.reward = tokenizer, client, reward
        self.pool = GradingPool(self.grading.timeout, self.grading.workers)

    def generate_sequences(self, prompts: TensorDict) -> None:
        """Roll out, grade and reward all prompts of a step; put the rows where verl's replay buffer finds them."""
        columns = [[getattr(item, "data", item) for item in prompts[name]] for name in
                   ("uid", "raw_prompt", "extra_info", "reward_model")]  # fmt: skip
        step = int(prompts["global_steps"])
        found = asyncio.run(self._all(step, list(zip(*columns, strict=True))))
        trajectories = [trajectory for group in found for trajectory, _, _ in group]
        rewards = iter(self.reward(trajectories))
        keys, rows, tags = [], [], []
        for uid, group in zip(columns[0], found, strict=True):
            for sample, (_, prompt, response) in enumerate(group):
                keys.append(f"{uid}_{sample}_0")
                rows.append(_row(uid, prompt, response, next(rewards)))
                tags.append(_tag(step, prompt, response))
        transfer_queue.kv_batch_put(
            keys=keys, partition_id=PARTITION, fields=list_of_dict_to_tensordict(rows), tags=tags
        )
        done = {"is_prompt": True, "status": "finished", "global_steps": step}
        transfer_queue.kv_batch_put(keys=columns[0], partition_id=PARTITION, tags=[dict(done) for _ in columns[0]])

    async def _all(self, step: int, prompts: list[tuple]) -> list[list[tuple[Trajectory, list[int], Response]]]:
        return await asyncio.gather(*(self._group(step, *prompt) for prompt in prompts))

    async def _group(
        self, step: int, uid: str, messages: list[dict], info: dict, gold: dict
    ) -> list[tuple[Trajectory, list[int], Response]]:
        """All responses to one prompt, graded as soon as they are there."""
        text = self.tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
        prompt = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        problem = str(info["index"])
        seeds = [response_seed(self.rollout.seed, f"step {step}", problem, i) for i in range(self.rollout.n)]
        responses = await asyncio.gather(*(self._response(prompt, seed) for seed in seeds))
        # Special tokens stay in the text: some tokenizers count </think> among them.
        texts = [self.tokenizer.decode(response.tokens) for response in responses]
        cut = [len(response.tokens) >= self.rollout.response_length for response in responses]
        pairs = [(json.loads(gold["ground_truth"]), text) for text in texts]
        verdicts = await asyncio.to_thread(self.pool.grade, pairs, self.grading.format, cut)
        steps = [await self._steps(text, v.answer) for text, v in zip(texts, verdicts, strict=True)]
        trajectories = [
            Trajectory(uid, problem, v.correct, v.reason, found, len(response.tokens))
            for v, found, response in zip(verdicts, steps, responses, strict=True)
        ]
        return [(trajectory, prompt, response) for trajectory, response in zip(trajectories, responses, strict=True)]

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


def _row(uid: str, prompt: list[int], response: Response, reward: float) -> dict[str, Any]:
    """One trajectory as verl's workers read it; the reward stands on the last token."""
    tokens = torch.tensor(response.tokens)
    whole = torch.tensor(prompt + response.tokens)
    scores = torch.zeros(len(tokens))
    scores[-1] = reward
    return {
        "uid": uid,
        "prompts": torch.tensor(prompt),
        "responses": tokens,
        "input_ids": whole,
        "position_ids": torch.arange(len(whole)),
        "response_mask": torch.ones_like(tokens),
        "loss_mask": torch.ones_like(tokens),
        "rollout_log_probs": torch.tensor(response.log_probs),
        "rm_scores": scores,
        "num_turns": torch.tensor(2),
    }


def _tag(step: int, prompt: list[int], response: Response) -> dict[str, Any]:
    return {
        "status": "success",
        "prompt_len": len(prompt),
        "response_len": len(response.tokens),
        "seq_len": len(prompt) + len(response.tokens),
        "global_steps": step,
        "min_global_steps": response.weights,
        "max_global_steps": response.weights,
    }
