"""Where brackets close, and what stands between commas outside of them."""

from polaris.grading.reading.tokens import Token

Tokens = tuple[Token, ...]
_OPENING = frozenset({"(", "[", "{", r"\{", "<(", "begin"})
_CLOSING = frozenset({")", "]", "}", r"\}", ")>", "end"})
_JOINTS = frozenset({"and", "or"})


def matching(tokens: Tokens, at: int) -> int:
    """The place of the bracket that closes the one at a place; -1 where none does. Kinds are not told apart."""
    depth = 0
    for place in range(at, len(tokens)):
        depth += (tokens[place].kind in _OPENING) - (tokens[place].kind in _CLOSING)
        if depth == 0:
            return place
    return -1


def braces_around(tokens: Tokens) -> Tokens | None:
    r"""What stands in \{ \}, or in bare braces with a comma in them, around all tokens."""
    pairs = {r"\{": r"\}", "{": "}"}
    if tokens[-1].kind != pairs.get(tokens[0].kind) or matching(tokens, 0) != len(tokens) - 1:
        return None
    inner = tokens[1:-1]
    return inner if tokens[0].kind == r"\{" or len(split(inner, words=False)[0]) > 1 else None


def split(tokens: Tokens, words: bool = True) -> tuple[list[Tokens], list[str]]:
    """The items between commas, semicolons, "and" and "or" outside brackets, and these joints.

    words: whether "and" and "or" part items
    """
    items: list[Tokens] = []
    joints: list[str] = []
    depth, start = 0, 0
    for place, token in enumerate(tokens):
        depth += (token.kind in _OPENING) - (token.kind in _CLOSING)
        joint = token.kind in (",", ";") or words and token.kind == "word" and token.text.casefold() in _JOINTS
        if depth or not joint:
            continue
        if start < place or not (token.kind == "word" and items and joints[-1] in ",;"):
            items.append(tokens[start:place])
        joints.append(token.text.casefold())
        start = place + 1
    return [*items, tokens[start:]], joints


def halves(tokens: Tokens) -> tuple[Tokens, Tokens] | None:
    """Both sides of the first | or : outside brackets, where the left is a variable: x | x>2."""
    for place, token in enumerate(tokens[:-1]):
        if token.kind in ("|", ":") and place and tokens[0].kind == "word":
            return tokens[:place], tokens[place + 1 :]
    return None
