"""A model's chat template, rendered in a child process with bounds of time and memory (chat_worker.py).

A template is a program that comes with the model: jinja's sandbox keeps it from Python, but lets it loop for ever and
fill the memory. Here it can do neither, nor open a file: the child is confined like those that grade answers.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from polaris.models import chat_worker
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError


class ChatTemplate(contextlib.AbstractContextManager):
    """The chat template of `tokenizer` (transformers), as `apply_chat_template` renders it.

    Raises UserError, here and when rendering, for a template that fails or goes beyond its bounds.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        try:
            source = tokenizer.get_chat_template()
        except ValueError as error:  # several, and none of them is the default
            raise self._refused(str(error)) from None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the child)
        self._child = subprocess.Popen(
            [sys.executable, "-m", chat_worker.__name__],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        tokens = {name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
        self._reply_to({"template": source, "tokens": tokens})

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child. It ends with this process, too."""
        self._child.kill()
        self._child.communicate()
        self._errors.close()

    def render(self, messages: Sequence[dict[str, str]], *, add_generation_prompt: bool) -> str:
        """The conversation as text. messages: with `role` and `content` each."""
        return self._reply_to({"messages": list(messages), "add_generation_prompt": add_generation_prompt})

    def prompt_tokens(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Token ids of the conversation with the generation prompt at its end."""
        text = self.render(messages, add_generation_prompt=True)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _reply_to(self, request: dict[str, Any]) -> str:
        assert self._child.stdin and self._child.stdout
        line = b""
        with contextlib.suppress(BrokenPipeError):  # it has ended: its status tells why
            self._child.stdin.write(json.dumps(request).encode() + b"\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        answer = json.loads(line) if line.endswith(b"\n") else {"error": self._end()}
        if "error" in answer:
            raise self._refused(answer["error"])
        return answer["text"]

    def _refused(self, reason: str) -> UserError:
        where = f"{self.tokenizer.name_or_path}: " if self.tokenizer.name_or_path else ""
        printable = "".join(letter if letter.isprintable() else " " for letter in reason)
        return UserError(
            f"{where}the chat template cannot be used: {printable}; correct the model's chat_template.jinja "
            "(or chat_template in tokenizer_config.json)"
        )

    def _end(self) -> str:
        status = self._child.wait()
        if status == -chat_worker.OVERTIME:
            return f"it computes for more than {chat_worker.SECONDS:.0f} s"
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        return f"its process ended with status {status} ({''.join(last)})"
