r"""Which underlined results are intermediate ones: those that do not state the final answer.

V2 blog, "Format SFT": "enclose important intermediate results leading to the final answer within \underline{}". The
blog does not say whether a span that states the answer itself counts. Here it does not (`results: intermediate`): a
consensus set that holds the answer gives it away, and a wrong trajectory that mentions it in passing is paid for it.
`results: all` is the literal reading, every underlined span.

A result states the answer when it claims the answer as a value, by the same text or the same plain number as the grader
compares them (polaris.grading.compare.compare): nothing is evaluated. Its claims are the whole result, and what stands
between top-level signs of equality, assignment or inference (= ≈ ≡ ∈ ⇒ ...), each without its dressing: boxes, outer
brackets, a label ("Answer:"), words before and after, a unit, a percent sign, a modulus.

    of the answer 12    12   (12)   12 cm   \boxed{12}   Answer: 12   1200\%   c=12   12=c   e=2*6=12   a=5,c=12
    intermediate        c=3*4   x\le12   12x   \frac{12}{5}   (3,12)   f(12)=5   12+1=13

An inequality is a bound, a pair or a list is not one of its parts, and a name on the left of an equation is no claim.
An intermediate value that happens to equal the answer is left out, too: the text cannot tell the two apart.
"""

import functools
import re
from collections.abc import Iterable, Sequence

from polaris.grading.answers import EXACT, normal_form
from polaris.grading.compare import compare

_TOKEN = re.compile(r"\\[{}]|\\[A-Za-z]+|\\.|.", re.DOTALL)
_OPEN = {"(": ")", "[": "]", "{": "}", "\\{": "\\}"}
_CLOSE = frozenset(_OPEN.values())
# Signs between two claims about the same value. Inequalities are not among them.
_RELATIONS = frozenset(
    (
        *"=≈≡≃≅∈→⇒⇔∴",
        *(r"\approx", r"\equiv", r"\simeq", r"\cong", r"\doteq", r"\in", r"\to", r"\rightarrow", r"\Rightarrow"),
        *(r"\Longrightarrow", r"\implies", r"\iff", r"\Leftrightarrow", r"\therefore"),
    )
)
_NOT_EQUAL = frozenset(("<", ">", "!", r"\not"))  # before "=": no equality
_ASSIGNED = re.compile(r"[A-Za-z](?:_\{?[A-Za-z0-9]+\}?)?=(.+)")  # an answer like x=12
_PRODUCT = re.compile(r"\*|\\cdot|\\times")  # a computation, whose value the grader would tell
_NAME = re.compile(r"[A-Za-z](?:_\{?[A-Za-z0-9]+\}?)?")
_WORDS_BEFORE = re.compile(
    r"[A-Za-z()]*:=?|[A-Za-z]*?(?:answer|result|total|value|so|thus|hence|therefore|then|is|are|be|equals?|gives?|gets?"
    r"|have|has|obtain|exactly|about|only)(?![A-Za-z])"
    r"|\\(?:text)?color\{\w+\}|\\(?:boxed|fbox)(?=\{)|\\?\$|[*&]+"
)
_WORDS_AFTER = re.compile(
    r"(?<=[0-9)\]}])(?:"
    r"\(?\\?[pb]?mod.*"  # a modulus
    r"|(?:[A-Za-z]{2,}|[mgshL])(?:\^\{?[0-9]\}?)?(?:/[A-Za-z]+(?:\^\{?[0-9]\}?)?)?"  # a unit, or words
    r"|\\?%|\^\{?\\circ\}?|\\checkmark|✓|[*&]+)$"
)


def intermediate(results: Iterable[str], answers: Sequence[str]) -> tuple[str, ...]:
    """The results that state none of the answers, in their order.

    results: normal forms, as of small_rl.reward.results.parse_results; answers: of any spelling; without any of them
        every result is intermediate
    """
    return tuple(result for result in results if not any(states(result, answer) for answer in answers))


@functools.lru_cache(maxsize=1 << 16)  # the responses to a problem underline the same things
def states(result: str, answer: str) -> bool:
    """Whether a result states an answer, by the rule of this module. An empty answer is stated by nothing."""
    form = normal_form(answer)
    texts = (answer, _bare(form), *(found[1] for found in [_ASSIGNED.fullmatch(form)] if found))
    golds = [text for text in dict.fromkeys(texts) if text]
    return any(
        claim == form or not _PRODUCT.search(claim) and any(compare(claim, [gold]) == EXACT for gold in golds)
        for claim in _claims(result)
    )


def _claims(result: str) -> set[str]:
    """The values that a result claims: whole, each side of its relations, and each of those without its dressing."""
    claims, unread = {result}, [result]
    while unread:
        text = unread.pop()
        found = {_bare(text)}
        for part in (text, *_split(text, frozenset(",;"))):
            sides = _split(part, _RELATIONS)
            if len(sides) > 1:
                found.update(sides[bool(_NAME.fullmatch(sides[0])) :])
        unread += found - claims
        claims |= found
    return claims - {""}


def _bare(text: str) -> str:
    """A text without labels, words, units and brackets around it, as often as there are any."""
    before = None
    while text != before:
        before = text
        text = _unwrapped(text.strip())
        if match := _WORDS_BEFORE.match(text):
            text = text[match.end() :]
        text = _WORDS_AFTER.sub("", text)
    return text


def _unwrapped(text: str) -> str:
    """A text without the one pair of brackets that encloses the whole of it, if there is one."""
    tokens = _TOKEN.findall(text)
    if len(tokens) < 3 or _OPEN.get(tokens[0]) != tokens[-1] or "," in tokens:
        return text
    level = 0
    for place, token in enumerate(tokens):
        level += (token in _OPEN) - (token in _CLOSE)
        if level == 0 and place < len(tokens) - 1:
            return text
    return "".join(tokens[1:-1])


def _split(text: str, signs: frozenset[str]) -> list[str]:
    """The parts of a text between signs that stand outside all brackets.

    Where one bracket is never closed nobody can say what is inside it: then all signs count.
    """
    parts, level, last = [""], 0, ""
    tokens = _TOKEN.findall(text)
    closed = sum((token in _OPEN) - (token in _CLOSE) for token in tokens) <= 0
    for token in tokens:
        level = max(0, level + (token in _OPEN) - (token in _CLOSE))
        if (level == 0 or not closed) and token in signs and not (token == "=" and last in _NOT_EQUAL):
            parts.append("")
        else:
            parts[-1] += token
        last = token
    return parts
