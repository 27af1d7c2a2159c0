"""vLLM's log-probabilities of given texts: vLLM generates at least one token, which is ignored."""

from collections.abc import Sequence
from pathlib import Path

from polaris.generation.settings import Engine, Sampling
from polaris.generation.vllm_engine import VllmEngine

ONE_TOKEN = Sampling(temperature=1.0, top_p=1.0, top_k=-1, max_tokens=1, seed=0)


class ScoringEngine(VllmEngine):
    """An engine that scores prompts; see VllmEngine."""

    def __init__(self, model: Path, engine: Engine, log: Path):
        super().__init__(model, engine, ONE_TOKEN, log)

    def log_probs(self, prompts: Sequence[list[int]]) -> list[list[float]]:
        """Of each prompt's tokens but the first, given those before, at temperature 1: natural logarithms."""
        with self._explained():
            return self._log_probs(prompts)

    def _log_probs(self, prompts: Sequence[list[int]]) -> list[list[float]]:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        params = SamplingParams(
            max_tokens=1, prompt_logprobs=0, detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY
        )
        for key, prompt in enumerate(prompts):
            self._engine.add_request(str(key), {"prompt_token_ids": prompt}, params)
        log_probs: dict[int, list[float]] = {}
        while len(log_probs) < len(prompts):
            for output in self._engine.step():
                if output.finished:
                    key = int(output.request_id)
                    tokens = zip(output.prompt_logprobs[1:], prompts[key][1:], strict=True)
                    log_probs[key] = [float(position[token].logprob) for position, token in tokens]
        return [log_probs[key] for key in range(len(prompts))]
