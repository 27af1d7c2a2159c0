"""One killable grading process: `python -m polaris.grading.grading_worker`, driven by polaris/grading/grading_pool.py.

A line of JSON in, a line of JSON out, `ready` before all; "timeout" is in seconds:
  {"grader": "math_verify", "golds": [...], "answer": "...", "timeout": 5}   the reason, as of answers.py
  {"key": "...", "timeout": 5}      the text's key: equal for texts that are read as the same expression
Each question is answered by a child of its own, forked from this process, which reads no formula of a question itself.
So nothing that an answer does to its process reaches another's verdict. The child is confined (sandbox.py) and
bounded in memory; it is killed at the deadline, kills itself a second later, and ends with its parent.
"""

import gc
import json
import logging
import os
import resource
import select
import signal
import time
from collections.abc import Iterator
from typing import Any

MEMORY = 2 << 30  # bytes of address space: an answer that wants more is a crash, not a swapping machine
FULL = (
    MEMORY * 3 // 4
)  # resident bytes; above it math-verify may have met a MemoryError, and have called it "different"
LONGEST = 64 << 20  # bytes of a reply
GRACE = 1.0  # seconds after the deadline, when the parent should long have killed this process
LOOK = 5.0  # seconds between looks at whether the parent lives

# What the children are forked with: math-verify's parser learns its grammar from what it reads, ten times slower at
# first.
WARM_UP = (
    (r"\frac{3}{4}", r"\dfrac{6}{8}"),
    (r"2\sqrt{3}+\sqrt[3]{5}", r"\sqrt{12}-5^{1/3}"),
    (r"x^2-2x+1", r"(x-1)^2"),
    (r"\left(\frac{1}{2},-3\right)", r"(0.5,-3)"),
    (r"\{1,2,a\}", r"\{a,2,1\}"),
    (r"[0,1)\cup(2,\infty)", r"(2,\infty)\cup[0,1)"),
    (r"(-\infty,3]", r"x\le 3"),
    (r"1<x\leq\frac{5}{2}", r"(1,2.5]"),
    (r"x=\pm 2", r"x=2, x=-2"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix}1&2\\3&5\end{bmatrix}"),
    (r"\frac{\pi}{6}+2\pi k", r"2k\pi+\pi/6"),
    (r"\sin^2 x+\cos(2x)", r"1-\sin^{2}{x}"),
    (r"\log_2 8+\ln e^{3}", r"6"),
    (r"3+4i", r"4i+3"),
    (r"e^{i\pi/3}", r"\frac{1+i\sqrt{3}}{2}"),
    (r"\binom{5}{2}+4!", r"34"),
    (r"\text{even}", r"\text{odd}"),
    (r"12\text{ cm}^2", r"12"),
    (r"y=2x+1", r"2x-y+1=0"),
    (r"a_1 b^{n+1}", r"b^n a_1 b"),
    (r"50\%", r"\frac{1}{2}"),
    (r"|x-1|", r"\left|1-x\right|"),
    (r"1,234,567", r"1234567"),
    (r"3\cdot 10^{5}\times 2", r"600000"),
    (r"\lfloor\frac{7}{2}\rfloor", r"3"),
    (r"-\frac{\sqrt{5}-1}{2}", r"\frac{1-\sqrt5}{2}"),
    (r"\frac{a+b}{c-d}", r"(a+b)/(c-d)"),
    (r"(x+1)(x-2)(2x+3)^2", r"x(x+1)"),
    (r"2^{10}\cdot 3^{-2}", r"\frac{1024}{9}"),
    (r"\frac{x^{2}}{9}+\frac{y^{2}}{4}=1", r"4x^2+9y^2=36"),
    (r"(-1,0)\cup(0,1]", r"[-2,2]\setminus\{0\}"),
    (r"\left(-\infty,-\sqrt{2}\right]", r"x<-1\text{ or }x\ge 2"),
    (r"\begin{pmatrix}\frac{1}{2}\\-x\end{pmatrix}", r"\begin{pmatrix}0.5\\-x\end{pmatrix}"),
    (r"\frac{n(n+1)}{2}", r"\frac{n^2+n}{2}"),
    (r"\tan^{-1}\left(\frac{1}{2}\right)", r"\arctan\frac{1}{2}"),
    (r"\cos\frac{\pi}{3}", r"\sin(\pi/6)"),
    (r"(3,\frac{\pi}{2})", r"\left(3,\frac{\pi}{2}\right)"),
    (r"f(x)=3x^2-\frac{1}{x}", r"3x^{2}-x^{-1}"),
    (r"1.25", r"5/4"),
    (r"-2,3,\frac{1}{2}", r"\frac{1}{2},-2,3"),
    (r"\log_{10}(x+1)-\ln x", r"\log(x+1)"),
    (r"\sqrt{x^2+y^2}", r"(x^2+y^2)^{\frac{1}{2}}"),
    (r"\alpha+\beta\theta", r"\theta\beta+\alpha"),
    (r"\{x\mid x>2\}", r"(2,\infty)"),
    (r"\sum_{k=1}^{n}k", r"\int_0^1 x\,dx"),
    (r"5!", r"120"),
    (r"\emptyset", r"\mathbb{R}"),
)


def requests(parent: int) -> Iterator[dict[str, Any]]:
    """Lines of stdin, until it ends or the parent is gone (a forked sister could hold the pipe open)."""
    text = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], LOOK)[0]:
            continue
        chunk = os.read(0, 1 << 16)
        if not chunk:
            return
        text += chunk
        while b"\n" in text:
            line, _, text = text.partition(b"\n")
            yield json.loads(line)


def verdict(golds: list[str], answer: str) -> str:
    """equivalent, different or unparseable_gold: the gold answers are asked in their order."""
    from polaris.grading.answers import DIFFERENT, EQUIVALENT, UNPARSEABLE_GOLD
    from polaris.grading.math_verify_equal import equal, read, readable

    answer_read, parseable = read(answer), False
    for gold in golds:
        gold_read = read(gold)
        parseable = parseable or readable(gold_read)
        if equal(gold, answer, gold_read, answer_read):
            return EQUIVALENT
    return DIFFERENT if parseable else UNPARSEABLE_GOLD


def deepscaler_verdict(golds: list[str], answer: str) -> str:
    from polaris.grading.answers import DIFFERENT, EQUIVALENT
    from polaris.grading.deepscaler_equal import equal

    return EQUIVALENT if any(equal(gold, answer) for gold in golds) else DIFFERENT


VERDICTS = {"math_verify": verdict, "deepscaler": deepscaler_verdict}


def key(text: str) -> str:
    """The parsed expression, unevaluated, as a text; the text itself where it cannot be read."""
    from polaris.grading.math_verify_equal import read, written

    found = read(text)
    return written(found) or text


def reply(request: dict[str, Any]) -> str:
    if "key" in request:
        return key(request["key"])
    return VERDICTS[request["grader"]](request["golds"], request["answer"])


def child_process(request: dict[str, Any], parent: int, pipe: int) -> None:
    """Write the reply into the pipe, confined, and end: with status 0 only where the reply is whole."""
    from polaris.grading import sandbox

    signal.setitimer(signal.ITIMER_REAL, request["timeout"] + GRACE)
    sandbox.die_with(parent)
    sandbox.confine()
    text = json.dumps(reply(request)).encode()
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > FULL:
        return
    while text:
        text = text[os.write(pipe, text) :]
    os._exit(0)


def answered(request: dict[str, Any], others: list[int]) -> str:
    """A child's reply as JSON, its deadline's or its death's name. others: descriptors that the child must not have."""
    from polaris.grading.answers import CRASHED, TIMEOUT

    parent, deadline = os.getpid(), time.monotonic() + request["timeout"]
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for descriptor in (*others, ours):
                os.close(descriptor)
            child_process(request, parent, theirs)
        finally:
            os._exit(1)
    os.close(theirs)
    text, ended = b"", False
    while not ended and select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(ours, 1 << 16)
        text += chunk
        ended = not chunk or len(text) > LONGEST
    if not ended or len(text) > LONGEST:
        os.kill(child, signal.SIGKILL)
    os.close(ours)
    _, status = os.waitpid(child, 0)
    if ended:
        return text.decode() if status == 0 else json.dumps(CRASHED)
    return json.dumps(TIMEOUT)


def prepare() -> None:
    """Import and warm up what the children need: they are forked with it, and can load no more than files."""
    # sympy loads this late, and it makes dataclasses, which are compiled texts
    import sympy.integrals.manualintegrate  # noqa: F401

    for gold, answer in WARM_UP:
        verdict([gold], answer)
        deepscaler_verdict([gold], answer)
    from polaris.grading import math_verify_equal, sandbox

    sandbox.check()
    math_verify_equal.read.cache_clear()
    gc.collect()
    gc.freeze()  # else a child's collector would copy every page


def main() -> None:
    os.environ["SYMPY_GROUND_TYPES"] = "python"  # with gmpy2 a huge factorial aborts the process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the kernel ends this process, whatever it is computing
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent = os.getppid()
    logging.disable(logging.CRITICAL)
    prepare()
    answers = os.dup(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.write(answers, b"ready\n")
    for request in requests(parent):
        line = answered(request, [0, answers]).encode() + b"\n"
        while line:
            line = line[os.write(answers, line) :]


if __name__ == "__main__":
    main()
