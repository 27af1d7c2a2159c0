"""What comes from outside. On a laptop it is made here, on a cluster fetched at pinned revisions: the same targets."""

import shlex

from polaris.models.settings import GgufModel, TinyModel
from polaris.problems.settings import FileProblems, MadeProblems

PREFLIGHT = f"{RUN}/preflight.txt"
CONFIGS = shlex.join(map(str, workflow.configfiles))  # a path may hold blanks, quotes, $ and ;


def model_verb(source) -> str:
    return "polaris.models.make_model" if isinstance(source, TinyModel) else "polaris.models.fetch_model"


def problems_verb(source) -> str:
    return "polaris.problems.make_problems" if isinstance(source, MadeProblems) else "polaris.problems.fetch_problems"


def fetched(source) -> str:
    """What a stage that fetches must know. The date is the report's: a corrected one fetches nothing again."""
    return settings(source, exclude={"date"})


def problems_file(source) -> list:
    """A local problem file is an input like any other: another content makes the set again."""
    return [source.file] if isinstance(source, FileProblems) else []


def model_file(source) -> list:
    """A GGUF file of one's own is an input, too; one of a package is told by that package's version."""
    return [source.gguf] if isinstance(source, GgufModel) and source.package is None else []


rule preflight:
    "The first job: what would stop a run later, found in seconds, before anything is fetched (docs/cluster.md)."
    output:
        PREFLIGHT,
    threads: 1
    shell:
        "{PY[polaris]} -m polaris.commands.cli preflight --run {RUN} --configfile {CONFIGS} "
        "| tee {output}.partial && mv {output}.partial {output}"


MODELS = {
    "base_small": RECIPE.inputs.base_small,  # start of the specialist
    "base_large": RECIPE.inputs.base_large,  # start of the generalist
    "distilled": RECIPE.inputs.distilled,  # a generalist that was trained elsewhere
    "teacher_model": RECIPE.inputs.teacher,  # writes the format answers; on a laptop the problems bring their own
    **{f"models/{name}": source for name, source in RECIPE.inputs.models.items()},  # evaluated as they are
}


rule models:
    "Models as they come."
    input:
        lambda w: model_file(MODELS[w.name]),
        preflight=ancient(PREFLIGHT),  # once: a later one makes nothing again
    output:
        checkpoint_of("{name}"),
    wildcard_constraints:
        name=one_of(name for name, source in MODELS.items() if source),
    params:
        verb=lambda w: model_verb(MODELS[w.name]),
        settings=lambda w: fetched(MODELS[w.name]),
        code=lambda w: code(model_verb(MODELS[w.name]), checkpoint_of(w.name)),
    # Two threads of torch make other last bits than one, and with --cores 1 there is one.
    threads: lambda w: 1 if isinstance(MODELS[w.name], TinyModel) else 2
    priority: 1
    benchmark:
        f"{RUN}/{{name}}/benchmark.tsv"
    shell:
        "{PY[vllm]} -m {params.verb} --settings {params.settings:q} --code {params.code} --out {output}"


rule problems:
    "Problems as they come, for the stages: `format` (format SFT), `rl`, `distill` (prompts of the traces)."
    input:
        lambda w: problems_file(RECIPE.inputs.problems[w.set]),
        preflight=ancient(PREFLIGHT),
    output:
        data_of("problems/{set}"),
    params:
        verb=lambda w: problems_verb(RECIPE.inputs.problems[w.set]),
        settings=lambda w: fetched(RECIPE.inputs.problems[w.set]),
        code=lambda w: code(problems_verb(RECIPE.inputs.problems[w.set]), data_of(f"problems/{w.set}")),
    threads: 1
    priority: 2  # seconds, for which all else waits; models take minutes
    benchmark:
        f"{RUN}/problems/{{set}}/benchmark.tsv"
    shell:
        "{PY[polaris]} -m {params.verb} --settings {params.settings:q} --code {params.code} --out {output}"


rule benchmarks:
    "Held-out problems of the evaluation."
    input:
        lambda w: problems_file(RECIPE.inputs.benchmarks[w.benchmark]),
        preflight=ancient(PREFLIGHT),
    output:
        data_of("benchmarks/{benchmark}"),
    params:
        verb=lambda w: problems_verb(RECIPE.inputs.benchmarks[w.benchmark]),
        settings=lambda w: fetched(RECIPE.inputs.benchmarks[w.benchmark]),
        code=lambda w: code(problems_verb(RECIPE.inputs.benchmarks[w.benchmark]), data_of(f"benchmarks/{w.benchmark}")),
    threads: 1
    priority: 2
    benchmark:
        f"{RUN}/benchmarks/{{benchmark}}/benchmark.tsv"
    shell:
        "{PY[polaris]} -m {params.verb} --settings {params.settings:q} --code {params.code} --out {output}"


rule clean:
    "Without unsuitable problems, duplicates and what the benchmarks hold (V2 blog, data; docs/data.md)."
    input:
        problems=data_of("problems/{set}"),
        benchmarks=[data_of(f"benchmarks/{name}") for name in RECIPE.inputs.benchmarks],
    output:
        data_of("clean/{set}"),
    params:
        settings=lambda w: settings(RECIPE.clean[w.set]),
        code=lambda w: code("polaris.problems.clean_problems", data_of(f"clean/{w.set}")),
    threads: 1
    priority: 2
    benchmark:
        f"{RUN}/clean/{{set}}/benchmark.tsv"
    shell:
        "{PY[polaris]} -m polaris.problems.clean_problems --settings {params.settings:q} --code {params.code} "
        "--problems {input.problems} --benchmarks {input.benchmarks} --out {output}"
