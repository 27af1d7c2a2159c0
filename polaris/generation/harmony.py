"""Responses in OpenAI's harmony format as ours: what is thought inside `<think>…</think>`, then what is said.

gpt-oss answers in messages, `<|start|>assistant<|channel|>NAME<|message|>TEXT<|end|>`. The prompt ends with
`<|start|>assistant`, so that the first message begins with its channel; the last one ends with `<|return|>`, or with
`<|call|>` where a tool is called. The channel `final` is the answer; `analysis` is the chain of thought, and
`commentary` what is said before a call. Source: docs/format.md of github.com/openai/harmony.

Only the markers' own token ids separate messages: a response may well quote the markers.
"""

from collections.abc import Iterator, Sequence
from typing import Any

CHANNEL, MESSAGE, FINAL = "<|channel|>", "<|message|>", "final"
MARKERS = ("<|start|>", CHANNEL, "<|constrain|>", MESSAGE, "<|end|>", "<|call|>", "<|return|>")


class Harmony:
    """The format under one tokenizer; one that lacks its markers has no messages."""

    def __init__(self, tokenizer: Any):
        known = tokenizer.get_vocab()
        self._markers = (
            {known[marker]: marker for marker in MARKERS} if all(marker in known for marker in MARKERS) else {}
        )

    def messages(self, tokens: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
        """(channel, content) of each message, as token ids without markers; the last one may be cut anywhere.

        Nothing where `tokens` hold no message: then the model does not answer in this format.
        """
        channel: list[int] = []
        content: list[int] | None = None
        part: list[int] = []  # what the next token is added to
        for token in tokens:
            marker = self._markers.get(token)
            if marker is None:
                part.append(token)
                continue
            if content is not None:
                yield channel, content
                channel, content = [], None
            part = []
            if marker == CHANNEL:
                channel = part
            elif marker == MESSAGE:
                content = part
        if content is not None:
            yield channel, content


def thought_then_said(messages: Sequence[tuple[str, str]]) -> str:
    """The response of (channel, text) pairs; a thought that no answer follows leaves its block open."""
    # A header names the recipient of a call behind its channel: `commentary to=functions.x`.
    answer = "\n\n".join(text for channel, text in messages if channel.split()[:1] == [FINAL])
    thoughts = "\n\n".join(text for channel, text in messages if channel.split()[:1] != [FINAL])
    if not thoughts:
        return answer
    return f"<think>\n{thoughts}\n</think>\n\n{answer}" if answer else f"<think>\n{thoughts}"
