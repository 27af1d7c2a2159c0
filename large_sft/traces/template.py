"""A trace as tokens of the generalist's own chat template, and the proof that it survives there.

The response's tokens follow the prompt's as they would in generation, and not through the template's rendering of an
assistant message: templates rewrite the blanks around the think block, or lose the block. Two proofs: the template
renders a conversation of ours to the same tokens (`check_template`), and every example is decoded again and must
give exactly the response and the end of the turn (`example_of`).
"""

import dataclasses
from typing import Any

from polaris.grading.answers import END_OF_THOUGHT
from polaris.models.chat_template import ChatTemplate
from polaris.models.prompts import messages
from polaris.stage.errors import UserError

THINK = "<think>\n"
# A think block with a span in it and the blanks that the reasoning models write themselves.
PROBE = "Let x = 2.\n\\underline{x + 1 = 3}\n</think>\n\nSo it is \\boxed{3}."
TOO_LONG, NOT_REPRODUCED, SPECIAL = "too_long", "not_reproduced", "special_token"


@dataclasses.dataclass(frozen=True)
class Prompt:
    """What precedes a response in generation."""

    question: list[dict[str, str]]
    ids: list[int]
    text: str

    def turn(self, response: str) -> str:
        """The response as it follows this prompt: the think block is opened by the one or by the other."""
        body = response.removeprefix(THINK)
        return body if self.text.rstrip().endswith("<think>") else THINK + body


@dataclasses.dataclass(frozen=True)
class Example:
    """Tokens [0, prompt_tokens) are the prompt and carry no loss; the others are the response and the end of the
    turn.
    """

    problem_id: str
    input_ids: list[int]
    prompt_tokens: int

    @property
    def taught(self) -> list[int]:
        """The tokens with loss."""
        return self.input_ids[self.prompt_tokens :]


def prompt_of(template: ChatTemplate, problem: str, instruction: str) -> Prompt:
    """The prompt as in generation."""
    question = messages(problem, instruction)
    text = template.render(question, add_generation_prompt=True)
    return Prompt(question, template.tokenizer.encode(text, add_special_tokens=False), text)


def rendered(template: ChatTemplate, prompt: Prompt, response: str) -> str:
    """The whole conversation as the template itself writes it."""
    answer = {"role": "assistant", "content": THINK + response.removeprefix(THINK)}
    return template.render([*prompt.question, answer], add_generation_prompt=False)


def check_template(template: ChatTemplate) -> None:
    """Whether the generalist can be taught in its own chat template.

    Raises UserError where it cannot: there is no chat template, the template does not give back a trace, another
    token than eos_token ends the turn, or the border of the loss falls elsewhere when the whole text is read at once.
    """
    tokenizer = template.tokenizer
    model = tokenizer.name_or_path
    prompt = prompt_of(template, "What is 2 + 1?", "")
    whole, expected = rendered(template, prompt, PROBE), prompt.text + prompt.turn(PROBE)
    if not whole.startswith(expected):
        raise UserError(
            f"{model}: the chat template loses or moves the think block or a span of a response: it writes {whole!r} "
            f"and not {expected!r}; the student would be prompted in another format than it is trained on"
        )
    end = whole.removeprefix(expected).strip()
    if tokenizer.eos_token is None or not end.startswith(tokenizer.eos_token):
        raise UserError(
            f"{model}: the chat template ends a response with {end!r}, the tokenizer's eos_token is "
            f"{tokenizer.eos_token!r}: the student would not learn to stop; set eos_token in tokenizer_config.json"
        )
    ids = tokenizer.encode(whole, add_special_tokens=False)
    example = example_of(tokenizer, "", prompt, PROBE, len(ids))
    if not isinstance(example, Example) or example.input_ids != ids[: len(example.input_ids)]:
        raise UserError(
            f"{model}: the loss would not cover exactly the response's tokens: prompt and response read as one text "
            f"give other tokens than one after the other ({example if isinstance(example, str) else 'at their border'})"
        )


def example_of(tokenizer: Any, problem_id: str, prompt: Prompt, response: str, max_tokens: int) -> Example | str:
    """The example, or the reason why this response makes none."""
    text = prompt.turn(response)
    ids = tokenizer.encode(text, add_special_tokens=False)
    if set(ids) & _controls(tokenizer):
        return SPECIAL
    ids.append(tokenizer.eos_token_id)
    if len(prompt.ids) + len(ids) > max_tokens:
        return TOO_LONG
    example = Example(problem_id, prompt.ids + ids, len(prompt.ids))
    return example if decoded(tokenizer, example.taught) == text + tokenizer.eos_token else NOT_REPRODUCED


def _controls(tokenizer: Any) -> set[int]:
    """Special tokens that end or begin turns; some tokenizers count the think tags among them."""
    return set(tokenizer.all_special_ids) - {
        tokenizer.convert_tokens_to_ids(tag) for tag in ("<think>", END_OF_THOUGHT)
    }


def decoded(tokenizer: Any, ids: list[int]) -> str:
    """Every token's text, special ones too."""
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
