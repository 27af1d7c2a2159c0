r"""Real data sets' rows as rows of problems.parquet: which column is the text, which the gold answer.

Known by their columns (capital letters do not matter); docs/data.md names the data sets:
  V1        prompt (chat messages), reward_model.ground_truth, extra_info.index   V1's benchmark and training files
  GSM8K     question, answer: a worked solution that ends in `#### 18`
  plain     problem | question | prompt; answer | answers | final_answer | solutions; optional id and worked solution:
            our own files, DeepScaleR, Polaris-53K, BeyondAIME, MATH-500 (unique_id), MathArena's AIME and HMMT
            (problem_idx), AReaL-boba (solutions: ["\\boxed{5}"]), OlympiadBench (final_answer, a context before the
            question)
  chat      messages | conversations; a gold answer as above
  prompt    problem | question | prompt | messages | conversations (chat): prompts that nobody grades, such as Tulu 3's
            personas
The worked solution is the column `solution`, or what the assistant says in `messages` or `conversations`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from polaris.problems.gold_answers import gold_answers
from polaris.stage.data_files import Row
from polaris.stage.errors import UserError
from polaris.stage.suggestions import suggestion

# every: a row without a gold answer is an error; some: it is read, and cleaning drops it; none: golds are not looked
# for.
Gold = Literal["every", "some", "none"]
# What a recipe's `columns` may name a column for.
Role = Literal["problem", "answer", "solution", "id"]

# Beginnings and ends of prompts that ask for the answer's form: V1's and R1's end, and what DAPO-Math-17k and OpenAI's
# simple-evals put around a problem. What is asked is the recipe's `instruction`, not part of the problem.
REQUESTS = (
    re.compile(r"Let's think step by step and output the final answer within \\boxed\{\}\.?\Z"),
    re.compile(r"Please reason step[ -]by[ -]step,? and put your final answer within \\boxed\{\}\.?\Z"),
    re.compile(
        r"\ASolve the following math problem step by step\. The last line of your response should be of the form "
        r".{1,50} where .{1,9} is the answer to the problem\."
    ),
    re.compile(r"Remember to put your answer on its own line .{1,160}\Z"),
)
# AReaL's prompts are whole conversations in R1's chat template: `<｜User｜>\n... <｜Assistant｜><think>\n`.
R1_TURNS = re.compile(
    r"\A\s*(?:<[|｜]begin▁of▁sentence[|｜]>)?\s*<[|｜]User[|｜]>(.*?)<[|｜]Assistant[|｜]>\s*(?:<think>)?\s*\Z",
    re.DOTALL,
)
TEXT = ("problem", "question", "prompt")
CHAT = ("messages", "conversations")
# As ShareGPT's conversations call them, in `from` beside `value`.
SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
GOLD = ("answers", "answer", "final_answer", "solutions")
ID = ("id", "unique_id", "query_id", "problem_idx", "index", "idx")
NAMES: dict[Role, tuple[str, ...]] = {
    "problem": (*TEXT, *CHAT),
    "answer": (*GOLD, "reward_model"),
    "solution": ("solution",),
    "id": (*ID, "extra_info"),
}
GSM8K_MARK = "####"
COLUMNS = frozenset((*TEXT, *CHAT, *GOLD, *ID, "solution", "context", "reward_model", "extra_info"))  # that are read
SIZE = 4 << 30  # characters of all problems, about; they are held in memory
OVERHEAD = 500  # what a row takes beside its texts

Parts = tuple[Any, str | None, list[str], str | None]  # id (None: the row's number), text, golds, worked solution


def without_request(text: str) -> str:
    """The problem itself, without chat markers and the request for the answer's form around it."""
    if turn := R1_TURNS.match(text):
        text = turn[1]
    text = text.strip()
    for request in REQUESTS:
        text = request.sub("", text).strip()
    return text


def _said(turns: Sequence[Any], speaker: str) -> dict[str, Any]:
    """What a speaker says in a list of chat messages, its text as `content`; nothing of one with several turns."""
    own = []
    for turn in turns:
        if isinstance(turn, dict) and turn.get("role") == speaker:
            own.append(turn)
        elif isinstance(turn, dict) and SPEAKERS.get(str(turn.get("from"))) == speaker:
            own.append({"content": turn.get("value")})
    return own[0] if len(own) == 1 else {}


def _text(value: Any) -> str | None:
    """Text of a prompt: itself, or what the user says in a list of chat messages; several turns are no problem text."""
    if isinstance(value, list | tuple):
        value = _said(value, "user").get("content")
    return without_request(value) if isinstance(value, str) else None


def _solution(row: dict[str, Any]) -> str | None:
    """The worked solution: of several (OlympiadBench) the first, each of them whole; else the assistant's answer.

    Thoughts that a conversation keeps apart (`reasoning_content`) become its think block.
    """
    given = row.get("solution")
    if isinstance(given, list | tuple):
        given = next((text for text in given if isinstance(text, str)), None)
    if isinstance(given, str):
        return given
    chat = _first(row, CHAT)
    turn = _said(chat, "assistant") if isinstance(chat, list | tuple) else {}
    answer, thoughts = turn.get("content"), turn.get("reasoning_content")
    if isinstance(answer, str) and isinstance(thoughts, str):
        return f"<think>\n{thoughts.strip()}\n</think>\n\n{answer.strip()}"
    return answer if isinstance(answer, str) else None


def _first(row: dict[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _v1(row: dict[str, Any]) -> Parts:
    index = (row.get("extra_info") or {}).get("index")
    return index, _text(row["prompt"]), gold_answers((row["reward_model"] or {}).get("ground_truth")), None


def _gsm8k(row: dict[str, Any]) -> Parts:
    solution, mark, final = (row["answer"] or "").rpartition(GSM8K_MARK)
    golds = gold_answers(final.strip().replace(",", "")) if mark else []
    return _first(row, ID), _text(row["question"]), golds, solution.strip() or None


def _plain(row: dict[str, Any]) -> Parts:
    text = _text(_first(row, TEXT))
    if "final_answer" in row and text and isinstance(row.get("context"), str):
        text = f"{row['context'].strip()}\n{text}".strip()
    return _first(row, ID), text, gold_answers(_first(row, GOLD)), _solution(row)


def _chat(row: dict[str, Any]) -> Parts:
    return _first(row, ID), _text(_first(row, CHAT)), gold_answers(_first(row, GOLD)), _solution(row)


def _prompt(row: dict[str, Any]) -> Parts:
    return _first(row, ID), _text(_first(row, (*TEXT, *CHAT))), [], _solution(row)


def layout(row: dict[str, Any], where: str, gold: Gold) -> Callable[[dict[str, Any]], Parts]:
    """The reader for rows with these columns. Raises UserError naming the columns when none fits."""
    if gold == "none":
        needed = f"one of {', '.join((*TEXT, *CHAT))}"
        if any(name in row for name in (*TEXT, *CHAT)):
            return _prompt
    else:
        needed = f"one of {', '.join((*TEXT, *CHAT))} and one of {', '.join(GOLD)}"
        if isinstance(row.get("reward_model"), dict) and "prompt" in row:
            return _v1
        if "question" in row and isinstance(row.get("answer"), str) and GSM8K_MARK in row["answer"]:
            return _gsm8k
        if any(name in row for name in GOLD) and any(name in row for name in (*TEXT, *CHAT)):
            return _plain if any(name in row for name in TEXT) else _chat
    names = ", ".join(sorted(row)) or "none"
    mapping = "problem: <its text>" + ("" if gold == "none" else ", answer: <its gold answer>")
    raise UserError(
        f"{where}: these columns are no known layout of problems: {names}; needed are {needed}, or which of these "
        f"columns they are: `columns: {{{mapping}}}` beside the set's name in the recipe"
    )


def renamed(rows: Iterable[Row], columns: Mapping[Role, str], where: str) -> Iterator[Row]:
    """Rows in which the columns that a recipe names stand under our names, in place of others that we know.

    A column may lie inside another one: reward_model.ground_truth. Raises UserError for one that the first row has not.
    """
    known = {name for role in columns for name in NAMES[role]}
    for number, (place, raw) in enumerate(rows):
        row = {name.lower(): value for name, value in raw.items()}
        own = {}
        for role, column in columns.items():
            there, value = _inside(row, column.lower())
            if number == 0 and not there:
                raise UserError(f"{where}: columns.{role}: there is no column {column}{suggestion(column, raw)}")
            # Who asks in a conversation may also answer there: its worked solution.
            own["messages" if role == "problem" and isinstance(value, list | tuple) else role] = value
        yield place, {name: value for name, value in row.items() if name not in known} | own


def _inside(row: Mapping[str, Any], column: str) -> tuple[bool, Any]:
    """Whether a row has a column, by its name or by a way through columns that hold others; and its value."""
    if column in row:
        return True, row[column]
    first, dot, rest = column.partition(".")
    value = row.get(first)
    if not dot or not isinstance(value, dict):
        return False, None
    return _inside({name.lower(): part for name, part in value.items()}, rest)


def columns_read(row: dict[str, Any], columns: Mapping[Role, str], gold: Gold) -> dict[str, str]:
    """Which column of a row is read for what: role -> its name, of the roles that the row has anything for.

    columns: the recipe's; row: as its file has it
    """
    row = {name.lower(): value for name, value in row.items()}
    names: dict[str, tuple[str, ...]] = {**NAMES, "answer": () if gold == "none" else ("reward_model", *GOLD)}
    found = {
        role: columns.get(role) or next((name for name in names[role] if row.get(name) is not None), None)
        for role in NAMES
    }
    inner = {"answer": ("reward_model", "ground_truth"), "id": ("extra_info", "index")}
    for role, (name, part) in inner.items():
        if found[role] == name and isinstance(row[name], dict):
            found[role] = f"{name}.{part}" if row[name].get(part) is not None else None
    chat = found["problem"] and _inside(row, found["problem"].lower())[1]
    if found["solution"] is None and isinstance(chat, list | tuple) and _said(chat, "assistant"):
        found["solution"] = f"{found['problem']} (assistant)"
    return {role: name for role, name in found.items() if name}


def read_layout(
    rows: Iterable[Row], source: str, where: str, gold: Gold, max_rows: int | None = None
) -> list[dict[str, Any]]:
    """Rows of problems.parquet out of a data set's rows, each of which comes with its place for errors.

    source: what the rows are said to come from; where: the file or data set, for errors
    gold: whether every row, some rows or none have gold answers; max_rows: read no more than so many, None: all
    A row with the id, text and gold answers of an earlier one repeats it, and is read once.
    Raises UserError when the layout is unknown, a row has no text, a row lacks its gold answer where every row needs
    one, an id is that of another problem, or nothing is there.
    """
    problems: dict[str, dict[str, Any]] = {}
    read, size = None, 0
    for number, (place, raw) in enumerate(rows):
        row = {name.lower(): value for name, value in raw.items()}
        read = read or layout(row, where, gold)
        try:
            given, text, golds, solution = read(row)
        except (KeyError, AttributeError, TypeError) as error:
            raise UserError(
                f"{place} is not laid out as the first one ({error!r:.200}); give all the same columns"
            ) from None
        except ValueError as error:
            raise UserError(f"{place}: {error}; write the answer as text, a number or a list of them") from None
        if not text:
            raise UserError(f"{place} has no problem text (of chat messages, one must be the user's)")
        if gold == "every" and not golds:
            raise UserError(
                f"{place} has no gold answer, or one that says so, such as None; give it one (`gold: some` leaves such "
                "rows to the cleaning)"
            )
        name = _id(number if given is None else given)
        problem = {"id": name, "problem": text, "answers": golds, "source": source, "solution": solution}
        if name not in problems:
            problems[name] = problem
            size += len(text) + len(solution or "") + OVERHEAD
        elif any(problems[name][key] != problem[key] for key in ("problem", "answers")):
            raise UserError(f"{place} has the id {name:.80} of an earlier row with another problem; give it its own")
        if size > SIZE:
            raise UserError(f"{place}: more than {SIZE >> 30} GiB of problems; take the first of them (`max_rows`)")
        if len(problems) == max_rows:
            break
    if not problems:
        raise UserError(f"{where}: there is no problem in it")
    return list(problems.values())


def _id(value: Any) -> str:
    """An id as text; a whole number is written as one, also where its column has missing values and so is of floats."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
