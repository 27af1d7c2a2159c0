"""vLLM's log-probabilities of given texts: an engine that samples nothing else."""

from pathlib import Path

from polaris.generation.settings import Engine, Sampling
from polaris.generation.vllm_engine import VllmEngine

ONE_TOKEN = Sampling(temperature=1.0, top_p=1.0, top_k=-1, max_tokens=1, seed=0)


class ScoringEngine(VllmEngine):
    """An engine that scores prompts (`log_probs`); see VllmEngine."""

    def __init__(self, model: Path, engine: Engine, log: Path):
        super().__init__(model, engine, ONE_TOKEN, log)
