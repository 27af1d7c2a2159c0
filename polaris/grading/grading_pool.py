"""Grading many answers at once: text and exact arithmetic here, real numbers in own processes that can be killed.

Safe from any thread and inside Ray workers: no alarm, no fork of this process's memory, nothing left behind. The
processes start when the first answer needs them.
"""

import collections
import contextlib
import dataclasses
import functools
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from polaris.grading.answers import (
    CORRECT,
    CRASHED,
    EXACT,
    FAILURES,
    NO_ANSWER,
    TIMEOUT,
    TRUNCATED,
    UNPARSEABLE_GOLD,
    Format,
    Grader,
    find_answer,
    golds_from,
)
from polaris.grading.boxes import boxed_answer
from polaris.grading.compare import compare
from polaris.grading.equality.structure import STRUCTURE, key
from polaris.grading.reading.reader import MAX_ANSWER
from polaris.stage.code import module_name

ROOT = Path(__file__).resolve().parents[2]
START = 180.0  # seconds within which a worker must have imported SymPy, on a busy machine
SLACK = 3.0  # seconds that a worker has beyond the deadline to say that its child was killed
CACHE = 1 << 16  # replies that are remembered: of (golds, answer) pairs and of forms
Pair = tuple[tuple[str, ...], str]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of one answer.

    reason: one of polaris.grading.answers.REASONS; answer: what stood in the box (its first 1000 characters),
        None without one
    seconds: what the comparison took; 0 where it was remembered
    """

    correct: bool
    reason: str
    answer: str | None
    seconds: float


class _Lost(Exception):
    """The worker is gone: it was killed, ran out of memory or crashed."""


class _Worker:
    """A process of polaris.grading.grading_worker; one question at a time, in a child of it."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module_name("polaris.grading.grading_worker")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "SYMPY_GROUND_TYPES": "python"},
        )
        assert self.process.stdin is not None and self.process.stdout is not None  # both are pipes
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        os.set_blocking(self.stdin.fileno(), False)
        try:
            ready = self._line(START) == b"ready\n"
        except (_Lost, TimeoutError):
            ready = False
        if not ready:
            self.process.kill()
            _, error = self.process.communicate()
            raise RuntimeError(f"a grading process did not start:\n{error.decode(errors='replace')[-2000:]}")

    def ask(self, request: dict[str, Any], timeout: float) -> str:
        """The reply to a request. Raises TimeoutError and _Lost; the worker is of no use after either."""
        deadline = time.monotonic() + timeout + SLACK
        self._send(json.dumps(request | {"timeout": timeout}).encode() + b"\n", deadline)
        return json.loads(self._line(deadline - time.monotonic()))

    def _send(self, line: bytes, deadline: float) -> None:
        """Write a line as the worker takes it: one that is stopped takes no more than a pipe holds."""
        poll = select.poll()
        poll.register(self.stdin, select.POLLOUT)
        while line:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError
            try:
                line = line[os.write(self.stdin.fileno(), line) :]
            except OSError:
                raise _Lost from None

    def _line(self, timeout: float) -> bytes:
        """The next line, which the worker writes at once and whole."""
        poll = select.poll()
        poll.register(self.stdout, select.POLLIN)
        if not poll.poll(max(0.0, timeout) * 1000):
            raise TimeoutError
        line = self.stdout.readline()
        if not line.endswith(b"\n"):
            raise _Lost
        return line

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in filter(None, (self.stdin, self.stdout, self.process.stderr)):
            with contextlib.suppress(OSError):
                pipe.close()


class GradingPool:
    """Verdicts in order, each within its deadline; a timeout or a crash harms no other answer.

    timeout: seconds for one answer; workers: processes, started when needed; grader: whose notion of the same answer,
    where the texts are not the same anyway
    Use it as a context manager, or call `close`. Any number of threads may share one.
    """

    def __init__(self, timeout: float, workers: int, grader: Grader = "polaris"):
        self.timeout, self.grader = timeout, grader
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="grading")
        self._known: collections.OrderedDict[Pair | str, str] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes; answers that other threads still wait for are finished first."""
        self._threads.shutdown(cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().stop()

    def grade(
        self, pairs: Sequence[tuple[Sequence[str], str]], format: Format = "think", cut: Sequence[bool] = ()
    ) -> list[Verdict]:
        """Verdicts on whole responses: pairs of accepted answers and the response, in this order.

        format: see polaris.grading.answers.find_answer; cut: per pair, whether the response ended at max_tokens
        """
        found = [find_answer(response, format, golds) for golds, response in pairs]
        missing = [TRUNCATED if i < len(cut) and cut[i] else reason for i, (_, reason) in enumerate(found)]
        return self._verdicts([golds for golds, _ in pairs], [answer for answer, _ in found], missing)

    def grade_answers(self, pairs: Sequence[tuple[Sequence[str], str]]) -> list[Verdict]:
        """Verdicts on bare answers, boxed or not: pairs of accepted answers and the answer, in this order."""
        answers = [boxed_answer(answer, bare=True) or None for _, answer in pairs]
        return self._verdicts([golds for golds, _ in pairs], answers, [NO_ANSWER] * len(answers))

    def _verdicts(
        self, golds_R: Sequence[Sequence[str]], answers_R: Sequence[str | None], missing_R: Sequence[str | None]
    ) -> list[Verdict]:
        """One verdict per response (_R); the same question is asked once."""
        verdicts: list[Verdict | Pair] = []
        questions: dict[Pair, tuple[str, float]] = {}
        for texts, answer, missing in zip(golds_R, answers_R, missing_R, strict=True):
            golds = _accepted(tuple(texts))
            if answer is None:
                verdicts.append(Verdict(False, missing or NO_ANSWER, None, 0.0))
                continue
            started = time.perf_counter()
            reason = self._at_sight(answer, golds)
            if reason is None:
                reason = self._remembered((golds, answer))
            if reason is None:
                verdicts.append((golds, answer))
                questions[golds, answer] = (TIMEOUT, 0.0)
            else:
                verdicts.append(_verdict(reason, answer, time.perf_counter() - started))
        for pair, outcome in zip(questions, self._threads.map(self._decide, questions), strict=True):
            questions[pair] = outcome
        return [v if isinstance(v, Verdict) else _verdict(questions[v][0], v[1], questions[v][1]) for v in verdicts]

    def _at_sight(self, answer: str, golds: Sequence[str]) -> str | None:
        if not golds:
            return UNPARSEABLE_GOLD
        if self.grader != "polaris":
            return EXACT if answer in golds else None
        try:
            return compare(answer, golds)
        except Exception:  # noqa: BLE001  a fault of ours on a model's text: let it end a grading process, not the run
            return None

    def keys(self, forms: Sequence[str]) -> list[str]:
        """A text for each form that is equal where the formulas are but for their order: 1+x and x+1 have one key.

        forms: texts as of polaris.grading.answers.normal_form. What no rule reads is its own key; so is a key.
        """
        return [form if form.startswith(STRUCTURE) else key(form) for form in forms]

    def _decide(self, pair: Pair) -> tuple[str, float]:
        """The reason for a pair of golds and answer, and the seconds that it took."""
        reason, seconds = self._ask({"grader": self.grader, "golds": pair[0], "answer": pair[1]})
        if reason not in FAILURES:
            self._remember(pair, reason)
        return reason, seconds

    def _remembered(self, question: Pair | str) -> str | None:
        with self._lock:
            if reply := self._known.get(question):
                self._known.move_to_end(question)
            return reply

    def _remember(self, question: Pair | str, reply: str) -> None:
        with self._lock:
            self._known[question] = reply
            if len(self._known) > CACHE:
                self._known.popitem(last=False)

    def _ask(self, request: dict[str, Any]) -> tuple[str, float]:
        """Ask a worker: (reply, seconds). What died may have been killed for no fault of the request: one more try."""
        started = time.perf_counter()
        reply = CRASHED
        for _ in range(2):
            try:
                worker = self._idle.get_nowait()
            except queue.Empty:
                worker = _Worker()
            started = time.perf_counter()
            try:
                reply = worker.ask(request, self.timeout)
            except _Lost:
                worker.stop()
                continue
            except TimeoutError:
                worker.stop()
                reply = TIMEOUT
            else:
                self._idle.put(worker)
                if reply == CRASHED:
                    continue
            break
        return reply, time.perf_counter() - started


@functools.lru_cache(maxsize=4096)
def _accepted(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(golds_from(texts))


def _verdict(reason: str, answer: str, seconds: float) -> Verdict:
    return Verdict(reason in CORRECT, reason, answer[:MAX_ANSWER], seconds)
