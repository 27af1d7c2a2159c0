r"""Real data sets' rows as rows of problems.parquet: which column is the text, which the gold answer.

Known by their columns (capital letters do not matter):
  V1        prompt (chat messages), reward_model.ground_truth, extra_info.index   V1's benchmark and training files
  GSM8K     question, answer: a worked solution that ends in `#### 18`
  plain     problem | question | prompt; answer | answers | final_answer | solutions; optional id and worked solution:
            our own files, DeepScaleR, AReaL (solutions: ["\\boxed{5}"]), MathArena's AIME and HMMT (problem_idx),
            MATH-500 (unique_id), OlympiadBench (final_answer)
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from polaris.answers import golds_from
from polaris.errors import UserError

# Ends of prompts that ask for the answer's form. What is asked is the recipe's `instruction`, not part of the problem.
SUFFIXES = (
    re.compile(r"\s*Let's think step by step and output the final answer within \\boxed\{\}\.?\s*$"),
    re.compile(r"\s*Please reason step by step, and put your final answer within \\boxed\{\}\.?\s*$"),
)
TEXT = ("problem", "question", "prompt")
GOLD = ("answers", "answer", "final_answer", "solutions")
ID = ("id", "unique_id", "query_id", "problem_idx", "index", "idx")
GSM8K_MARK = "####"

Parts = tuple[Any, str | None, list[str], str | None]  # id (None: the row's number), text, golds, worked solution


def without_suffix(text: str) -> str:
    """The problem itself, without the request that V1's and R1's prompts end in."""
    for suffix in SUFFIXES:
        text = suffix.sub("", text)
    return text.strip()


def _text(value: Any) -> str | None:
    """Text of a prompt: itself, or what the user says last in a list of chat messages."""
    if isinstance(value, list | tuple):
        said = [turn.get("content") for turn in value if isinstance(turn, dict) and turn.get("role") == "user"]
        value = said[-1] if said else None
    return without_suffix(value) if isinstance(value, str) else None


def _first(row: dict[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _v1(row: dict[str, Any]) -> Parts:
    index = (row.get("extra_info") or {}).get("index")
    return index, _text(row["prompt"]), golds_from((row["reward_model"] or {}).get("ground_truth")), None


def _gsm8k(row: dict[str, Any]) -> Parts:
    solution, mark, final = (row["answer"] or "").rpartition(GSM8K_MARK)
    golds = golds_from(final.strip().replace(",", "")) if mark else []
    return _first(row, ID), _text(row["question"]), golds, solution.strip() or None


def _plain(row: dict[str, Any]) -> Parts:
    solution = row.get("solution")
    golds = golds_from(_first(row, GOLD))
    return _first(row, ID), _text(_first(row, TEXT)), golds, solution if isinstance(solution, str) else None


def layout(row: dict[str, Any], where: str) -> Callable[[dict[str, Any]], Parts]:
    """The reader for rows with these columns. Raises UserError naming the columns when none fits."""
    if isinstance(row.get("reward_model"), dict) and "prompt" in row:
        return _v1
    if "question" in row and isinstance(row.get("answer"), str) and GSM8K_MARK in row["answer"]:
        return _gsm8k
    if any(name in row for name in TEXT) and any(name in row for name in GOLD):
        return _plain
    raise UserError(
        f"{where}: these columns are no known layout of problems: {', '.join(sorted(row)) or 'none'}; "
        f"needed are one of {', '.join(TEXT)} and one of {', '.join(GOLD)}"
    )


def read_layout(rows: Iterable[dict[str, Any]], source: str, where: str) -> list[dict[str, Any]]:
    """Rows of problems.parquet out of a data set's rows, which are counted from 1 in errors.

    source: what the rows are said to come from
    where: the file or data set, for errors
    Raises UserError when the layout is unknown, a row has no text or no gold answer, an id occurs twice, or nothing is
    there.
    """
    found: dict[str, dict[str, Any]] = {}
    read = None
    for number, raw in enumerate(rows, start=1):
        row = {name.lower(): value for name, value in raw.items()}
        read = read or layout(row, where)
        try:
            given, text, golds, solution = read(row)
        except (KeyError, AttributeError, TypeError) as error:
            raise UserError(f"{where}: row {number} is not laid out as the first one ({error!r})") from None
        if not text:
            raise UserError(f"{where}: row {number} has no problem text")
        if not golds:
            raise UserError(f"{where}: row {number} has no gold answer")
        name = str(number - 1 if given is None else given)
        if name in found:
            raise UserError(f"{where}: row {number} has the id {name} of an earlier row")
        found[name] = {"id": name, "problem": text, "answers": golds, "source": source, "solution": solution}
    if not found:
        raise UserError(f"{where}: there is no problem in it")
    return list(found.values())
