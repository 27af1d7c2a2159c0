"""The command line itself, the headings of its help, and the options that several commands share."""

from typing import Annotated, Any, Literal

import typer

app = typer.Typer(
    help="Train a mathematical specialist, distil it, merge, evaluate; or a part of that alone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
A_RUN, A_RECIPE, ALONE, STUDIES = "A run", "A recipe", "A part alone, on plain folders and files", "Studies"

NOTHING: Any = ()  # of an option with several values: typer makes a list of its own

Configs = Annotated[
    list[str], typer.Option("--configfile", metavar="FILE...", help="A recipe and its overlays, as given to snakemake.")
]
Run = Annotated[
    str | None, typer.Option("--run", metavar="FOLDER|NAME", help="A run, by its folder or its name in runs/.")
]
RlStage = Annotated[str, typer.Argument(help="An RL stage of the run, or a folder like runs/other/core.")]
Json = Annotated[bool, typer.Option("--json", help="The same as JSON.")]
GraderName = Literal["polaris", "deepscaler"]
Donor = Literal["same", "base", "distilled"]
Form = Annotated[Literal["think", "none"], typer.Option(help="think: demand a </think>.")]
Timeout = Annotated[float, typer.Option(help="Seconds for grading one answer.")]
Samples = Annotated[int, typer.Option(min=1, help="Responses per problem.")]
Temperature = Annotated[float, typer.Option(min=0, max=5, help="0: greedy, with --samples 1.")]
TopP = Annotated[float, typer.Option(help="Nucleus of the sampling.")]
TopK = Annotated[int, typer.Option(help="Likeliest tokens that are sampled from; -1: all.")]
MaxTokens = Annotated[int, typer.Option(min=1, help="Of one response.")]
Instruction = Annotated[str, typer.Option(help="Appended to the problem's text.")]
Seed = Annotated[int, typer.Option(min=0, help="Of all draws.")]
Device = Annotated[Literal["cpu", "cuda"], typer.Option(help="Where the engine runs.")]
Gpus = Annotated[int, typer.Option(min=1, help="That share one model, with --device cuda.")]
Cache = Annotated[float, typer.Option("--kv-cache-gib", help="Memory for the KV cache, with --device cpu.")]
BOXED = " Let's think step by step and output the final answer within \\boxed{}."
