"""Worked answers as token ids, tokenised as if the model had generated them."""

from pathlib import Path
from typing import Any

from polaris.models.prompts import load_tokenizer
from polaris.stage.errors import UserError


def tokenised(rows: list[dict[str, Any]], model: Path, limit: int | None) -> list[dict[str, Any]]:
    """Rows of polaris.stage.records.TOKENS: the prompt as rollouts see it, then the answer up to its end-of-turn token.

    Prompt and answer are tokenised separately, as when a model generates. What the generation prompt already contains
    (`<think>` of Qwen3's thinking models) belongs to the prompt and carries no loss.
    rows: of records.MESSAGES; limit: tokens of prompt and answer, None for any length
    Raises UserError for an answer that does not continue its prompt, or an example of more than `limit` tokens.
    """
    tokenizer = load_tokenizer(model)
    examples = []
    for row in rows:
        messages = row["messages"]
        prompt = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template(messages, tokenize=False).rstrip("\n")
        if messages[-1]["role"] != "assistant" or not whole.startswith(prompt):
            raise UserError(
                f"problem {row['problem_id']}: the answer does not continue the generation prompt {prompt[-40:]!r}; "
                f"it begins {messages[-1]['content'][:40]!r}"
            )
        head, tail = (tokenizer(t, add_special_tokens=False)["input_ids"] for t in (prompt, whole[len(prompt) :]))
        if limit is not None and len(head) + len(tail) > limit:
            raise UserError(
                f"problem {row['problem_id']}: prompt and answer have {len(head) + len(tail)} tokens, "
                f"max_tokens is {limit}"
            )
        examples.append({"problem_id": row["problem_id"], "input_ids": head + tail, "prompt_tokens": len(head)})
    return examples
