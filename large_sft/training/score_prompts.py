"""Stage: vLLM's log-probabilities of the conversion gate's prompts, as the gate's reference where transformers cannot
hold the model.

`log_probs.json`: a list with one {"tokens": ids, "log_probs": of all tokens but the first} per prompt.
"""

import json
from typing import Any

from large_sft.settings import Reference
from polaris.generation import vllm_engine
from polaris.generation.vllm_log_probs import ScoringEngine
from polaris.models.prompts import load_tokenizer
from polaris.stage.errors import UserError
from polaris.stage.stage import Stage, run_verb


def prompt_tokens(tokenizer: Any, prompts: list[str], longest: int) -> list[list[int]]:
    """The prompts' tokens. Raises UserError for one that says nothing or that the engine does not take."""
    tokens = [tokenizer.encode(prompt, add_special_tokens=False) for prompt in prompts]
    for prompt, ids in zip(prompts, tokens, strict=True):
        if len(ids) < 2:
            raise UserError(f"gate.prompts: {prompt!r} is one token; only tokens after others have a log-probability")
        if len(ids) >= longest:
            raise UserError(
                f"gate.prompts: {prompt[:40]!r} has {len(ids)} tokens; vllm.max_model_len ({longest}) must be greater"
            )
    return tokens


def main() -> None:
    with Stage.from_command_line("large_sft.training.score_prompts", Reference, inputs=("start",)) as stage:
        vllm_engine.work_offline()
        model, engine = stage.inputs["start"].model, stage.settings.vllm
        prompts = prompt_tokens(load_tokenizer(model), stage.settings.prompts, engine.max_model_len)
        with ScoringEngine(model, engine, stage.log / "vllm.log") as running:
            scored = running.log_probs(prompts)
        rows = [{"tokens": ids, "log_probs": values} for ids, values in zip(prompts, scored, strict=True)]
        (stage.partial / "log_probs.json").write_text(json.dumps(rows) + "\n")
        stage.publish(metrics={"tokens": sum(map(len, scored))})


if __name__ == "__main__":
    run_verb(main)
    vllm_engine.leave()
