"""The pages of a store: one of the stage, one of each step, one of each group. Static files, which a browser opens
without a server; filters are links, by CSS alone, since pages from a disk may not run programs."""

import collections
import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from polaris.charts.charts import Line, axis_percent, line_chart, plain
from polaris.charts.templates import environment
from polaris.models.prompts import load_tokenizer
from polaris.stage.errors import UserError
from polaris.stage.progress import Progress
from polaris.stage.records import read_problems
from small_rl.rollouts import about, alarm, store
from small_rl.rollouts.about import About
from small_rl.rollouts.history import COLUMNS, History, Result
from small_rl.rollouts.step_numbers import EQUAL, EXTREME, MARKS, marked, numbers, reward
from small_rl.rollouts.texts import pieces

NAMES = (
    {mark: name for mark, (name, _) in MARKS.items()} | dict([EQUAL]) | {m: name for m, (name, _) in EXTREME.items()}
)
TEMPLATES = Path(__file__).parent
SHOWN = 8  # supporters of a result that are named

Row = dict[str, Any]
Write = Callable[..., None]


def write(folder: Path, out: Path) -> list[dict[str, Any]]:
    """Write the pages of the store in `folder` into `out`, anew; the numbers of each step.

    Raises UserError where there is no store, or no step yet. A cut file is named on the page.
    """
    stage = about.read(folder)
    steps, wrong = [], []
    for step, rows in store.readable_steps(folder, COLUMNS):
        (wrong if isinstance(rows, UserError) else steps).append((step, rows))
    if not steps:
        raise UserError(f"{folder}: {wrong[0][1] if wrong else 'no step is stored yet'}")
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    pages = _Pages(stage, History(itertools.chain.from_iterable(rows for _, rows in steps)), folder, partial)
    progress = Progress(f"{stage.stage}: pages", len(steps))
    order, table = [step for step, _ in steps], []
    for place, step in enumerate(order):
        table.append(pages.step(order, place, store.read_step(folder, step)))
        progress.update(place + 1)
    pages.stage(table, [str(error) for _, error in wrong])
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    return table


class _Pages:
    def __init__(self, stage: About, history: History, folder: Path, out: Path):
        self.about, self.history, self.out = stage, history, out
        self.problems = read_problems(stage.problems)
        self.tokenizer = load_tokenizer(stage.model)
        self.template = _template()
        self.warnings = alarms(folder)

    def _write(self, path: Path, kind: str, title: str, **values: Any) -> None:
        path.parent.mkdir(exist_ok=True)
        name = self.about.stage
        path.write_text(self.template.render(kind=kind, title=title, stage=name, **values), encoding="utf-8")

    def stage(self, table: Sequence[dict[str, Any]], problems: Sequence[str]) -> None:
        from markupsafe import Markup

        steps = [row["step"] for row in table]
        pictures, few = [], len(steps) < 12
        links = [(row["step"], row["file"], f"step {row['step']}") for row in table]
        for name, key, word in (
            ("Correct", "accuracy", axis_percent),
            ("What wrong responses earn", "process_reward", plain),
            ("Tokens of a response", "tokens", plain),
        ):
            line = Line("", steps, [row[key] for row in table])
            chart = line_chart(
                [line], name, "step", word, [(step, str(step)) for step in steps] if few else (), links=links
            )
            pictures.append((name, Markup(chart)))
        kept = self.about.settings.rollout_store
        total = sum(row["rollouts"] for row in table)
        self._write(
            self.out / "index.html",
            "stage",
            f"{self.about.stage}: rollouts",
            steps=table,
            total=f"{total:,}",
            kept=None if kept == "all" else kept,
            pictures=pictures,
            problems=problems,
            warnings=self.warnings,
        )

    def step(self, order: Sequence[int], place: int, rows: Sequence[Row]) -> dict[str, Any]:
        """The pages of a step and of its groups; its numbers."""
        step = order[place]
        marks = marked(rows)
        both = list(zip(rows, marks, strict=True))
        by_group = [list(group) for _, group in itertools.groupby(both, key=lambda one: one[0]["group"])]
        files = [group_file(step, group[0][0]["group"]) for group in by_group]
        for number, group in enumerate(by_group):
            around = {"before": _name(files, number - 1), "after": _name(files, number + 1)}
            self._group(step, group, around)
        self._write(
            self.out / step_page(step),
            "step",
            f"{self.about.stage}, step {step}",
            step=step,
            before=step_page(order[place - 1]) if place else None,
            after=step_page(order[place + 1]) if place + 1 < len(order) else None,
            groups=[self._summary(file, group) for file, group in zip(files, by_group, strict=True)],
        )
        counts = collections.Counter(mark for one in marks for mark in one)
        return {"step": step, "file": step_page(step), "rollouts": len(rows), "counts": counts} | numbers(rows)

    def _summary(self, file: str, group: Sequence[tuple[Row, set[str]]]) -> dict[str, Any]:
        rows = [row for row, _ in group]
        return {
            "file": file,
            "place": rows[0]["group"],
            "problem": self._problem(rows[0])["problem"],
            "correct": sum(row["correct"] for row in rows),
            "rows": [{"sample": row["sample"], "reward": reward(row)} for row in rows],
            "tokens": max(len(row["response"]) for row in rows),
            "marks": sorted(set().union(*(marks for _, marks in group))),
        }

    def _problem(self, row: Row) -> dict[str, Any]:
        gone = {"problem": "(the problem is no longer in the stage's data)", "answers": []}
        return self.problems.get(row["problem_id"], gone)

    def _group(self, step: int, group: Sequence[tuple[Row, set[str]]], around: dict[str, str | None]) -> None:
        rows = [row for row, _ in group]
        first, problem = rows[0], self._problem(rows[0])
        core = self.about.settings.core
        found = self.history.results_of(rows) if core else {}
        self._write(
            self.out / group_file(step, first["group"]),
            "group",
            f"{self.about.stage}, step {step}, group {first['group']}",
            step=step,
            step_file=step_page(step),
            place=first["group"],
            source=first["source"],
            source_file=Path(group_file(step, first["source"])).name,
            problem_id=first["problem_id"],
            problem=problem["problem"],
            golds=problem["answers"],
            results=[_result(text, result, core.min_support) for text, result in found.items()] if core else [],
            rows=[self._rollout(row, marks, problem["answers"]) for row, marks in group],
            **around,
        )

    def _rollout(self, row: Row, marks: set[str], golds: Sequence[str]) -> dict[str, Any]:
        kind = "right" if row["correct"] else "paid" if row["earned"] > 0 else "wrong"
        return {
            **{key: row[key] for key in ("sample", "reason", "answer", "earned", "penalty")},
            "kind": kind,
            "verdict": "correct" if row["correct"] else "wrong",
            "tokens": len(row["response"]),
            "labels": [NAMES[mark] for mark in NAMES if mark in marks],
            "pieces": pieces(self._text(row["response"]), row, golds, self.about.settings.core),
            "borrowed": self._text(row["rescued"]) if row["rescued"] else None,
        }

    def _text(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(tokens)


def alarms(store: Path) -> list[str]:
    """The warnings of the alarm beside a store."""
    path = store.parent / alarm.NAME
    return [json.loads(line)["text"] for line in path.read_text().splitlines()] if path.is_file() else []


def step_page(step: int) -> str:
    return f"step_{step:06d}.html"


def group_file(step: int, group: int) -> str:
    """Relative to the stage's page; a step's groups have a folder."""
    return f"step_{step:06d}/group_{group:05d}.html"


def _name(files: Sequence[str], number: int) -> str | None:
    return Path(files[number]).name if 0 <= number < len(files) else None


def _result(text: str, result: Result, min_support: int) -> dict[str, Any]:
    entry = result.entered(min_support)
    known = result.count >= min_support
    since = f"since step {entry[0]}" if entry else "from the start" if known else "no"
    links = [
        (f"../{group_file(step, group)}#r{sample}", f"{step}/{group}/{sample}")
        for step, group, sample in result.stored[:SHOWN]
    ]
    more = f"and {len(result.stored) - SHOWN} more" if len(result.stored) > SHOWN else ""
    before = result.count - len(result.stored)
    return {
        "text": text,
        "count": result.count,
        "since": since,
        "links": links,
        "more": f"{more}{f'; {before} from the start' if before and result.stored else ''}",
    }


def _template() -> Any:
    pages = environment(TEMPLATES)
    pages.globals["marks"] = NAMES
    return pages.get_template("rollouts.html")


def lines(table: Iterable[dict[str, Any]]) -> list[list[str]]:
    """The steps for a terminal: the rows of a table, its head first."""
    rows = [["step", "correct", "reward", "of wrong ones", "tokens", *NAMES.values()]]
    for row in table:
        marks = [str(row["counts"][mark] or "–") for mark in NAMES]
        means = [f"{100 * row['accuracy']:.1f} %", f"{row['reward']:.3f}", f"{row['process_reward']:.3f}"]
        rows.append([str(row["step"]), *means, f"{row['tokens']:.0f}", *marks])
    return rows
