r"""A text in ASCII where that means the same: Unicode's signs, explicit thousands, colours and phantoms."""

import re
import unicodedata

_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ", "0123456789+-ni")
_SUB = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋ₙ", "0123456789+-n")
_UNICODE = {
    "−": "-", "﹣": "-", "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "∙": r"\cdot ", "÷": r"\div ", "±": r"\pm ",
    "∓": r"\mp ", "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "≡": r"\equiv ", "∞": r"\infty ", "°": r"^\circ ", "º": r"^\circ ", "∈": r"\in ", "∉": r"\notin ", "∪": r"\cup ",
    "∩": r"\cap ", "∖": r"\setminus ", "∅": r"\emptyset ", "ℝ": r"\mathbb{R} ", "ℤ": r"\mathbb{Z} ",
    "ℕ": r"\mathbb{N} ", "ℚ": r"\mathbb{Q} ", "ℂ": r"\mathbb{C} ", "√": r"\sqrt ", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]",
    "∠": r"\angle ", "△": r"\triangle ", "⊥": r"\perp ", "∥": r"\parallel ", "→": r"\to ", "⇒": r"\implies ",
    "∑": r"\sum ", "∏": r"\prod ", "∫": r"\int ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ",
    "⌉": r"\rceil ", "∣": "|", "…": r"\ldots ", "⋯": r"\ldots ", "⟨": r"\langle ", "⟩": r"\rangle ", "，": ",",
    "。": ".", "、": ",", "：": ":", "；": ";", "（": "(", "）": ")", "∧": r"\land ", "∨": r"\lor ", "′": "'",
    "’": "'", "‘": "'", "“": '"', "”": '"', "∶": ":", "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "",
    "\ufeff": "", "⁄": "/", "∕": "/", "‰": r"\permille ",
}  # fmt: skip
_GREEK = {
    chr(code): "\\" + unicodedata.name(chr(code)).split()[-1].lower().replace("lamda", "lambda") + " "
    for code in range(0x3B1, 0x3CA) if code != 0x3C2
} | {
    chr(code): "\\" + unicodedata.name(chr(code)).split()[-1].capitalize().replace("Lamda", "Lambda") + " "
    for code in range(0x391, 0x3AA) if code != 0x3A2
}  # fmt: skip
_UNICODE |= _GREEK

_CLEAN = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\(?:textcolor|color|colorbox)\s*\{[^{}]*\}", " "),
        (r"\\[hv]?phantom\s*\{[^{}]*\}", " "),
        (r"\\operatorname\*?\s*\{\s*([A-Za-z]+)\s*\}", r"\\\1 "),
        (r"\\(?:mathrm|text|rm)\s*\{\s*(ln|lg|log|sin|cos|tan|lcm|gcd|arctan|arcsin|arccos|exp)\s*\}",
         r"\\\1 "),
        (r"\\mathbb\s*\{?\s*([A-Z])\s*\}?", r"\\mathbb\1 "),
        (r"\\(?:left|right|[bB]igg?[lrm]?)\s*\.", ""),
        (r"(?<![A-Za-z\\])(?:np|numpy|math|sympy)\.(?=[a-z])", ""),
        (r"\^\s*\\prime|\^\s*\{\s*\\prime\s*\}", "'"),
        (r"\^\s*\{\s*\\prime\s*\\prime\s*\}", "''"),
        (r"\.{3,}", r"\\ldots "),
    )
)  # fmt: skip
_GROUPED = re.compile(r"(?<![0-9.,])([0-9]{1,3})((?:(?:\{,\}|,\\!\s*|\\,|\\ |~|\\!|[ ])[0-9]{3})+)(?![0-9])")
_OTHER_GROUPED = re.compile(r"(?<![0-9.,'])[0-9]{1,3}(?:(?:'[0-9]{3})+|(?:\.[0-9]{3}){2,})(?![0-9.'])")
_NOT_DIGITS = re.compile(r"[^0-9]+")
_ALL_BOLD = re.compile(r"\$?\s*\\(?:boldsymbol|mathbf|bm|pmb)\s*\{")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_ACCENTED = re.compile(r"[^\x00-\x7f]")


def clean(text: str) -> str:
    """The text in ASCII where a command or a sign of it means the same, explicit thousands joined, colours gone."""
    if not text.isascii():
        text = re.sub("[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]", _vulgar, text)
        text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ]+", lambda run: "^{" + run[0].translate(_SUPER) + "}", text)
        text = re.sub("[₀₁₂₃₄₅₆₇₈₉₊₋ₙ]+", lambda run: "_{" + run[0].translate(_SUB) + "}", text)
        text = _ACCENTED.sub(_ascii, text)
    text = text.strip()
    if text.startswith("**") and text.endswith("**"):
        text = text.strip("*")
    if "\\" in text or "." in text:
        for pattern, new in _CLEAN:
            text = pattern.sub(new, text)
    text = _GROUPED.sub(lambda found: found[1] + _NOT_DIGITS.sub("", re.sub(r"\\.", "", found[2])), text)
    text = _without_bold(text)
    return _OTHER_GROUPED.sub(lambda found: _NOT_DIGITS.sub("", found[0]), text)


def _without_bold(text: str) -> str:
    """The text without a bold face around all of it, unless it is a single letter's: there it means a vector."""
    found = _ALL_BOLD.match(text)
    if found is None:
        return text
    depth, start = 1, found.end()
    for brace in _BRACES.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            inner = text[start : brace.start()].strip()
            return inner if len(inner) > 1 and not text[brace.end() :].strip(" .$") else text
    return text


def _vulgar(found: re.Match[str]) -> str:
    top, bottom = unicodedata.normalize("NFKC", found[0]).split("⁄")
    return rf"\frac{{{top}}}{{{bottom}}}"


def _ascii(found: re.Match[str]) -> str:
    sign = found[0]
    if sign in _UNICODE:
        return _UNICODE[sign]
    if unicodedata.category(sign) in ("Zs", "Zl", "Zp"):
        return " "
    plain = unicodedata.normalize("NFKC", sign)
    return _UNICODE.get(plain, plain) if len(plain) == 1 else sign
