"""The commands that people type: `polaris show`, `polaris evaluate`. Stages are `python -m <package>.<verb>`."""

from pathlib import Path
from typing import Annotated

import typer

from polaris.commands import cli_alone, cli_recipe  # noqa: F401 (their commands)
from polaris.commands.options import A_RUN, NOTHING, STUDIES, Configs, GraderName, Json, RlStage, Run, app
from polaris.commands.typed import command, run


@command(app, A_RUN)
def show(configfile: Configs = NOTHING, run: Run = None, json: Json = False) -> None:
    """The tables of a finished run, and where its page lies."""
    from polaris.commands import runs
    from polaris.commands import show as tables

    tables.main(runs.place(run, configfile).folder, json)


@command(app, A_RUN)
def status(
    configfile: Configs = NOTHING,
    run: Run = None,
    digests: Annotated[bool, typer.Option("--digests", help="Read every file: is it what its stage wrote?")] = False,
    json: Json = False,
) -> None:
    """How far every stage is, and what runs next."""
    from polaris.commands import runs
    from polaris.commands import status as states

    states.show(runs.place(run, configfile), digests, json)


@command(app, A_RUN)
def watch(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="Its folder, or its name in runs/.")] = None,
    configfile: Configs = NOTHING,
) -> None:
    """The running stages: curves, rates, time left, warnings."""
    from polaris.commands import runs
    from polaris.commands import watch as watching

    watching.main(runs.place(run, configfile).folder)


@command(app, A_RUN)
def compare(
    model: Annotated[str, typer.Argument(help="A name in the run, or a folder like runs/other/scores/core.")],
    other: Annotated[str, typer.Argument(help="What it is compared with.")],
    configfile: Configs = NOTHING,
    run: Run = None,
    runs: Annotated[list[str], typer.Option(metavar="NAME...", help="Replicates of one recipe, pooled.")] = NOTHING,
    json: Json = False,
) -> None:
    """Two models on the same questions: paired difference."""
    from polaris.commands import runs as places
    from polaris.evaluation import compare as comparison

    where = [str(places.found(name)) for name in runs] or [str(places.place(run, configfile).folder)]
    comparison.main(model, other, where, json)


@command(app, A_RUN)
def regrade(
    model: Annotated[str, typer.Argument(help="A name in the run, or a folder like runs/other/scores/core.")],
    configfile: Configs = NOTHING,
    run: Run = None,
    grader: Annotated[
        GraderName | None, typer.Option(help="Instead of the one that the scores were made with.")
    ] = None,
    json: Json = False,
) -> None:
    """Stored responses graded again: which verdicts flip.

    Exit status 1 where any verdict or reason did.
    """
    from polaris.commands import regrade as regrading
    from polaris.commands import runs

    if not regrading.main(model, runs.place(run, configfile), grader, json):
        raise SystemExit(1)


@command(app, A_RUN)
def judge(
    model: Annotated[str, typer.Argument(help="A name in the run, or a folder like runs/other/scores/core.")],
    judge: Annotated[str, typer.Option(help="The judge's section (docs/probe.md): a file, or JSON.")],
    output: Annotated[Path, typer.Option(help="The JSON file to write.")],
    benchmark: Annotated[list[str], typer.Option(metavar="NAME...", help="These alone.")] = NOTHING,
    configfile: Configs = NOTHING,
    run: Run = None,
) -> None:
    """A model's second opinion on answers that rules judged.

    Scores, report and published results stay as they are.
    """
    from polaris.commands import judged, runs
    from polaris.stage.settings import read_section
    from small_rl.study_settings import Judge

    judged.main(model, runs.place(run, configfile), benchmark, read_section(Judge, judge), output)


@command(app, A_RUN)
def publish(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Names in the run: core, alpha=0.50.")],
    to: Annotated[Path, typer.Option(help="Folder to be made.")],
    license: Annotated[str, typer.Option(help="Of what is published, as the hub spells it: apache-2.0.")],
    weights: Annotated[
        bool, typer.Option("--weights/--no-weights", help="Of the one model; without them several can be named.")
    ] = True,
    configfile: Configs = NOTHING,
    run: Run = None,
    push: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Upload the folder to this repository (private).")
    ] = None,
) -> None:
    """A model's folder with its card and results, ready to be pushed."""
    from polaris.commands import publish as publishing
    from polaris.commands import runs

    publishing.main(runs.place(run, configfile), models, to, license, push, weights)


@command(app, A_RUN)
def verify(
    folder: Annotated[str, typer.Argument(help="That `polaris publish` made, or OWNER/NAME on the hub.")],
    problems: Annotated[
        list[str], typer.Option(metavar="BENCHMARK=FILE...", help="Of sets whose questions were not passed on.")
    ] = NOTHING,
    json: Json = False,
) -> None:
    """Published responses graded again, every number computed again.

    Exit status 1 where a file, a response, a verdict or a number is not as published.
    """
    from polaris.commands import verify as verifying

    if not verifying.main(folder, problems, json):
        raise SystemExit(1)


@command(app, A_RUN)
def rollouts(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="An RL stage; scores/MODEL, or two of them; traces; folders.")
    ],
    configfile: Configs = NOTHING,
    run: Run = None,
    problem: Annotated[str | None, typer.Option(help="Print the responses to this one in full.")] = None,
    grader: Annotated[GraderName | None, typer.Option(help="Mark where this one disagrees with the scores.")] = None,
    json: Json = False,
) -> None:
    """Responses to read, as a table and as pages for a browser.

    Of an RL stage's steps; of a model on the benchmarks, or of two side by side; of the traces, taught and not.
    """
    from polaris.commands import responses, runs
    from polaris.commands import rollouts as stored

    if len(names) == 1 and (store := stored.store_of(names[0], run, configfile)).is_dir():
        stored.show(store, json)
    else:
        responses.main(names, runs.place(run, configfile), problem, grader, json)


@command(app, A_RUN)
def replay(
    stage: RlStage,
    configfile: Configs = NOTHING,
    run: Run = None,
    step: Annotated[
        int | None, typer.Option(min=1, help="Instead: make the stage's updates again, through this step.")
    ] = None,
    json: Json = False,
) -> None:
    """What other process rewards would have paid an RL stage's rollouts.

    With --step, whether the stored rollouts give the recorded numbers and weights again. Exit status 1: they do not.
    """
    from polaris.commands import rollouts as stored

    store = stored.store_of(stage, run, configfile)
    if step is None:
        stored.replay(store, json)
    else:
        stored.again(store, step, json)


@command(app, A_RUN)
def court(
    stage: RlStage,
    configfile: Configs = NOTHING,
    run: Run = None,
    json: Json = False,
) -> None:
    """What known hacks earn by a stage's reward."""
    from polaris.commands import rollouts as stored

    stored.court(stored.store_of(stage, run, configfile), json)


@command(app, STUDIES)
def study(
    replicates: Annotated[list[int], typer.Argument(help="0 1 2: the runs study_0 sparse_0 study_1 ...")],
    to: Annotated[Path, typer.Option(help="Folder of the records and the pages.")] = Path("docs/study"),
) -> None:
    """What replicates of the laptop recipe found (make study)."""
    from polaris.commands import study as studies

    studies.main(replicates, to)


def main() -> None:
    """Entry point of the console script."""
    run(app)


if __name__ == "__main__":
    main()
