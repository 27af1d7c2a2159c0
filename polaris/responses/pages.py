"""The pages of stored responses: an index, lists of questions by their marks, and a page per question.

Static files, which a browser opens without a server. A list has several pages where it is long, so that 100,000
responses stay as usable as 100; a text is shown with its beginning and end where it is very long.
"""

import collections
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from polaris.charts.charts import column_chart
from polaris.charts.templates import environment
from polaris.responses import marks
from polaris.responses.source import Key, Row, Source
from polaris.stage.errors import UserError
from polaris.stage.progress import Progress

ROWS = 200  # questions on one page of a list
HEAD, TAIL = 6000, 6000  # characters of a response
BINS = 8  # of the picture of lengths
SHOWN = 5  # questions of a set in the terminal
ALL = "all"
Texts = list[tuple[Row, str]]  # a row of Source.rows and its response


def write(sources: Sequence[Source], out: Path, title: str, command: str) -> list[dict[str, Any]]:
    """Write the pages of one or two sources into `out`, anew; the parts of the index, one of each set.

    command: what prints a question in full, up to its id. Raises UserError where two sources answered other questions.
    """
    pages = _Pages(sources, out.with_name(out.name + ".partial"), title, command)
    shutil.rmtree(pages.out, ignore_errors=True)
    pages.out.mkdir(parents=True)
    table = pages.write()
    shutil.rmtree(out, ignore_errors=True)
    pages.out.rename(out)
    return table


def together(sources: Sequence[Source]) -> Iterator[tuple[Key, list[Texts]]]:
    """Every question of the first source, with the responses of each. Raises UserError where one has none."""
    first, *others = sources
    streams = [other.questions() for other in others]
    kept: list[dict[Key, Texts]] = [{} for _ in others]  # read already, of questions that come later
    for key, texts in first.questions():
        columns = [texts]
        for other, stream, early in zip(others, streams, kept, strict=True):
            while key not in early:
                found = next(stream, None)
                if found is None:
                    raise UserError(
                        f"{other.name}: no response to problem {key[1]} of {key[0]}, which {first.name} has"
                    )
                early[found[0]] = found[1]
            columns.append(early.pop(key))
        yield key, columns


class _Pages:
    def __init__(self, sources: Sequence[Source], out: Path, title: str, command: str):
        self.sources, self.out, self.title, self.command = sources, out, title, command
        self.names = [source.name for source in sources]
        pages = environment(Path(__file__).parent)
        self.template = pages.get_template("responses.html")
        self.sets = {name: f"set_{n:02d}" for n, name in enumerate(dict.fromkeys(r["set"] for r in sources[0].rows))}

    def _write(self, path: str, kind: str, title: str, **values: Any) -> None:
        text = self.template.render(kind=kind, title=title, whole=self.title, sources=self.names, **values)
        (self.out / path).write_text(text, encoding="utf-8")

    def write(self) -> list[dict[str, Any]]:
        for folder in self.sets.values():
            (self.out / folder).mkdir()
        keys = dict.fromkeys((row["set"], row["problem_id"]) for row in self.sources[0].rows)
        self.counts = collections.Counter(name for name, _ in keys)
        progress = Progress(f"{self.title}: pages", len(keys), unit="question")
        by_set: dict[str, list[dict[str, Any]]] = {name: [] for name in self.sets}
        for done, (key, columns) in enumerate(together(self.sources), 1):
            mine = by_set[key[0]]
            mine.append(self._question(key, len(mine), columns))
            progress.update(done)
        sections = [self._set(name, questions) for name, questions in by_set.items()]
        self._write("index.html", "index", self.title, sections=sections)
        return sections

    def _question(self, key: Key, place: int, columns: list[Texts]) -> dict[str, Any]:
        """The page of a question; what the lists say of it."""
        rows = [[row for row, _ in texts] for texts in columns]
        problem = self.sources[0].problem(key)
        self._write(
            f"{self.sets[key[0]]}/{_file(place)}",
            "question",
            f"{key[0]}: {key[1]}",
            set=key[0],
            list_file=_list_file(ALL, 0),
            before=_file(place - 1) if place else None,
            after=_file(place + 1) if place + 1 < self.counts[key[0]] else None,
            problem=problem["problem"],
            golds=problem["answers"],
            columns=[
                {"name": name, "right": sum(map(marks.is_right, mine)), "rows": [_response(*one) for one in texts]}
                for name, mine, texts in zip(self.names, rows, columns, strict=True)
            ],
            command=f"{self.command} {key[1]}",
        )
        shares = [marks.share(mine) for mine in rows]
        return {
            "id": key[1],
            "file": _file(place),
            "problem": problem["problem"],
            "right": [f"{sum(map(marks.is_right, mine))} of {len(mine)}" for mine in rows],
            "difference": shares[0] - shares[-1],
            "tokens": [max(row["tokens"] for row in mine) for mine in rows],
            "marks": marks.of_question(rows),
            "rows": rows,
        }

    def _set(self, name: str, questions: list[dict[str, Any]]) -> dict[str, Any]:
        """The lists of a set; its part of the index."""
        questions.sort(key=lambda question: -abs(question["difference"]))  # of two models, where they differ first
        found = set().union(*(question["marks"] for question in questions))
        known = marks.names(found, self.names)
        lists = {mark: [one for one in questions if mark in one["marks"]] for mark in known}
        longest = sorted(questions, key=lambda question: -max(question["tokens"]))
        lists = {ALL: questions} | lists | {marks.LONGEST[0]: longest[: marks.LONG]}
        filters = [
            {"mark": mark, "name": known.get(mark, ALL), "file": _list_file(mark, 0), "count": len(mine)}
            for mark, mine in lists.items()
        ]
        for mark, mine in lists.items():
            self._list(name, mark, mine, filters, known)
        models, longest_of_all = [], max(max(question["tokens"]) for question in questions)
        for column, model in enumerate(self.names):
            rows = [row for question in questions for row in question["rows"][column]]
            counted = collections.Counter(mark for row in rows for mark in marks.of_response(row))
            models.append(
                {
                    "set": name,
                    "model": model,
                    "questions": len(questions),
                    "responses": len(rows),
                    "right": fmean(map(marks.is_right, rows)),
                    "tokens": fmean(row["tokens"] for row in rows),
                    "counts": {mark: counted[mark] for mark in known if counted[mark]},
                    "picture": _lengths(rows, model, name, longest_of_all),
                }
            )
        first = [{"id": one["id"], "right": one["right"]} for one in questions[:SHOWN] if one["difference"]]
        return {
            "name": name,
            "folder": self.sets[name],
            "filters": filters,
            "marks": known,
            "columns": {mark: word for mark, word in known.items() if any(mark in row["counts"] for row in models)},
            "models": models,
            "differing": first,
        }

    def _list(self, name: str, mark: str, questions: list[dict[str, Any]], filters: Any, known: dict[str, str]) -> None:
        pages = range(0, max(1, len(questions)), ROWS)
        for number, start in enumerate(pages):
            self._write(
                f"{self.sets[name]}/{_list_file(mark, number)}",
                "list",
                f"{name}: {known.get(mark, ALL)}",
                set=name,
                filters=filters,
                mark=mark,
                marks=known,
                questions=questions[start : start + ROWS],
                total=len(questions),
                first=start + 1,
                before=_list_file(mark, number - 1) if number else None,
                after=_list_file(mark, number + 1) if number + 1 < len(pages) else None,
            )


def _file(place: int) -> str:
    return f"question_{place:06d}.html"


def _list_file(mark: str, number: int) -> str:
    return f"{mark}_{number + 1}.html"


def _response(row: Row, text: str) -> dict[str, Any]:
    """A response as its card shows it."""
    left_out = len(text) - HEAD - TAIL
    found = marks.of_response(row)
    right = marks.is_right(row)
    graded = "correct" in row
    return {
        "sample": row["sample"],
        "kind": "right" if right else "wrong",
        "verdict": ("correct" if right else "wrong") if graded else ("taught" if right else "not taught"),
        "reason": row["reason"],
        "answer": row.get("answer"),
        "tokens": row["tokens"],
        "labels": [marks.GRADED[mark][0] for mark in marks.GRADED if mark in found and mark != "wrong"],
        "head": text if left_out <= 0 else text[:HEAD],
        "left_out": max(0, left_out),
        "tail": "" if left_out <= 0 else text[-TAIL:],
    }


def _lengths(rows: Sequence[Row], model: str, name: str, longest: int) -> Any:
    """Responses by their length, right and wrong ones side by side."""
    from markupsafe import Markup

    width = max(1, -(-(longest + 1) // BINS))
    counts = {right: [0] * BINS for right in (True, False)}
    for row in rows:
        counts[marks.is_right(row)][row["tokens"] // width] += 1
    words = ("correct", "wrong") if "correct" in rows[0] else ("taught", "not taught")
    groups = [(words[0], 2, counts[True]), (words[1], 1, counts[False])]
    labels = [str(place * width) for place in range(BINS)]
    return Markup(column_chart(labels, groups, f"{model} on {name}: responses by length", "tokens, at least"))


def lines(sections: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The sets for a terminal: the rows of a table, its head first."""
    table = [row for section in sections for row in section["models"]]
    known = dict.fromkeys(mark for row in table for mark in row["counts"])
    names = marks.names(set(known), ())
    shown = [mark for mark in names if mark in known]
    rows = [["set", "model", "questions", "responses", "right", "tokens", *(names[mark] for mark in shown)]]
    for row in table:
        numbers = [str(row["questions"]), str(row["responses"]), f"{100 * row['right']:.1f} %", f"{row['tokens']:.0f}"]
        rows.append([row["set"], row["model"], *numbers, *(str(row["counts"].get(mark) or "–") for mark in shown)])
    return rows


def differing(sections: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Of two models, the questions where they differ most: the rows of a table, its head first."""
    models = [row["model"] for row in sections[0]["models"]]
    rows = [[section["name"], one["id"], *one["right"]] for section in sections for one in section["differing"]]
    return [["set", "question", *models], *rows]


def in_full(sources: Sequence[Source], problem: str) -> Iterator[str]:
    """The lines of a question with all of its responses. Raises UserError where there is no such question."""
    found = False
    for (name, problem_id), columns in together(sources):
        if problem_id != problem:
            continue
        found, question = True, sources[0].problem((name, problem_id))
        yield f"{name}: {problem_id}\n\n{question['problem']}\n\naccepted: {' · '.join(question['answers'])}"
        for source, texts in zip(sources, columns, strict=True):
            for row, text in texts:
                card = _response(row, text)
                verdict = f"{card['verdict']} ({row['reason']})" if row["reason"] else card["verdict"]
                yield f"\n--- {source.name}, response {row['sample']}: {verdict}\n{text}"
    if not found:
        raise UserError(f"{sources[0].name}: there is no response to a problem {problem}; the pages name them all")
