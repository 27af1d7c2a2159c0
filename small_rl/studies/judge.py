"""What a model says of mathematics: 1 to 10, how similar two lists of intermediate results are (V2 blog, the probing
study); yes or no, whether an answer is one of the accepted ones.

Any OpenAI-compatible address (`POST <address>/chat/completions`). Only results and answers are sent, never a trace. A
reply in another form is counted as unreadable. Redirects are not followed: the key is for this address alone.
"""

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
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
EQUAL = (
    "The accepted answers to a mathematical problem, a JSON list: {golds}\n\nAnother answer: {answer}\n\nIs it, as "
    "mathematics, the same as one of the accepted answers, complete and without anything that they do not have? Reply "
    "with YES or NO and nothing else."
)
OUTSIDE, UNREADABLE, NO_REPLY, NOT_ASKED = "outside_1_to_10", "unreadable", "no_reply", "not_asked"
LONGEST = 1 << 22  # bytes of a reply
PAUSE = 30.0  # seconds between two attempts, at most
Lists = tuple[Sequence[str], Sequence[str]]


@dataclass(frozen=True)
class Score:
    """value: 1 to 10, or 1 for yes and 0 for no; None where `problem` says why there is none."""

    value: int | None
    problem: str | None


def read_score(reply: str) -> Score:
    """The score in a reply, after its last </think> if there is one: a bare integer, and nothing else."""
    text = reply.rpartition(END_OF_THOUGHT)[2].strip()
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        return Score(None, UNREADABLE)
    value = int(text)
    return Score(value, None) if 1 <= value <= 10 else Score(None, OUTSIDE)


def read_yes(reply: str) -> Score:
    """1 for YES, 0 for NO, after its last </think> if there is one: the bare word, and nothing else."""
    word = reply.rpartition(END_OF_THOUGHT)[2].strip().rstrip(".").upper()
    return Score({"YES": 1, "NO": 0}[word], None) if word in ("YES", "NO") else Score(None, UNREADABLE)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl) -> None:
        return None


def scores(pairs: Sequence[Lists], judge: Judge) -> list[Score]:
    """The score of every pair, in order. Raises UserError as `replies`."""
    lists = [[json.dumps(list(results), ensure_ascii=False) for results in pair] for pair in pairs]
    return replies([QUESTION.format(a=a, b=b) for a, b in lists], read_score, judge, "pair")


def equal(pairs: Sequence[tuple[Sequence[str], str]], judge: Judge) -> list[Score]:
    """Whether each answer is one of the accepted ones, (golds, answer), in order. Raises UserError as `replies`."""
    asked = [
        (json.dumps(list(golds), ensure_ascii=False), json.dumps(answer, ensure_ascii=False)) for golds, answer in pairs
    ]
    return replies([EQUAL.format(golds=golds, answer=answer) for golds, answer in asked], read_yes, judge, "answer")


def replies(questions: Sequence[str], read: Callable[[str], Score], judge: Judge, unit: str) -> list[Score]:
    """What is read in the reply to every question, in order, within `judge.total_timeout` seconds and the last attempt.

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
    progress = Progress("judge", len(questions), unit=unit)
    found = []
    with ThreadPoolExecutor(judge.workers) as threads:
        try:
            for score in threads.map(lambda question: _ask(opener, question, read, judge, until), questions):
                found.append(score)
                progress.update(len(found))
        except UserError:
            threads.shutdown(cancel_futures=True)
            raise
    return found


def _ask(
    opener: urllib.request.OpenerDirector, question: str, read: Callable[[str], Score], judge: Judge, until: float
) -> Score:
    """One question, with its retries."""
    if time.monotonic() >= until:
        return Score(None, NOT_ASKED)
    for attempt in range(judge.retries + 1):
        if attempt:
            time.sleep(max(0.0, min(PAUSE, 2.0 ** (attempt - 1), until - time.monotonic())))
        if time.monotonic() >= until:
            break
        try:
            return read(_reply(opener, question, judge))
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


def _reply(opener: urllib.request.OpenerDirector, question: str, judge: Judge) -> str:
    """The text of one reply, within twice judge.timeout. Raises OSError, and ValueError for another layout."""
    body = {
        "model": judge.model,
        "messages": [{"role": "user", "content": question}],
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
