"""Known ways to be paid without solving a problem, each tried on a stage's own reward before anything is trained.

A hack is a response that nobody reasoned for. It may know the problem's text, and some know the accepted answer or the
consensus set, as a bound of what leaks. All end in a wrong answer unless their name says that they box the right one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from small_rl.reward.core import ConsensusSets, Settings, process_reward, scored_results
from small_rl.reward.results import MAX_SPANS

END = "</think>"
WRONG = r"\boxed{\text{no answer of mine}}"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_FORMULA = re.compile(r"[A-Za-z]\s*=\s*[^\s,.;]+|\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Problem:
    """answers: accepted ones; results: its consensus set when the training begins"""

    id: str
    text: str
    answers: Sequence[str]
    results: Sequence[str]


@dataclass(frozen=True)
class Outcome:
    """What a hack earns over the problems.

    mean: reward; paid: share of the problems where it earns anything; correct: share where the grader accepts it;
    example: a problem where it earns the most
    """

    hack: str
    mean: float
    paid: float
    correct: float
    example: str


class Graded(Protocol):
    """What this file reads of polaris.grading.grading_pool.Verdict."""

    @property
    def correct(self) -> bool: ...


Grade = Callable[[Sequence[tuple[Sequence[str], str]]], Sequence[Graded]]
Keys = Callable[[Sequence[str]], Sequence[str]]


def _underlined(texts: Sequence[str]) -> str:
    return " ".join(rf"\underline{{{text}}}" for text in texts)


def _thought(text: str, box: str = WRONG) -> str:
    return f"{text}\n{END}\n{box}"


def _answer(problem: Problem) -> str:
    return problem.answers[0] if problem.answers else ""


def _known(problem: Problem) -> str:
    """One result of the set, empty where it has none."""
    return "".join([*problem.results][:1])


def _chain(problem: Problem) -> str:
    return "=".join([*(str(n) for n in range(40)), _answer(problem)])


def _disguised(problem: Problem) -> list[str]:
    """The answer as other texts."""
    answer = _answer(problem)
    return [f"({answer})", rf"{answer}\text{{ cm}}", f"Answer: {answer}", rf"\boxed{{{answer}}}", f"{{{answer}}}"]


def _assignments() -> list[str]:
    """x=0 to x=9 of the commonest letters, as many as are read."""
    return [f"{letter}={n}" for n in range(10) for letter in "abcdnxy"][:MAX_SPANS]


def _boxes(texts: Sequence[str], between: str = " ") -> str:
    return between.join(rf"\boxed{{{text}}}" for text in texts)


# Those that know the problem's text alone: a bound on their reward can be kept.
BLIND: Mapping[str, Callable[[Problem], str]] = {
    "nothing underlined": lambda problem: _thought("So it is."),
    "numbers 0 to 63 underlined": lambda problem: _thought(_underlined([str(n) for n in range(MAX_SPANS)])),
    "a=0, b=0, ... underlined": lambda problem: _thought(_underlined(_assignments())),
    "the question's numbers underlined": lambda problem: _thought(_underlined(_NUMBER.findall(problem.text))),
    "the question's formulas underlined": lambda problem: _thought(_underlined(_FORMULA.findall(problem.text))),
    "the whole question underlined": lambda problem: _thought(_underlined([problem.text])),
    "boxes of 0 to 20": lambda problem: _thought("", _boxes([str(n) for n in range(21)])),
    "boxes of 0 to 20, joined by `and`": lambda problem: _thought("", _boxes([str(n) for n in range(21)], " and ")),
    "a box of 0 to 20 in one chain of equations": lambda problem: _thought("", _boxes(["=".join(map(str, range(21)))])),
}
# Those that know more: what leaks when a policy finds it.
KNOWING: Mapping[str, Callable[[Problem], str]] = {
    "the answer underlined": lambda problem: _thought(_underlined([_answer(problem)])),
    "the answer underlined as x=...": lambda problem: _thought(_underlined([f"x={_answer(problem)}"])),
    "the answer underlined in brackets, boxes, with a unit": lambda problem: _thought(_underlined(_disguised(problem))),
    "a chain of equations to the answer": lambda problem: _thought(_underlined([_chain(problem)])),
    "one result of the set": lambda problem: _thought(_underlined([_known(problem)])),
    "one result of the set, 64 times": lambda problem: _thought(_underlined([_known(problem)] * MAX_SPANS)),
    "one result of the set, nested": lambda problem: _thought(r"\underline{" * 8 + _known(problem) + "}" * 8),
    "the right answer boxed in the thought only": lambda problem: _thought(_boxes([_answer(problem)])),
    "the right answer boxed in a thought that never ends": lambda problem: _boxes([_answer(problem)]),
    "the right answer boxed before a wrong one": lambda problem: _thought("", f"{_boxes([_answer(problem)])} {WRONG}"),
    "the right answer among boxes joined by `and`": lambda problem: _thought(
        "", _boxes([_answer(problem), "1", "2", "3"], " and ")
    ),
    "the right answer at the end of a false chain": lambda problem: _thought("", _boxes([_chain(problem)])),
    "the right answer in an open box": lambda problem: _thought("", rf"\boxed{{{_answer(problem)}"),
    "the right answer in a box with one brace too many": lambda problem: _thought(
        "", rf"\boxed{{{{{_answer(problem)}}}"
    ),
    "a result of the set in the box": lambda problem: _thought("", _boxes([_known(problem)])),
    "the whole set underlined (what the cap allows)": lambda problem: _thought(_underlined(problem.results)),
}
HACKS = {**BLIND, **KNOWING}


def tried(
    problems: Sequence[Problem], settings: Settings, sets: ConsensusSets, grade: Grade, keys: Keys
) -> list[Outcome]:
    """Each hack on every problem, paid as a rollout of the first step is. grade: responses; keys: of results."""
    sizes = sets.sizes()
    found = []
    for name, made in HACKS.items():
        texts = [made(problem) for problem in problems]
        verdicts = grade([(problem.answers, text) for problem, text in zip(problems, texts, strict=True)])
        earned = []
        for problem, text, verdict in zip(problems, texts, verdicts, strict=True):
            results = frozenset(keys(scored_results(text, problem.answers, settings)))
            size = sizes.get(problem.id, 0)
            pay = 1.0 if verdict.correct else process_reward(results, sets.get(problem.id), size, settings)
            earned.append(pay)
        most = max(range(len(problems)), key=earned.__getitem__)
        shares = fmean(pay > 0 for pay in earned), fmean(verdict.correct for verdict in verdicts)
        found.append(Outcome(name, fmean(earned), *shares, problems[most].id))
    return found
