r"""The signs of an answer's text: numbers, words, commands, brackets. Dressing goes here, and one spelling is left.

Dressing are dollars, sizes, colours, phantoms, \left, font commands around words (their style stays with each word),
and blanks (a token knows whether one stood before it). Linear in the text's length.
"""

import functools
import re
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Token:
    r"""kind: num, word, cmd (a command's name without its backslash) or the sign itself.

    text: as it is compared; style of a word: "" (bare), text, roman, bold or logic
    (a sign for and, or); blank: one stood before it
    """

    kind: str
    text: str
    style: str = ""
    blank: bool = False


class Unreadable(ValueError):
    """No rule reads this whole."""


ALIASES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "leq": "le", "geq": "ge",
    "leqslant": "le", "geqslant": "ge", "leqq": "le", "geqq": "ge", "neq": "ne", "varnothing": "emptyset",
    "dots": "ldots", "cdots": "ldots", "dotsc": "ldots", "dotsb": "ldots", "rarr": "to", "rightarrow": "to",
    "longrightarrow": "to", "smallsetminus": "setminus", "backslash": "setminus", "approxeq": "approx",
    "simeq": "approx", "thickapprox": "approx", "overrightarrow": "vec", "widehat": "hat", "arcctg": "arccot",
    "tg": "tan", "ctg": "cot", "cosec": "csc", "sh": "sinh", "ch": "cosh", "th": "tanh", "infin": "infty",
    "plusmn": "pm", "epsilon": "varepsilon", "phi": "varphi", "triangleq": "=", "coloneqq": "=", "equiv": "equiv",
    "bmod": "mod", "leftrightarrow": "iff", "R": "mathbb R", "Z": "mathbb Z", "N": "mathbb N", "Q": "mathbb Q",
    "lg": "lg", "tfracs": "frac", "reals": "mathbb R", "wedge": "and", "land": "and", "vee": "or", "lor": "or",
}  # fmt: skip
SIGNS = {
    "times": "*", "cdot": "*", "ast": "*", "div": "/", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "ne": "!=",
    "colon": ":", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "lbrace": r"\{", "rbrace": r"\}",
    "{": r"\{", "}": r"\}", "lbrack": "[", "rbrack": "]", "langle": "<(", "rangle": ")>", "%": "%", "lparen": "(",
    "rparen": ")", "&": "&", "=": "=", "_": "_", "#": "#", "approx": "~", "cong": "=",
}  # fmt: skip
FONTS = {
    "text": "text", "textrm": "text", "textnormal": "text", "textup": "text", "textsf": "text", "texttt": "text",
    "textit": "text", "textbf": "text", "textsc": "text", "emph": "text", "mbox": "text", "hbox": "text",
    "mathrm": "roman", "rm": "roman", "mathsf": "roman", "mathbf": "bold", "bf": "bold", "boldsymbol": "bold",
    "bm": "bold", "pmb": "bold", "bold": "bold", "mathit": "", "mathnormal": "", "underline": "", "boxed": "",
    "fbox": "", "ensuremath": "", "displaylines": "", "textstyle": "", "mathop": "", "mathrel": "", "mathbin": "",
}  # fmt: skip
# Functions and constants that people write without a backslash.
_NAMES = """
    sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log lg exp sqrt gcd lcm max min pi theta alpha beta
    gamma lambda sigma omega infty
"""
NAMES = {name: name for name in _NAMES.split()}
NAMES |= {"infinity": "infty", "asin": "arcsin", "acos": "arccos", "atan": "arctan"}
_BLANK_COMMANDS = frozenset({" ", ",", ";", ":", ">", "quad", "qquad", "thinspace", "enspace", "space", "nobreakspace"})
_IGNORED = frozenset({
    "left", "right", "displaystyle", "textstyle", "scriptstyle", "limits", "nolimits", "large", "Large", "LARGE",
    "huge", "Huge", "small", "normalsize", "tiny", "strut", "mathstrut", "!", "(", ")", "[", "]", "middle", "null",
    "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr", "Biggl", "Biggr", "/", "-",
})  # fmt: skip

_TOKEN = re.compile(
    r"(?P<blank>[\s~]+)"
    r"|(?P<grouped>(?<![0-9.,])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9])(?!,[0-9])(?:\.[0-9]+)?)"
    r"|(?P<num>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3}(?![\w^({\\]|\.[0-9]))?)"
    r"|\\(?P<cmd>[A-Za-z]+|.)"
    r"|(?P<word>[^\W\d_]+(?:'(?=[a-z]{1,2}\b)[a-z]+)?)"
    r"|(?P<sign><=|>=|!=|\*\*|.)",
    re.DOTALL,
)
_SPLIT = re.compile(r"(sin|cos|tan|ln|log|lg)([a-z])")
_ENVIRONMENT = re.compile(r"\{\s*([a-zA-Z]+)\*?\s*\}(?:\s*\{[^{}]*\})?")


@functools.lru_cache(maxsize=1024)
def tokenize(text: str, grouped: bool) -> tuple[Token, ...]:
    """The tokens of a cleaned text.

    grouped: whether 1,234 is one number where that is open; within brackets it is only beside a comma with a blank
    Raises Unreadable where braces do not match.
    """
    return tuple(_Scanner(text, grouped).run())


class _Scanner:
    def __init__(self, text: str, grouped: bool):
        self.text, self.grouped = text, grouped
        self.spaced = re.search(r",\s", text) is not None
        self.tokens: list[Token] = []
        self.styles: list[str | None] = []  # per open brace: the style outside it where it is a font's, else None
        self.style, self.once, self.blank, self.depth = "", None, False, 0
        self.end = 0

    def run(self) -> list[Token]:
        while self.end < len(self.text):
            found = _TOKEN.match(self.text, self.end)
            assert found is not None  # the last alternative takes any sign
            self.end = found.end()
            getattr(self, f"_{found.lastgroup}")(found[found.lastgroup])
        if self.styles:
            raise Unreadable("a brace is not closed")
        return self.tokens

    def add(self, kind: str, text: str) -> None:
        style = self.style if self.once is None else self.once
        self.tokens.append(Token(kind, text, style if kind in ("word", "cmd") else "", self.blank))
        self.blank, self.once = False, None

    def _blank(self, text: str) -> None:
        self.blank = True

    def _grouped(self, text: str) -> None:
        if self.grouped and (self.depth == 0 or self.spaced):
            self.add("num", text.replace(",", ""))
        else:
            first = text.partition(",")[0]
            self.end -= len(text) - len(first)
            self.add("num", first)

    def _num(self, text: str) -> None:
        self.add("num", text)

    def _word(self, text: str) -> None:
        style = self.style if self.once is None else self.once
        if style != "text" and text in NAMES and (text not in ("max", "min") or self._before_list()):
            self.add("cmd", NAMES[text])
        elif style == "" and (found := _SPLIT.fullmatch(text)):
            self.add("cmd", found[1])
            self.add("word", found[2])
        else:
            self.add("word", text)

    def _before_list(self) -> bool:
        return self.text[self.end : self.end + 3].lstrip()[:1] in ("(", "\\", "{")

    def _cmd(self, name: str) -> None:
        if name in _IGNORED:
            return
        if name == "$":
            self.add("money", "$")
        elif name in _BLANK_COMMANDS:
            self.blank = True
        elif name in FONTS:
            self._font(FONTS[name])
        elif name in ("begin", "end"):
            self._environment(name)
        elif name == "\\":
            self.add("row", "row")
        else:
            name = ALIASES.get(name, name)
            sign = SIGNS.get(name)
            if name in ("and", "or"):
                self.once = "logic"
                self.add("word", name)
            elif sign is None:
                self.add("cmd", name)
            else:
                self.depth += (sign in (r"\{", "[", "<(", "(")) - (sign in (r"\}", "]", ")>", ")"))
                self.add(sign, sign)

    def _font(self, style: str) -> None:
        rest = self.text[self.end : self.end + 20].lstrip()
        if rest.startswith("{"):
            self.end = self.text.index("{", self.end) + 1
            self.styles.append(self.style)
            self.style = style or self.style
        else:
            self.once = style or None

    def _environment(self, name: str) -> None:
        found = _ENVIRONMENT.match(self.text, self.end)
        if found is None:
            raise Unreadable("an environment has no name")
        self.end = found.end() if name == "begin" and found[1] == "array" else self.text.index("}", self.end) + 1
        self.add(name, found[1])

    def _sign(self, sign: str) -> None:
        if sign == "{":
            self.styles.append(None)
        elif sign == "}":
            if not self.styles:
                raise Unreadable("a brace is not opened")
            if (style := self.styles.pop()) is not None:
                self.style = style
                return
        elif sign == "$":
            following = self.text[self.end : self.end + 1]
            if not (following.isdigit() and self.text.count("$") == 1):
                return
            sign = "money"
        elif sign in "€£¥₹":
            self.add("money", sign)
            return
        elif sign in "([":
            self.depth += 1
        elif sign in ")]":
            self.depth -= 1
        self.add("^" if sign == "**" else sign, "$" if sign == "money" else sign)


def spell(tokens: tuple[Token, ...]) -> str:
    """The tokens as one text: blanks only between words and between numbers; words of a text in small letters."""
    parts: list[str] = []
    before = ""
    for token in tokens:
        text, kind = token.text, token.kind
        if kind == "word" and len(text) > 1 and (token.style == "text" or len(text) > 3):
            text = text.casefold()
        elif kind == "cmd" or kind == "word" and token.style == "bold":
            text = f"\\{text}" if kind == "cmd" else f"\\mathbf{{{text}}}"
        if token.blank and kind == before and kind in ("word", "num"):
            parts.append(" ")
        parts.append(text)
        before = kind
    return "".join(parts).rstrip(".,;:")


def literal(text: str) -> tuple[Fraction, int]:
    """The value of a number's digits, and the significant digits of a decimal (0 of an integer)."""
    value = Fraction(text)
    mantissa = re.split("[eE]", text)[0]
    return value, len(mantissa.replace(".", "").lstrip("0")) if "." in mantissa else 0
