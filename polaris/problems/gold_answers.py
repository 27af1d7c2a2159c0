r"""Gold answers in the forms that data sets give them: text, number, list, a list written as text, an object.

Skywork-OR1 writes `["2", "-2"]` into a text, of which any counts; others wrap the answer as {"value": "5"}. Some say in
its place that there is none: a proof, a reference to the solution, or what a missing value was printed as.
"""

import json
import re
from typing import Any

from polaris.grading.answers import golds_from

WRAPPERS = ("value", "answer", "final_answer", "ground_truth", "gold")  # keys of an object that holds the answer
NO_ANSWER = re.compile(
    r"(?:proof|not ?found|none|nan|null|n/?a|see (?:the )?(?:solution|explanation|proof)s?)\.?", re.IGNORECASE
)
_CONTROL = re.compile(r"[\0-\x1f]")


def gold_answers(value: Any) -> list[str]:
    """Accepted answers, without repetitions and without what says that there is none.

    Raises ValueError for an object that holds no answer, in words for the user.
    """
    return list(dict.fromkeys(gold for gold in _golds(value) if not NO_ANSWER.fullmatch(gold)))


def _golds(value: Any) -> list[str]:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, str):
        value = _written(value)
    if isinstance(value, list | tuple):
        return [gold for item in value for gold in _golds(item)]
    if isinstance(value, dict):
        inner = [name for name in WRAPPERS if value.get(name) is not None]
        if len(inner) != 1:
            raise ValueError(f"its gold answer is an object with the keys {', '.join(map(str, value)) or '(none)'}")
        return _golds(value[inner[0]])
    return golds_from(value)


def _written(text: str) -> Any:
    r"""The value of JSON that holds texts only, in a list or an object; else the text: `[1, 2]` is an interval."""
    if not text.lstrip().startswith(("[", "{")):
        return text
    for json_text in (text, text.replace("\\", "\\\\")):  # the second: LaTeX put into JSON as it is
        try:
            value = json.loads(json_text)
        except (ValueError, RecursionError):
            continue
        items = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
        whole = bool(items) and all(isinstance(item, str) for item in items)
        if whole and not any(map(_CONTROL.search, items)):
            return value
    return text
