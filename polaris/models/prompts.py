"""The prompt of a model, one user message that every stage makes in the same way, and the model's tokenizer."""

from pathlib import Path
from typing import Any

from polaris.stage.errors import UserError


def user_message(problem: str, instruction: str) -> str:
    """The problem's text, then the instruction, with one space between them unless the instruction brings its own.

    V1's prompts are `<problem> Let's think step by step and output the final answer within \\boxed{}.`
    """
    if not instruction:
        return problem
    return problem + ("" if instruction[0].isspace() else " ") + instruction


def messages(problem: str, instruction: str) -> list[dict[str, str]]:
    """The conversation that a model answers: one user message and no system prompt, as in V1."""
    return [{"role": "user", "content": user_message(problem, instruction)}]


def load_tokenizer(model: Path) -> Any:
    """The model's tokenizer (transformers). Raises UserError when it cannot be read or has no chat template."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 (its readers raise what they like, some the bare class)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{model}: the tokenizer cannot be read ({reason}); take the model's own files") from None
    if not tokenizer.chat_template:
        raise UserError(f"{model}: the tokenizer has no chat template; put the model's chat_template.jinja there")
    return tokenizer
