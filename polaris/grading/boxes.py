r"""The boxes of a response: \boxed{...} and \fbox{...}. Linear in the text's length, however the braces are nested."""

import re

MAX_BOXES = 20  # at the end of a response, that are read as one list
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_BARE = re.compile(r"\\(?:boxed|fbox)\s*([0-9A-Za-z])(?![0-9A-Za-z])")
_ANY_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
_BETWEEN = re.compile(r"(?:[\s$,;&~]|\\[,;:() ]|\\q?quad|\\text\s*\{\s*(?:and|or)\s*\}|(?:\band|\bor)\b)*")
_LONGEST_BETWEEN = 40  # characters between two boxes of one list

Span = tuple[int, int, int, int]  # of a box: its beginning, its content's beginning and end, its end


def boxed_answer(text: str, bare: bool = False) -> str:
    """What stands in the last box that is not empty; "" without one.

    Boxes at the end with nothing but "and", "or" and commas between them are one list. A box around a whole content is
    opened; one within it is a part of it.
    bare: a text without a box is its own answer
    """
    spans = [span for span in _boxes(text) if _opened(text[span[1] : span[2]])]
    if not spans:
        return text.strip() if bare and _ANY_BOX.search(text) is None else ""
    first = len(spans) - 1
    while first and len(spans) - first < MAX_BOXES and _one_list(text, spans[first - 1], spans[first]):
        first -= 1
    contents = dict.fromkeys(_opened(text[span[1] : span[2]]) for span in spans[first:])
    return ", ".join(contents)


def _one_list(text: str, left: Span, right: Span) -> bool:
    gap = right[0] - left[3]
    return gap <= _LONGEST_BETWEEN and _BETWEEN.fullmatch(text, left[3], right[0]) is not None


def _boxes(text: str) -> list[Span]:
    r"""The outermost complete boxes, in order. `\{`, `\}` and `\\` are no braces; an opening that nothing closes is
    passed over, and the boxes within it count. Without braces a box holds one sign: \boxed5."""
    first = _ANY_BOX.search(text)
    spans: list[Span] = []
    open_braces: list[tuple[int, int] | None] = []
    if first is None:
        return spans
    for token in _BOX.finditer(text, first.start()):
        mark = token[0]
        if mark == "}":
            start = open_braces.pop() if open_braces else None
            if start is not None:
                while spans and spans[-1][0] > start[0]:
                    spans.pop()
                spans.append((*start, token.start(), token.end()))
        elif mark == "{":
            open_braces.append(None)
        elif len(mark) > 2:
            open_braces.append((token.start(), token.end()))
        elif mark[1] in "bf" and (single := _BARE.match(text, token.start())):
            spans.append((token.start(), single.start(1), single.end(1), single.end()))
    return spans


def _opened(content: str) -> str:
    """The content without boxes around all of it; stripped."""
    for _ in range(4):
        content = content.strip()
        spans = _boxes(content) if _ANY_BOX.match(content) else []
        if len(spans) != 1 or spans[0][0] or content[spans[0][3] :].strip(" .,"):
            break
        content = content[spans[0][1] : spans[0][2]]
    return content.strip()
