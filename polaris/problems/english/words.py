r"""Made-up word problems in English, with worked solutions of two to four steps and numbers up to 100.

`Mia has 4 jars with 6 shells in each. She gives 9 shells to Tom. How many shells does she have left?`
Intermediate results are the evaluated operations: `In all: \underline{4*6=24}. Left: \underline{24-9=15}.`

Training sets and benchmarks share no story (stories.py), so that a benchmark asks for more than other numbers.
"""

import random
import string
from dataclasses import dataclass
from typing import Literal

from polaris.problems.english.stories import (
    BENCHMARK,
    BOXES,
    DISTRACTORS,
    FRUITS,
    PEOPLE,
    THINGS,
    TRAIN,
    Template,
)

STORIES = TRAIN | BENCHMARK
LARGEST = 100
DISTRACTED = 0.3  # share of the problems with a number of no use
SLIPS = (-10, -2, -1, 1, 2, 10)  # what a step that goes wrong is off by
STEPS = (2, 4)  # fewest and most
OPERATIONS = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x // y,
}


@dataclass(frozen=True)
class Words:
    """A story with its words and numbers. distractor: a sentence of no use, or empty."""

    name: str
    words: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, int], ...]
    distractor: str

    @property
    def template(self) -> Template:
        return STORIES[self.name]

    @property
    def pool(self) -> Literal["train", "benchmark"]:
        return "train" if self.name in TRAIN else "benchmark"

    @property
    def text(self) -> str:
        told = self.template.story.format(**dict(self.words), **dict(self.numbers))
        story, _, question = told.rpartition(". ")
        return " ".join(part for part in (f"{story}.", self.distractor, question) if part)

    def work(self, rng: random.Random, error_rate: float) -> tuple[list[str], str]:
        """Intermediate results with their labels, `Left: 24-9=15`, and the answer that follows from them."""
        values, results, last = dict(self.numbers), [], 0
        for place, (label, left, operator, right) in enumerate(self.template.steps, 1):
            x, y = (values[name] if name in values else int(name) for name in (left, right))
            last = OPERATIONS[operator](x, y)
            if rng.random() < error_rate:
                last = max(0, last + rng.choice(SLIPS))
            values[f"s{place}"] = last
            results.append(f"{label.format(**dict(self.words))}: {x}{operator}{y}={last}")
        return results, str(last)


def possible(template: Template, numbers: dict[str, int]) -> bool:
    """Whether all results are whole numbers from 1 to LARGEST, and what is divided comes out even."""
    values = dict(numbers)
    for place, (_, left, operator, right) in enumerate(template.steps, 1):
        x, y = (values[name] if name in values else int(name) for name in (left, right))
        if operator == "/" and x % y:
            return False
        values[f"s{place}"] = OPERATIONS[operator](x, y)
        if not 1 <= values[f"s{place}"] <= LARGEST:
            return False
    return True


def make_words(depth: int, rng: random.Random) -> Words:
    """A problem of `depth` steps (2 to 4), of any pool."""
    name = rng.choice([name for name, one in STORIES.items() if len(one.steps) == depth])
    template = STORIES[name]
    slots = {slot for _, slot, _, _ in string.Formatter().parse(template.story) if slot}
    pronouns = rng.choice(list(PEOPLE))
    first = rng.choice(PEOPLE[pronouns])
    others = rng.sample([one for names in PEOPLE.values() for one in names if one != first], 2)
    words = {"Name": first, "friend": others[0], "third": others[1]}
    words |= dict(zip(("She", "she"), pronouns.split(), strict=True))
    words |= {"boxes": rng.choice(BOXES), "things": rng.choice(THINGS), "fruits": rng.choice(FRUITS)}
    while True:
        numbers = {slot: rng.randint(*bounds) for slot, bounds in template.numbers.items()}
        if possible(template, numbers):
            break
    distractor = rng.choice(DISTRACTORS).format(n=rng.randint(3, 30)) if rng.random() < DISTRACTED else ""
    used = tuple((slot, word) for slot, word in words.items() if slot in slots)
    return Words(name, used, tuple(numbers.items()), distractor)
