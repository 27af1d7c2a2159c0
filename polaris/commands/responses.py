"""`polaris rollouts scores/core scores/grpo`, `polaris rollouts traces`: stored responses as pages, or one question."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from polaris.commands import regrade
from polaris.commands.runs import Place
from polaris.grading.answers import Grader
from polaris.responses import pages, source
from polaris.responses.source import Source
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.terminal import say, say_json, table

PAGES = "rollouts"  # in the run's folder


def folder_of(name: str, run: Path) -> Path:
    """The stage that says what the responses are worth: `responses/core` is judged in `scores/core`, the traces by the
    generalist's data. name: a folder, or one in the run
    """
    folder = Path(name).absolute() if "/" in name and Path(name).is_dir() else run.absolute() / name
    if folder.parent.name == "responses":
        return folder.parents[1] / "scores" / folder.name
    if folder.name.startswith("traces"):
        return folder.with_name("sft_data" + folder.name.removeprefix("traces"))
    return folder


def read(name: str, run: Path, grader: Grader | None) -> Source:
    """The responses of a name. grader: whose other verdicts are marked. Raises UserError for a stage without any."""
    folder = folder_of(name, run)
    if not (folder / "data.json").is_file() and (folder.parent / "scores" / folder.name / "data.json").is_file():
        raise UserError(
            f"{name}: no rollouts are stored here (`rollout_store: all` keeps an RL stage's); what it answered to the "
            f"benchmarks: polaris rollouts scores/{folder.name}"
        )
    stage = manifest.read(folder / "data.json")
    root = folder.parents[3 if folder.parent.name == "scores" else 2]
    with contextlib.chdir(root):  # manifests name their inputs from there
        match stage.module.rpartition(".")[2]:
            case "grade":
                found = source.evaluation(stage)
                if grader:
                    _, now = regrade.both(str(folder), "", grader)
                    rows = [row | {"other": new["correct"]} for row, new in zip(found.rows, now, strict=True)]
                    found = dataclasses.replace(found, rows=rows)
                return found
            case "build_sft_data":
                return source.traces(stage)
    raise UserError(f"{name}: no responses are stored here; name an RL stage, scores/MODEL (or two), or traces")


def main(names: Sequence[str], place: Place, problem: str | None, grader: Grader | None, as_json: bool) -> None:
    """Write the pages of one or two models' responses and print their numbers; or print one problem in full.

    Raises UserError for more than two, and as `read`.
    """
    if len(names) > 2:
        raise UserError(f"{' '.join(names)}: two can be read side by side, not {len(names)}")
    sources = [read(name, place.folder, grader) for name in names]
    if len({one.name for one in sources}) < len(sources):
        sources = [dataclasses.replace(one, name=name) for one, name in zip(sources, names, strict=True)]
    if problem:
        for text in pages.in_full(sources, problem):
            say(text)
        return
    title = " and ".join(one.name for one in sources)
    kind = folder_of(names[0], place.folder).parent.name
    slug = "-".join([*(["scores"] if kind == "scores" else []), *(one.name.replace("/", "_") for one in sources)])
    out = place.folder.absolute() / PAGES / slug
    sections = pages.write(sources, out, title, f"polaris rollouts {' '.join(names)} --problem")
    if as_json:
        say_json([{"set": one["name"], "filters": one["filters"], "differing": one["differing"]} for one in sections])
        return
    say("\n".join(table(pages.lines(sections))))
    if len(sources) > 1:
        say("\n".join(["", *table(pages.differing(sections))]))
    say(f"\npage  {out / 'index.html'}")
