"""Verb: traces worth teaching, as tokens of the generalist's own chat template.

The response's tokens follow the prompt's just as they would in generation, and not through the template's rendering of an
assistant message: templates move or remove the think block. Every example is decoded again and must give the response,
to the letter, and the end-of-turn token.
"""

import collections
import dataclasses
from pathlib import Path
from typing import Any

from large_sft.settings import SftData
from polaris.answers import END_OF_THOUGHT, NO_THINK, TRUNCATED
from polaris.errors import UserError
from polaris.grade import grade_responses
from polaris.prompts import load_tokenizer, messages
from polaris.records import RESPONSES, TOKENS, read_problems, read_rows, write_rows
from polaris.stage import Stage, run_verb

THINK = "<think>\n"
DUPLICATE, TOO_LONG, NOT_REPRODUCED, SPECIAL = "duplicate", "too_long", "not_reproduced", "special_token"


@dataclasses.dataclass(frozen=True)
class Example:
    """Tokens [0, prompt_tokens) are the prompt and carry no loss; the others are the response and the end of the turn."""

    problem_id: str
    input_ids: list[int]
    prompt_tokens: int


def student_tokenizer(model: Path) -> Any:
    """The generalist's tokenizer.

    Raises UserError when it cannot teach: there is no chat template, or it ends a turn with another token than eos_token.
    """
    tokenizer = load_tokenizer(model)
    mark = "the answer"
    turn = [{"role": "user", "content": "?"}, {"role": "assistant", "content": mark}]
    end = tokenizer.apply_chat_template(turn, tokenize=False).rpartition(mark)[2].strip()
    if tokenizer.eos_token is None or not end.startswith(tokenizer.eos_token):
        raise UserError(
            f"{model}: the chat template ends a response with {end!r}, the tokenizer's eos_token is "
            f"{tokenizer.eos_token!r}: the student would not learn to stop; set eos_token in tokenizer_config.json"
        )
    return tokenizer


def prompt_of(tokenizer: Any, problem: str, instruction: str) -> tuple[list[int], bool]:
    """The prompt's tokens as in generation, and whether they end inside an open think block."""
    question = messages(problem, instruction)
    text = tokenizer.apply_chat_template(question, add_generation_prompt=True, tokenize=False)
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=False)
    return list(ids), text.rstrip().endswith("<think>")


def example_of(
    tokenizer: Any, problem_id: str, prompt: tuple[list[int], bool], response: str, max_tokens: int
) -> Example | str:
    """The example, or the reason why this response makes none.

    Where the template opens the think block the response begins inside it, elsewhere with `<think>`.
    """
    prompt_ids, thinking = prompt
    response = response.removeprefix(THINK)
    text = response if thinking else THINK + response
    ids = tokenizer.encode(text, add_special_tokens=False)
    if set(ids) & _controls(tokenizer):
        return SPECIAL
    ids.append(tokenizer.eos_token_id)
    if len(prompt_ids) + len(ids) > max_tokens:
        return TOO_LONG
    example = Example(problem_id, prompt_ids + ids, len(prompt_ids))
    taught = example.input_ids[example.prompt_tokens :]
    return example if _decoded(tokenizer, taught) == text + tokenizer.eos_token else NOT_REPRODUCED


def _controls(tokenizer: Any) -> set[int]:
    """Special tokens that end or begin turns; some tokenizers count the think tags among them."""
    return set(tokenizer.all_special_ids) - {
        tokenizer.convert_tokens_to_ids(tag) for tag in ("<think>", END_OF_THOUGHT)
    }


def _decoded(tokenizer: Any, ids: list[int]) -> str:
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def shown(tokenizer: Any, example: Example) -> str:
    """One example for people: what carries loss stands after the line that says so."""
    prompt, taught = example.input_ids[: example.prompt_tokens], example.input_ids[example.prompt_tokens :]
    return (
        f"problem {example.problem_id}\n"
        f"=== {len(prompt)} tokens without loss ===\n{_decoded(tokenizer, prompt)}\n"
        f"=== {len(taught)} tokens with loss ===\n{_decoded(tokenizer, taught)}\n"
        f"=== the border, token by token ===\n"
        f"{[_decoded(tokenizer, [t]) for t in prompt[-4:]]} | {[_decoded(tokenizer, [t]) for t in taught[:4]]}\n"
    )


def lengths(examples: list[Example]) -> dict[str, int]:
    """Histogram of lengths: "<=1024" -> examples of 513..1024 tokens."""
    bounds = collections.Counter(1 << (len(example.input_ids) - 1).bit_length() for example in examples)
    return {f"<={bound}": bounds[bound] for bound in sorted(bounds)}


def unfit(response: dict[str, Any], seen: set[tuple[str, str]]) -> str | None:
    """Why a trace is not taught, by its text alone; `seen` remembers what was there before."""
    if response["finish_reason"] != "stop":
        return TRUNCATED
    if END_OF_THOUGHT not in response["response"]:
        return NO_THINK
    key = (response["problem_id"], response["response"])
    if key in seen:
        return DUPLICATE
    seen.add(key)
    return None


def select(
    responses: list[dict[str, Any]],
    problems: dict[str, dict[str, Any]],
    settings: SftData,
    dropped: collections.Counter,
) -> list[dict[str, Any]]:
    """The responses that are taught, as far as text and gold answers say; counts the others in `dropped`."""
    seen: set[tuple[str, str]] = set()
    finished = []
    for response in responses:
        if reason := unfit(response, seen):
            dropped[reason] += 1
        else:
            finished.append(response)
    if unknown := next((r["problem_id"] for r in finished if r["problem_id"] not in problems), None):
        raise UserError(
            f"problem {unknown}: there is a response to it, but it is not among the problems; generate anew"
        )
    if settings.verify == "none":
        return finished
    graded = grade_responses(finished, problems, settings.grading)
    dropped.update(grade["reason"] for grade in graded if not grade["correct"])
    return [response for response, grade in zip(finished, graded, strict=True) if grade["correct"]]


def main() -> None:
    with Stage.from_command_line(
        "large_sft.build_sft_data", SftData, inputs=("problems", "responses", "base")
    ) as stage:
        settings = stage.settings
        tokenizer = student_tokenizer(stage.inputs["base"].model)
        problems = read_problems(stage.inputs["problems"].file("problems.parquet"))
        responses = read_rows(stage.inputs["responses"].file("responses.parquet"), RESPONSES)
        dropped: collections.Counter[str] = collections.Counter()
        examples = []
        for response in select(responses, problems, settings, dropped):
            problem_id = response["problem_id"]
            prompt = prompt_of(tokenizer, problems[problem_id]["problem"], settings.instruction)
            made = example_of(tokenizer, problem_id, prompt, response["response"], settings.max_tokens)
            if isinstance(made, Example):
                examples.append(made)
            else:
                dropped[made] += 1
        counts = dict(dropped.most_common())
        if not examples:
            raise UserError(f"{stage.name}: no trace of {len(responses)} is left; dropped: {counts}")
        write_rows(stage.partial / "tokens.parquet", map(dataclasses.asdict, examples), TOKENS)
        (stage.partial / "example.txt").write_text(shown(tokenizer, examples[0]))
        taught = sum(len(e.input_ids) - e.prompt_tokens for e in examples)
        stage.say(f"{len(examples)} of {len(responses)} traces, {taught} tokens with loss; dropped: {counts or 'none'}")
        stage.publish(
            metrics={
                "examples": len(examples),
                "dropped": counts,
                "tokens": sum(len(e.input_ids) for e in examples),
                "tokens_with_loss": taught,
                "lengths": lengths(examples),
            }
        )


if __name__ == "__main__":
    run_verb(main)
