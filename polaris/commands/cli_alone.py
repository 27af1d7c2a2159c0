"""Commands of a part alone, on plain folders and files: evaluate, generate, merge, grade, probe."""

from pathlib import Path
from typing import Annotated

import typer

from polaris.commands import options
from polaris.commands.options import ALONE, BOXED, NOTHING, app
from polaris.commands.typed import command


@command(app, ALONE)
def evaluate(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER... FILE...", help="Models (folders, .gguf files), and files of problems."),
    ] = NOTHING,
    samples: options.Samples = 4,
    temperature: options.Temperature = 0.6,
    top_p: options.TopP = 0.95,
    top_k: options.TopK = 20,
    max_tokens: options.MaxTokens = 2048,
    instruction: options.Instruction = BOXED,
    seed: options.Seed = 1,
    device: options.Device = "cpu",
    gpus: options.Gpus = 1,
    cache: options.Cache = 2.0,
    run: Annotated[
        str | None, typer.Option(help="Name of the run in runs/. [default: evaluation, or a new one]")
    ] = None,
    again: Annotated[Path | None, typer.Option(metavar="FOLDER", help="An earlier evaluation, by its recipe.")] = None,
    cores: Annotated[int, typer.Option(help="Jobs at a time.")] = 1,
) -> None:
    """Models on problem files: scores, differences, a page.

    Writes runs/<run>/ with the report and the recipe, evaluation.yaml, which can be edited and run again. The same
    command goes on where it stopped. Models and files are only read.
    """
    from polaris.commands.alone import evaluate as evaluation
    from polaris.commands.alone.asked import Asked

    asked = Asked(samples, temperature, top_p, top_k, max_tokens, instruction, seed, device, gpus, cache)
    evaluation.main(paths, asked, run, again, cores)


@command(app, ALONE)
def generate(
    model: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model, or its .gguf file.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Problems; golds are not needed.")],
    output: Annotated[Path, typer.Option(help="Folder of the responses, made here.")],
    samples: options.Samples = 1,
    temperature: options.Temperature = 0.6,
    top_p: options.TopP = 0.95,
    top_k: options.TopK = 20,
    max_tokens: options.MaxTokens = 2048,
    instruction: options.Instruction = BOXED,
    seed: options.Seed = 1,
    device: options.Device = "cpu",
    gpus: options.Gpus = 1,
    cache: options.Cache = 2.0,
) -> None:
    """A model's responses to problem files.

    Writes OUTPUT/responses.jsonl, which `polaris grade` and `polaris probe` read. The same command goes on.
    """
    from polaris.commands.alone import generate as generation
    from polaris.commands.alone.asked import Asked

    asked = Asked(samples, temperature, top_p, top_k, max_tokens, instruction, seed, device, gpus, cache)
    generation.main(model, files, asked, output)


@command(app, ALONE)
def merge(
    base: Annotated[Path, typer.Argument(help="The base model's folder.")],
    distilled: Annotated[Path, typer.Argument(help="The folder of the model that was trained from it.")],
    alphas: Annotated[list[float], typer.Option(metavar="ALPHA...", help="Weights of the base, between 0 and 1.")],
    output: Annotated[Path, typer.Option(help="Folder of the merges: OUTPUT/alpha=0.30 and so on.")],
    tokenizer: Annotated[
        options.Donor, typer.Option(help="Whose tokenizer; same: refuse models that differ there.")
    ] = "same",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verdict, sizes and time; no merge.")] = False,
) -> None:
    """alpha * base + (1 - alpha) * distilled, for each alpha."""
    from polaris.commands.alone import merge as merging

    merging.main(base, distilled, alphas, output, tokenizer, dry_run)


@command(app, ALONE)
def grade(
    file: Annotated[Path, typer.Argument(help="jsonl, parquet, json or csv: `gold`, and `response` or `answer`.")],
    output: Annotated[Path | None, typer.Option(help="The rows with their verdicts, as jsonl.")] = None,
    format: options.Form = "none",
    grader: Annotated[options.GraderName, typer.Option(help="deepscaler: V1's.")] = "polaris",
    timeout: options.Timeout = 5.0,
    json: options.Json = False,
) -> None:
    """A file of responses with their answers: right, or why not."""
    from polaris.commands.alone import files

    files.grade(file, output, format, grader, timeout, json)


@command(app, ALONE)
def probe(
    rollouts: Annotated[Path, typer.Argument(help="`problem_id`, `sample_id`, `response`, `gold`, maybe `correct`.")],
    problems: Annotated[list[Path], typer.Option(metavar="FILE...", help="Problems with golds, by id.")] = NOTHING,
    output: Annotated[Path | None, typer.Option(help="The JSON file; without it and --page it is printed.")] = None,
    page: Annotated[Path | None, typer.Option(help="The HTML page.")] = None,
    format: options.Form = "none",
    judge: Annotated[str | None, typer.Option(help="A judge's section (docs/probe.md): a file, or JSON.")] = None,
    timeout: options.Timeout = 5.0,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    resamples: Annotated[int, typer.Option(help="Bootstrap draws of problems.")] = 2000,
    seed: options.Seed = 0,
) -> None:
    """Do right responses share more results than wrong ones?"""
    from polaris.commands.alone import files
    from polaris.evaluation.settings import Resampling
    from polaris.stage.settings import validated

    values = {"confidence": confidence, "resamples": resamples, "seed": seed}
    report = validated(Resampling, values, "polaris probe")
    files.probe(rollouts, problems, output, page, format, judge, report, timeout)
