r"""The results that a model underlined, in a form in which equal ones are equal texts.

V2 blog, "1. Process reward shaping": a rule-based parser collects the spans inside `\underline{}`. The source leaves
open what a nested, unclosed or repeated span means; here the outermost complete span counts, once.
"""

import functools
import re

from polaris.grading.answers import normal_form

MAX_SPANS = 64  # of one response, from its beginning: underlining everything must not pay
MAX_LENGTH = 256  # characters; a longer span is prose, not a result
MAX_WORDS = 8  # of a span without any mathematics in it
_COMMAND = "\\underline"
_BRACE = re.compile(r"\s*\{")
_TOKEN = re.compile(r"\\underline\s*\{|\\.|[{}]", re.DOTALL)
_SIZED = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_SIGN = re.compile(r"[^\W\d_]|\\[A-Za-z]+|[\W_]*")  # a lone letter or command, or signs alone
_PROSE = re.compile(r"[^\W\d_]+(?:[\s'-]+[^\W\d_]+)*[.!?]?")


def underlined(response: str) -> list[str]:
    """The contents of the spans that count as underlined, in order."""
    return [response[start:end] for start, end in underlined_spans(response)]


def underlined_spans(response: str) -> list[tuple[int, int]]:
    r"""Where the contents of the outermost complete `\underline{...}` spans stand, in order, at most MAX_SPANS.

    `\{`, `\}` and `\\` do not count as braces. An unclosed opening and a span longer than MAX_LENGTH are passed over;
    the spans inside them count. One pass over the text, linear however the braces are nested.
    """
    spans: list[tuple[int, int]] = []
    position = 0
    while (start := _next_underline(response, position)) is not None:
        position = _read_span(response, start, spans)
    return spans[:MAX_SPANS]


def _next_underline(text: str, position: int) -> int | None:
    """Where the content of the next underline begins, at or after `position`."""
    while (found := text.find(_COMMAND, position)) >= 0:
        position = found + len(_COMMAND)
        before = found
        while before and text[before - 1] == "\\":
            before -= 1
        if (found - before) % 2 == 0 and (brace := _BRACE.match(text, position)):
            return brace.end()
    return None


def _read_span(text: str, start: int, spans: list[tuple[int, int]]) -> int:
    """Read one outermost underline, and those in it, into `spans`; the position after it, or the text's end if it
    never closes. Text between underlines is not looked at."""
    open_braces: list[int | None] = [start]  # start of the content for an underline, None for another brace
    for token in _TOKEN.finditer(text, start):
        mark = token[0]
        if mark == "{":
            open_braces.append(None)
        elif len(mark) > 2:
            open_braces.append(token.end())
        elif mark == "}":
            begin, end = open_braces.pop(), token.start()
            if begin is not None and end - begin <= MAX_LENGTH:
                while spans and spans[-1][0] > begin:
                    spans.pop()
                spans.append((begin, end))
            if not open_braces:
                return token.end()
    return len(text)


def is_result(form: str) -> bool:
    """Whether a normal form is a result: not empty, no lone letter or command, not signs alone. A digit is a number."""
    return not _SIGN.fullmatch(form)


@functools.lru_cache(maxsize=1 << 16)  # the responses to a problem underline the same things
def result_form(span: str) -> str:
    """Normal form of one underlined span; empty where it is no result (`is_result`), or a whole sentence.

    The normal form of answers, and without the commas of thousands: in a result `1,234` is a number, not a pair.
    """
    if len(span.split()) > MAX_WORDS and _PROSE.fullmatch(span.strip()):
        return ""
    form = _SIZED.sub("", normal_form(span))
    return form if is_result(form) else ""


def parse_results(response: str) -> tuple[str, ...]:
    """The underlined results of a response as normal forms, in order of first appearance, each once."""
    return tuple(dict.fromkeys(form for span in underlined(response) if (form := result_form(span))))
