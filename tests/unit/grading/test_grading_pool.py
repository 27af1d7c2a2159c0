"""Grading in processes that may hang, die and be killed, without harm to any other answer."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris.grading.answers import (
    CORRECT,
    CRASHED,
    DIFFERENT,
    EQUIVALENT,
    EXACT,
    NO_ANSWER,
    NO_THINK,
    REASONS,
    TIMEOUT,
    TRUNCATED,
    UNPARSEABLE_GOLD,
    golds_from,
)
from polaris.grading.grading_pool import GradingPool

HANG = r"\int_0^1 \frac{\ln(1+x+x^2)\arctan(x)}{1+x^5}\,dx"  # which SymPy does not find in minutes


def workers(process: psutil.Process | None = None) -> list[psutil.Process]:
    """Grading processes below this process."""
    return [child for child in (process or psutil.Process()).children() if is_worker(child)]


def is_worker(process: psutil.Process) -> bool:
    try:
        return "polaris.grading.grading_worker" in process.cmdline()
    except psutil.Error:
        return False


def cpu(process: psutil.Process) -> float:
    """CPU seconds of a process and its children, 0 once it is gone."""
    try:
        return sum(each.cpu_times().user for each in (process, *process.children()))
    except psutil.Error:
        return 0.0


@pytest.fixture(scope="module")
def pool():
    with GradingPool(timeout=20, workers=1) as pool:
        yield pool
    assert not workers()


def test_plain_answers_start_no_process():
    before = workers()
    with GradingPool(timeout=1, workers=1) as pool:
        pairs = [(["5"], text) for text in ("x</think>\\boxed{5}", "x</think>\\boxed{6}", "\\boxed{5}", "</think>")]
        verdicts = pool.grade(pairs)
        assert [v.reason for v in verdicts] == [EXACT, DIFFERENT, NO_THINK, NO_ANSWER]
        assert [v.correct for v in verdicts] == [True, False, False, False]
        assert [v.answer for v in verdicts] == ["5", "6", None, None]
        assert workers() == before


def test_a_cut_response_is_graded_and_its_missing_answer_is_called_truncated():
    with GradingPool(timeout=1, workers=1) as pool:
        pairs = [(["5"], "x</think>\\boxed{5} and"), (["5"], "x</think>\\box"), (["5"], "thinking")]
        assert [v.reason for v in pool.grade(pairs, cut=[True] * 3)] == [EXACT, TRUNCATED, TRUNCATED]
        assert [v.reason for v in pool.grade(pairs, "none", cut=[False] * 3)] == [EXACT, NO_ANSWER, NO_ANSWER]


@pytest.mark.parametrize(
    ("gold", "answer", "reason"),
    [
        ("x+1", "1+x", EQUIVALENT),
        (r"2\sqrt{2}", r"\sqrt{8}", EQUIVALENT),
        (r"\frac{\pi}{2}", r"\pi/2", EQUIVALENT),
        (r"\{1,2\}", r"\{2,1\}", EQUIVALENT),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\3\end{pmatrix}", DIFFERENT),
        ("x+1", "x+2", DIFFERENT),
        ("7", "x^2+", DIFFERENT),  # no number is pulled out of what cannot be read
        ("7", "7^2+{", DIFFERENT),
        ("x^2+", "x", UNPARSEABLE_GOLD),
        ("x^2+", "x^2 + ", EXACT),
        ("x+1", "x+1\0", DIFFERENT),
        ("x+1", "\ud800", DIFFERENT),
        ("x+1", "__import__('os').system('true')", DIFFERENT),
    ],
)
def test_expressions(pool, gold, answer, reason):
    assert pool.grade_answers([([gold], answer)])[0].reason == reason


@pytest.mark.slow
def test_a_fault_of_the_reader_ends_a_grading_process_and_not_the_run(monkeypatch):
    monkeypatch.setattr("polaris.grading.grading_pool.compare", lambda *_: 1 / 0)
    with GradingPool(timeout=20, workers=1) as pool:
        assert pool.grade_answers([(["x+1"], "1+x")])[0].reason == EQUIVALENT


def test_the_grader_of_v1_is_told_apart_by_what_it_misses():
    pairs = [(["2/3"], "4/6"), (["3"], "y=3"), (["5"], "5"), (["x+1"], "1+x"), (["1/2"], "(x+1)**9999-9**9**9")]
    with GradingPool(timeout=3.0, workers=1, grader="deepscaler") as pool:
        reasons = [verdict.reason for verdict in pool.grade_answers(pairs)]
    assert reasons[:4] == [DIFFERENT, EQUIVALENT, EXACT, EQUIVALENT] and reasons[4] in {TIMEOUT, CRASHED, DIFFERENT}


def test_equal_formulas_have_one_key(pool):
    same = [("x+1", "1+x"), ("0.5", r"\frac{1}{2}"), (r"a\cdot b", "ab"), ("x^2+", "x^2+")]
    other = [("1+1=2", "2+2=4"), ("x+1", "x-1"), ("e", "E"), ("x^2+", "x+")]
    for a, b in same + other:
        first, second = pool.keys([a, b])
        assert (first == second) == ((a, b) in same), (a, b)
    assert pool.keys(pool.keys(["x+1"]) * 2) == pool.keys(["1+x"]) * 2


def test_a_key_that_takes_too_long_is_the_text():
    with GradingPool(timeout=1.0, workers=1) as pool:
        deep = "{" * 5000 + "1" + "}" * 5000
        assert pool.keys([deep, "1+x"])[1] == pool.keys(["x+1"])[0] and len(pool.keys([deep])) == 1


def test_any_gold_counts_and_the_order_is_kept(pool):
    pairs = [
        (["3", "x+2"], "2+x"),
        (["5"], r"\boxed{5}"),
        (["x"], r"\sqrt{9}"),
        ([], "5"),
        (["3"], r"\sqrt{9}"),
        (["1"], ""),
    ]
    reasons = [EQUIVALENT, EXACT, DIFFERENT, UNPARSEABLE_GOLD, EQUIVALENT, NO_ANSWER]
    assert [v.reason for v in pool.grade_answers(pairs)] == reasons


def test_a_decided_pair_is_remembered(pool):
    pairs = [([r"\ln 9"], r"2\ln 3")] * 3
    assert [v.reason for v in pool.grade_answers(pairs)] == [EQUIVALENT] * 3
    started = time.perf_counter()
    assert pool.grade_answers(pairs)[0].reason == EQUIVALENT
    assert time.perf_counter() - started < 0.1


ANSWERS = [
    "5",
    "x+1",
    r"\ln 9",
    r"2\ln 3",
    "1+x",
    r"\sqrt{9}",
    "3",
    "",
    "x^2+",
    r"\{2,1\}",
    "even",
    "\0",
    "}{",
    r"\frac{1}{0}",
]


@given(st.lists(st.tuples(st.sampled_from(ANSWERS[:4]), st.sampled_from(ANSWERS)), max_size=12))
@settings(max_examples=25, deadline=None)
def test_a_verdict_depends_on_its_own_pair_only(pool, pairs):
    together = [v.reason for v in pool.grade_answers([([gold], answer) for gold, answer in pairs])]
    assert together == [pool.grade_answers([([gold], answer)])[0].reason for gold, answer in pairs]


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_any_text_gets_a_verdict_with_a_reason(pool, gold, answer):
    golds = golds_from(gold)
    (verdict,) = pool.grade_answers([(golds, answer)])
    assert verdict.reason in REASONS and verdict.correct == (verdict.reason in CORRECT)
    assert pool.keys([answer]) == pool.keys([answer])


def test_from_threads(pool):
    results = {}

    def work(n: int) -> None:
        results[n] = [v.reason for v in pool.grade_answers([([rf"\ln {n}^2"], rf"2\ln {n}"), ([rf"\ln {n}"], "2")])]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [EQUIVALENT, DIFFERENT] for n in range(2, 8)}


@pytest.mark.slow
def test_a_worker_killed_between_answers_is_replaced(pool):
    assert pool.grade_answers([([r"e^\pi"], r"e^{\pi}\cdot 1")])[0].correct
    for worker in workers():
        worker.kill()
    assert pool.grade_answers([([r"e^\pi"], r"e^{\pi/1}")])[0].reason == EQUIVALENT


def test_long_and_nested_answers_are_decided(pool):
    text = "so " * 200_000
    pairs = [
        (["5"], f"{text}</think>{text}\\boxed{{5}}"),
        (["5"], f"</think>\\boxed{{{text}}}"),
        (["5"], "</think>\\boxed{" + "{" * 700 + "5" + "}" * 700 + "}"),
        (["5"], "</think>" + "\\boxed{" * 5000),
    ]
    assert [v.reason for v in pool.grade(pairs)] == [EXACT, DIFFERENT, DIFFERENT, NO_ANSWER]


@pytest.mark.slow
def test_hostile_answers_time_out_and_the_others_do_not_suffer():
    equal, other = ([r"\ln 9"], r"2\ln 3"), ([r"\ln 9"], r"3\ln 2")
    pairs = [equal, (["1"], HANG), other, (["1"], HANG), (["5"], "5"), ([r"\ln 8"], r"3\ln 2")]
    before = workers()
    with GradingPool(timeout=2.5, workers=1) as pool:
        started = time.monotonic()
        verdicts = pool.grade_answers(pairs)
        assert [v.reason for v in verdicts] == [EQUIVALENT, TIMEOUT, DIFFERENT, TIMEOUT, EXACT, EQUIVALENT]
        assert not verdicts[1].correct and 2.4 < verdicts[1].seconds < 10
        assert time.monotonic() - started < 60
    assert workers() == before


@pytest.mark.slow
def test_an_answer_that_kills_its_worker_twice_is_a_crash():
    done, others = threading.Event(), workers()
    with GradingPool(timeout=60, workers=1) as pool:
        pool.grade_answers([([r"\ln 9"], r"2\ln 3")])
        (first,) = set(workers()) - set(others)
        started = cpu(first)

        def killer() -> None:
            while not done.wait(0.05):
                for worker in set(workers()) - set(others):
                    if cpu(worker) > started + 0.5:
                        worker.kill()

        thread = threading.Thread(target=killer)
        thread.start()
        verdicts = pool.grade_answers([(["1"], HANG)])
        done.set()
        thread.join()
        assert verdicts[0].reason == CRASHED and not verdicts[0].correct
        assert pool.grade_answers([([r"\ln 4"], r"2\ln 2")])[0].reason == EQUIVALENT


@pytest.mark.slow
def test_children_die_with_a_killed_parent():
    code = (
        "from polaris.grading.grading_pool import GradingPool\n"
        "pool = GradingPool(timeout=4, workers=1)\n"
        "pool.grade_answers([(['e'], '1/e')])\n"
        "print('ready', flush=True)\n"
        f"pool.grade_answers([(['1'], {HANG!r})] * 2)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
    children, deadline = [], time.monotonic() + 20
    while len(children) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        children = psutil.Process(parent.pid).children(recursive=True)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert len(children) == 2  # the worker, and its child that computes
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
