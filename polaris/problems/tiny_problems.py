r"""Families of made-up problems with verifiable answers and worked solutions, for laptops and tests.

chain   `a=6,b=a*4,c=b*3. Find (c).` Arithmetic modulo 10, a convention that the text does not mention.
        Intermediate results are the evaluated equations: `\underline{b=6*4=4}`.
digits  `Start (8352). Apply (sort,reverse).` Operations on a string of four different digits.
        Intermediate results are the strings: `\underline{sort=2358}`.
words   Word problems in English, for real language models (polaris.problems.english.words).

A worked solution that errs at a step goes on from the wrong result, so that its answer is usually wrong.
"""

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

from polaris.problems.english.words import Words, make_words

Pool = Literal["train", "benchmark"]

MODULUS = 10
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ARITHMETIC = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y}
OPERATIONS = {
    "sort": lambda s: "".join(sorted(s)),
    "reverse": lambda s: s[::-1],
    "swap": lambda s: s[-1] + s[1:-1] + s[0],
    "rotate": lambda s: s[1:] + s[0],
}
LENGTH = 4  # digits of a string
BENCHMARK_SHARE = 4  # one text in so many belongs to the pool of the benchmarks


@dataclass(frozen=True)
class Equation:
    """`name=left op right`; left is an earlier variable, right an earlier variable or a digit."""

    name: str
    left: str
    operator: str
    right: str


@dataclass(frozen=True)
class Chain:
    """Equations, each on earlier variables; the last variable is asked for. Some may not be needed for it."""

    start: int
    equations: tuple[Equation, ...]

    @property
    def text(self) -> str:
        parts = [f"a={self.start}", *(f"{e.name}={e.left}{e.operator}{e.right}" for e in self.equations)]
        return f"{','.join(parts)}. Find ({self.equations[-1].name})."

    @property
    def needed(self) -> set[str]:
        """Variables that the answer depends on."""
        names = {self.equations[-1].name}
        for equation in reversed(self.equations):
            if equation.name in names:
                names |= {equation.left, equation.right}
        return names

    def work(self, rng: random.Random, error_rate: float) -> tuple[list[str], str]:
        """Intermediate results and the answer that follows from them.

        Half of the unneeded equations are left out. The order is mostly the text's, else any possible one.
        """
        needed = self.needed
        waiting = [e for e in self.equations if e.name in needed or rng.random() < 0.5]
        values, results = {"a": self.start}, []
        while ready := [e for e in waiting if e.left in values and (e.right.isdigit() or e.right in values)]:
            equation = ready[0] if rng.random() < 0.7 else rng.choice(ready)
            waiting.remove(equation)
            x = values[equation.left]
            y = int(equation.right) if equation.right.isdigit() else values[equation.right]
            z = ARITHMETIC[equation.operator](x, y) % MODULUS
            if rng.random() < error_rate:
                z = rng.randrange(MODULUS)
            values[equation.name] = z
            results.append(f"{equation.name}={x}{equation.operator}{y}={z}")
        return results, str(values[self.equations[-1].name])


@dataclass(frozen=True)
class Digits:
    """Operations, in order, on a string of digits 1-9."""

    start: str
    operations: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"Start ({self.start}). Apply ({','.join(self.operations)})."

    def work(self, rng: random.Random, error_rate: float) -> tuple[list[str], str]:
        """Intermediate results and the answer that follows from them."""
        now, results = self.start, []
        for operation in self.operations:
            now = OPERATIONS[operation](now)
            if rng.random() < error_rate:
                place = rng.randrange(len(now))
                now = now[:place] + str(rng.randint(1, 9)) + now[place + 1 :]
            results.append(f"{operation}={now}")
        return results, now


Problem = Chain | Digits | Words


def make_chain(depth: int, rng: random.Random) -> Chain:
    """A chain of `depth` equations (at most 25); mostly each one needs the one before."""
    start, equations = rng.randrange(MODULUS), []
    for i in range(1, depth + 1):
        left = LETTERS[i - 1] if rng.random() < 0.9 else rng.choice(LETTERS[:i])
        right = str(rng.randint(2, 9)) if rng.random() < 0.75 else rng.choice(LETTERS[:i])
        equations.append(Equation(LETTERS[i], left, rng.choice("+-*"), right))
    return Chain(start, tuple(equations))


def make_digits(depth: int, rng: random.Random) -> Digits:
    """`depth` operations on 4 different digits (equal ones would make copying far harder for a small model)."""
    start = "".join(rng.sample("123456789", LENGTH))
    return Digits(start, tuple(rng.choice(list(OPERATIONS)) for _ in range(depth)))


NOTATIONS = {"chain": make_chain, "digits": make_digits}
FAMILIES = {**NOTATIONS, "words": make_words}


def digest(text: str) -> str:
    """12 hex digits of a problem's text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def pool(text: str) -> Pool:
    """Which pool a text belongs to, by its digest: so no benchmark can hold a problem of a training set."""
    return "train" if int(digest(text), 16) % BENCHMARK_SHARE else "benchmark"


def pool_of(problem: Problem) -> Pool:
    """The pool of a problem: by its text, of word problems by their story."""
    return problem.pool if isinstance(problem, Words) else pool(problem.text)


def draw(family: str, depth: tuple[int, int], wanted: Pool, rng: random.Random) -> Problem:
    """A problem of a pool, its number of operations uniform in depth[0]..depth[1] (but for the pool's accidents)."""
    while pool_of(problem := FAMILIES[family](rng.randint(*depth), rng)) != wanted:
        pass
    return problem


def answer(problem: Problem) -> str:
    """The right answer."""
    return problem.work(random.Random(0), error_rate=0)[1]


def solve(problem: Problem, rng: random.Random, error_rate: float, underlined: bool) -> str:
    r"""A worked solution `<think>\n...\n</think>\n\n\boxed{...}`.

    error_rate: chance that a step goes wrong; underlined: results as `\underline{b=6*4=4}`, else as `b=6*4=4;`, of word
    problems as `Left: \underline{24-9=15}.` or `Left: 24-9=15.`
    """
    results, final = problem.work(rng, error_rate)
    if isinstance(problem, Words):
        parts = (result.partition(": ") for result in results)
        thought = " ".join(f"{label}: \\underline{{{r}}}." if underlined else f"{label}: {r}." for label, _, r in parts)
    else:
        thought = "".join(f"\\underline{{{r}}}" if underlined else f"{r};" for r in results)
    return f"<think>\n{thought}\n</think>\n\n\\boxed{{{final}}}"
