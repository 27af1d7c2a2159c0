"""Which training problems hold text of a benchmark's problem.

The usual measure: a run of n words (13 in the GPT-3 paper, appendix C) that both have. Two mends: what many problems
share is a template and no leak ("m and n are relatively prime positive integers. Find m + n"), and a benchmark problem
of fewer than n words is looked for as a whole. Linear in the length of the training problems.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from polaris.problems.problem_text import tokens, words

SPEAKING = 3  # words of two letters and more that a run needs; without them it is a formula or an enumeration
COVERED = 0.5  # share of a benchmark problem's runs that is a leak, template or not


@dataclasses.dataclass(frozen=True)
class Held:
    """A benchmark's problem, where it is held out."""

    benchmark: str
    id: str
    text: str


@dataclasses.dataclass(frozen=True)
class Leak:
    """What a training problem shares with a held-out one. span: the longest run; covered: share of `held`'s runs."""

    held: Held
    span: str
    covered: float


class HeldOut:
    """The benchmarks' problems, indexed by their runs of n words; short ones by their whole text."""

    def __init__(self, problems: Sequence[Held], n: int):
        self.problems, self.n = problems, n
        self.runs: dict[str, list[int]] = collections.defaultdict(list)
        self.count: list[int] = []
        self.whole: dict[str, int] = {}
        self.lengths: dict[tuple[str, ...], set[int]] = collections.defaultdict(
            set
        )  # of whole texts, by their beginning
        for number, problem in enumerate(problems):
            runs = dict.fromkeys(run for _, run in _runs(words(problem.text), n))
            self.count.append(len(runs))
            for run in runs:
                self.runs[run].append(number)
            if not runs and (text := tokens(problem.text)):
                self.whole.setdefault(" ".join(text), number)
                self.lengths[tuple(text[:2])].add(len(text))

    def shared_runs(self, text: str) -> list[tuple[int, str]]:
        """(place of its first word, run) of the runs that a benchmark problem has, too."""
        return [(place, run) for place, run in _runs(words(text), self.n) if run in self.runs]

    def whole_inside(self, text: str) -> int | None:
        """Number of a short problem that stands in this text, token by token."""
        inside = tokens(text)
        for place in range(len(inside)):
            starts = {*self.lengths.get(tuple(inside[place : place + 2]), ()), *self.lengths.get((inside[place],), ())}
            for length in starts:
                number = self.whole.get(" ".join(inside[place : place + length]))
                if number is not None:
                    return number
        return None


def _runs(text: Sequence[str], n: int) -> Iterator[tuple[int, str]]:
    """(place, the n words from there) of the runs that say something."""
    speaking = [0, *itertools.accumulate(len(word) > 1 and word.isalpha() for word in text)]
    for place in range(len(text) - n + 1):
        if speaking[place + n] - speaking[place] >= SPEAKING:
            yield place, " ".join(text[place : place + n])


def leaks(texts_P: Sequence[str], held_out: HeldOut, template_at: int) -> dict[int, Leak]:
    """Training problems that hold a benchmark's text, by number.

    template_at: a run that so many training problems have, or two benchmark problems, is a template; it counts only
    where half of the benchmark problem's runs are there.
    """
    shared_P = {number: runs for number, text in enumerate(texts_P) if (runs := held_out.shared_runs(text))}
    spread = collections.Counter(run for runs in shared_P.values() for run in {run for _, run in runs})
    leak_of = {}
    for number, text in enumerate(texts_P):
        leak = _leak(shared_P[number], held_out, spread, template_at) if number in shared_P else None
        if leak is None and held_out.whole and (short := held_out.whole_inside(text)) is not None:
            leak = Leak(held_out.problems[short], " ".join(tokens(held_out.problems[short].text)), 1.0)
        if leak:
            leak_of[number] = leak
    return leak_of


def _leak(
    shared: Sequence[tuple[int, str]], held_out: HeldOut, spread: collections.Counter[str], template_at: int
) -> Leak | None:
    """The held-out problem of which most is in a text with these runs, if it is more than a template."""
    n = held_out.n
    template = {run for _, run in shared if spread[run] >= template_at or len(held_out.runs[run]) > 1}
    worn = {word for place, run in shared if run in template for word in range(place, place + n)}
    by_problem: dict[int, dict[int, str]] = collections.defaultdict(dict)
    for place, run in shared:
        for number in held_out.runs[run]:
            by_problem[number][place] = run
    best = None
    for number, runs in by_problem.items():
        covered = len(set(runs.values())) / held_out.count[number]
        # A run that only leads into a template, by a word or two of its own, is no better than it.
        own = any(2 * len(worn.intersection(range(place, place + n))) < n for place in runs)
        if (own or covered >= COVERED) and (best is None or covered > best.covered):
            best = Leak(held_out.problems[number], _span(runs), covered)
    return best


def _span(runs: dict[int, str]) -> str:
    """The longest text that consecutive runs make up; runs: place -> its words."""
    longest: list[str] = []
    current: list[str] = []
    before = None
    for place, run in sorted(runs.items()):
        current = [*current, run.split()[-1]] if before is not None and place == before + 1 else run.split()
        longest, before = max(longest, current, key=len), place
    return " ".join(longest)
