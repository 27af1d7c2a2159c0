"""A model's score, 1 to 10, of how similar two lists of intermediate results are (V2 blog, the probing study).

Any OpenAI-compatible address (`POST <address>/chat/completions`). Only the results are sent, never a trace. A reply
that is not an integer from 1 to 10 is counted as unreadable. Redirects are not followed: the key is for this address
alone.
"""

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from polaris.grading.answers import END_OF_THOUGHT
from polaris.stage.errors import UserError
from polaris.stage.progress import Progress
from small_rl.study_settings import Judge

QUESTION = (
    "Two solutions of the same problem gave these intermediate results, each a JSON list.\n\nSolution A: {a}\n\n"
    "Solution B: {b}\n\nHow similar are the two lists as mathematics? 1: nothing in common. 10: the same results. "
    "Reply with one integer from 1 to 10 and nothing else."
)
OUTSIDE, UNREADABLE, NO_REPLY, NOT_ASKED = "outside_1_to_10", "unreadable", "no_reply", "not_asked"
LONGEST = 1 << 22  # bytes of a reply
PAUSE = 30.0  # seconds between two attempts, at most
Lists = tuple[Sequence[str], Sequence[str]]


@dataclass(frozen=True)
class Score:
    """value: 1 to 10, or None where `problem` says why there is none."""

    value: int | None
    problem: str | None


def read_score(reply: str) -> Score:
    """The score in a reply, after its last </think> if there is one: a bare integer, and nothing else."""
    text = reply.rpartition(END_OF_THOUGHT)[2].strip()
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        return Score(None, UNREADABLE)
    value = int(text)
    return Score(value, None) if 1 <= value <= 10 else Score(None, OUTSIDE)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl) -> None:
        return None


def scores(pairs: Sequence[Lists], judge: Judge) -> list[Score]:
    """The score of every pair, in order, within `judge.total_timeout` seconds and the last attempt.

    Raises UserError where the address refuses the request with a status that no further attempt would change.
    """
    if judge.key and not os.environ.get(judge.key):
        raise UserError(f"judge.key: the environment variable {judge.key} is not set")
    key = os.environ[judge.key].strip() if judge.key else ""
    if not (key.isascii() and key.isprintable()):
        raise UserError(
            f"judge.key: the environment variable {judge.key} holds characters that no header can; set it anew"
        )
    opener = urllib.request.build_opener(_NoRedirect)
    until = time.monotonic() + judge.total_timeout
    progress = Progress("judge", len(pairs), unit="pair")
    replies = []
    with ThreadPoolExecutor(judge.workers) as threads:
        try:
            for score in threads.map(lambda pair: _ask(opener, pair, judge, until), pairs):
                replies.append(score)
                progress.update(len(replies))
        except UserError:
            threads.shutdown(cancel_futures=True)
            raise
    return replies


def _ask(opener: urllib.request.OpenerDirector, pair: Lists, judge: Judge, until: float) -> Score:
    """One question, with its retries."""
    if time.monotonic() >= until:
        return Score(None, NOT_ASKED)
    for attempt in range(judge.retries + 1):
        if attempt:
            time.sleep(max(0.0, min(PAUSE, 2.0 ** (attempt - 1), until - time.monotonic())))
        if time.monotonic() >= until:
            break
        try:
            return read_score(_reply(opener, pair, judge))
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                # The reason is the standard's: the server's own words may hold the key.
                raise UserError(
                    f"judge.address {judge.address}: it answered {error.code} "
                    f"{http.client.responses.get(error.code, '')}; check the address (up to /v1), the model's name and "
                    "the key"
                ) from None
        except (OSError, http.client.HTTPException):
            pass
        except (ValueError, LookupError, TypeError, RecursionError):
            return Score(None, UNREADABLE)
    return Score(None, NO_REPLY)


def _reply(opener: urllib.request.OpenerDirector, pair: Lists, judge: Judge) -> str:
    """The text of one reply, within twice judge.timeout. Raises OSError, and ValueError for another layout."""
    a, b = (json.dumps(list(results), ensure_ascii=False) for results in pair)
    body = {
        "model": judge.model,
        "messages": [{"role": "user", "content": QUESTION.format(a=a, b=b)}],
        "temperature": 0,
        "max_tokens": judge.max_tokens,
    }
    headers = {"Content-Type": "application/json"}
    if judge.key:
        headers["Authorization"] = f"Bearer {os.environ[judge.key].strip()}"
    request = urllib.request.Request(
        f"{judge.address.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers, method="POST"
    )
    until, data = time.monotonic() + judge.timeout, b""
    with opener.open(request, timeout=judge.timeout) as response:
        while part := response.read1(1 << 16):
            data += part
            if time.monotonic() > until or len(data) > LONGEST:
                raise TimeoutError("the reply does not end")
    content = json.loads(data)["choices"][0]["message"]["content"]
    if not isinstance(content, str):
        raise ValueError("the reply has no text")  # noqa: TRY004 (what was replied, not what was passed)
    return content
