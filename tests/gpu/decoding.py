"""Responses of a random model through our engine: `python -m tests.gpu.decoding JOB OUT`, both JSON files.

JOB: {"model": folder, "engine": an engine of the recipe, "responses": their number, "prompt": tokens of each prompt,
"max_tokens": of each response}. OUT has the seconds from the first request to the last response, and the tokens.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from polaris.generation import vllm_engine
from polaris.generation.settings import Engine, Sampling

# A token has about the logit of any other: no end token comes early, and top_k costs what it costs.
SAMPLING = {"temperature": 1.2, "top_p": 1.0, "top_k": 20, "seed": 1}


def prompt(row: int, tokens: int) -> list[int]:
    """Token ids that differ from row to row, so that no prefix is shared."""
    return [1000 + (7 * row + 11 * at) % 9000 for at in range(tokens)]


def run(job: dict[str, Any], log: Path) -> dict[str, Any]:
    """Seconds until the engine is up, and of all responses then."""
    sampling = Sampling(max_tokens=job["max_tokens"], **SAMPLING)
    started = time.monotonic()
    with vllm_engine.VllmEngine(Path(job["model"]), Engine(**job["engine"]), sampling, log) as engine:
        up = time.monotonic()
        requests = [vllm_engine.Request(row, prompt(row, job["prompt"]), seed=row) for row in range(job["responses"])]
        tokens = [len(done.token_ids) for done in engine.generate(requests)]
        seconds = time.monotonic() - up
    return {"start": up - started, "seconds": seconds, "responses": len(tokens), "tokens": sum(tokens)}


if __name__ == "__main__":
    vllm_engine.work_offline()
    out = Path(sys.argv[2])
    out.write_text(json.dumps(run(json.loads(Path(sys.argv[1]).read_text()), out.with_suffix(".log"))))
    vllm_engine.leave()
