"""A model's chat template, rendered in a child process with bounds of time and memory (chat_worker.py).

A template is a program that comes with the model: jinja's sandbox keeps it from Python, but lets it loop for ever and
fill the memory. Here it can do neither, nor open a file: the child is confined like those that grade answers.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from polaris.models import chat_worker
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError

KEPT = 4  # children that wait for the next use of their template: each takes .2 CPU seconds to start


class _Child:
    """A process of chat_worker.py. It ends with this one, too."""

    def __init__(self) -> None:
        self.waiting = True  # for a request; not so while it owes a reply
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the child)
        self.process = subprocess.Popen(
            [sys.executable, "-m", chat_worker.__name__],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def reply_to(self, request: str) -> dict[str, str]:
        assert self.process.stdin and self.process.stdout
        line, self.waiting = b"", False
        with contextlib.suppress(BrokenPipeError):  # it has ended: its status tells why
            self.process.stdin.write(request.encode() + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            return {"error": self._death()}
        self.waiting = True
        return json.loads(line)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
        self._errors.close()

    def _death(self) -> str:
        status = self.process.wait()
        if status == -chat_worker.OVERTIME:
            return f"it computes for more than {chat_worker.SECONDS:.0f} s"
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        return f"its process ended with status {status} ({''.join(last)})"


_kept: dict[tuple[int, str], _Child] = {}  # by this process (a fork of it has pipes in common) and the template


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
        tokens = {name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
        template = json.dumps({"template": source, "tokens": tokens})
        self._key = os.getpid(), template
        if kept := _kept.pop(self._key, None):
            self._child = kept
            return
        self._child = _Child()
        try:
            self._reply_to(template)
        except BaseException:
            self._child.end()
            raise

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """The child waits for the next use of its template; it ends with this process, or when others take its
        place.
        """
        if not self._child.waiting or self._key in _kept:
            self._child.end()
            return
        _kept[self._key] = self._child
        if len(_kept) > KEPT:
            _kept.pop(next(iter(_kept))).end()

    def render(self, messages: Sequence[dict[str, str]], *, add_generation_prompt: bool) -> str:
        """The conversation as text. messages: with `role` and `content` each."""
        return self._reply_to(json.dumps({"messages": list(messages), "add_generation_prompt": add_generation_prompt}))

    def prompt_tokens(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Token ids of the conversation with the generation prompt at its end."""
        text = self.render(messages, add_generation_prompt=True)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _reply_to(self, request: str) -> str:
        answer = self._child.reply_to(request)
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
