"""The recipe, and what the rules share."""

import re
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import _IOFile

from polaris.generation import preload
from polaris.recipe import machine, printed, recipe
from polaris.recipe.settings import NAME
from polaris.recipe.snakemake_inputs import check_local_files, redate
from polaris.stage import terminal
from polaris.stage.code import digest
from polaris.stage.errors import UserError
from polaris.stage.nodes import interpreter

try:
    # Not `config`, Snakemake's own merging of all files, but the values of --config alone.
    LOADED = recipe.loaded(workflow.configfiles, workflow.config_settings.config)
    check_local_files(LOADED.recipe)
except UserError as error:
    raise WorkflowError(terminal.printable(str(error))) from None

terminal.collect_errors(Path(".snakemake"))


onerror:
    terminal.say_errors_last()  # what failed and what to do, below Snakemake's echo of the command


RECIPE = LOADED.recipe
RUN = f"runs/{RECIPE.run}"
redate(Path(RUN))


onstart:
    printed.keep(LOADED, workflow.configfiles)  # every value, and where it stands: runs/<run>/recipe.yaml
    fork_jobs()


# The Python of each engine; verbs without an engine run under Snakemake's own.
PY = {tool: interpreter(python, RECIPE.environment) for tool, python in RECIPE.interpreters.model_dump().items()}
PY |= {"generate": PY["vllm"], "polaris": interpreter("python"), "texts": interpreter("python")}

ON_CPU = RECIPE.device == "cpu"


def fork_jobs() -> None:
    """Where several jobs generate, train or decode texts here, on a CPU and with this Python, they are forked from one
    that has imported vLLM, and torch and transformers with it.

    No other verb: what it has imported is told to stay offline, and fetches nothing.
    """
    engines = RECIPE.interpreters
    here = {"generate": engines.vllm, "rl": engines.rl, "megatron": engines.megatron, "texts": "python"}
    ours = [name for name, python in here.items() if python == "python"]
    commands = [job.rule.shellcmd or "" for job in workflow.dag.needrun_jobs()]
    forked = [command for command in commands if any(f"{{PY[{name}]}}" in command for name in ours)]
    if len(forked) > 1 and ON_CPU and workflow.local_exec:
        python = preload.python_until_exit(Path(".snakemake/preload.log"), RECIPE.environment)
        PY.update(dict.fromkeys(ours, interpreter(python, RECIPE.environment)))


def machine_mb(engine: str, models: dict) -> int:
    return machine.stage_mb(engine, models, Path(RUN)) if ON_CPU else machine.memory_mb()


# MiB that a stage takes of this machine. On a CPU as its engine and its models need: stages run side by side as memory
# holds them. On GPUs all, so that one stage at a time has them, unless a profile counts them (resource `gpu`, as in
# cluster/one_gpu). On Slurm this is no limit; Snakemake's own mem_mb is a profile's.
SMALL_MODEL = {"base_small": RECIPE.inputs.base_small}
LARGE_MODEL = {"base_large": RECIPE.inputs.base_large}
ALL_MODELS = SMALL_MODEL | LARGE_MODEL | {f"models/{name}": one for name, one in RECIPE.inputs.models.items()}
RL_MB, SFT_MB = (machine_mb(engine, SMALL_MODEL) for engine in ("rl", "sft"))
VLLM_MB = machine_mb("vllm", ALL_MODELS)
MEGATRON_MB = machine_mb("megatron", LARGE_MODEL)
if workflow.resource_settings.nodes is None and not {"machine_mb", "gpu"} & set(workflow.global_resources):
    workflow.register_resource("machine_mb", machine.memory_mb())


def checkpoint_of(folder: str) -> str:
    """Target of a stage that makes a model."""
    return f"{RUN}/{folder}/checkpoint.json"


def data_of(folder: str) -> str:
    """Target of a stage that makes data."""
    return f"{RUN}/{folder}/data.json"


def settings(section, **leaving_out) -> str:
    """A section as the text of --settings. Pass it from a function: in a plain text Snakemake looks for {wildcards}."""
    return section.model_dump_json(**leaving_out)


def code(module: str, target: str) -> str:
    """A verb's `--code`: the digest of its code, so that an edit makes `target` again.

    With `invalidate_on_code: false` no edit may restart ten days of work: what the finished target was made with, by
    Snakemake's record of its params, or `advisory`. `polaris status` says what drifted.
    """
    if RECIPE.invalidate_on_code:
        return digest(module)
    recorded = workflow.persistence.params(_IOFile(target, rule=None)) or []
    return next((text.strip("'") for text in recorded if re.fullmatch("'[0-9a-f]{16}'", text)), "advisory")


def option(name: str, path) -> str:
    """An option of a verb with the file that it names; nothing where there is none."""
    return f"--{name} {path}" if path else ""


def one_of(names) -> str:
    """Constraint of a wildcard: these names and no other."""
    return f"(?:{'|'.join(map(re.escape, names))})"


wildcard_constraints:
    set=NAME.pattern,
    benchmark=NAME.pattern,
    model="[A-Za-z0-9_=.@-]+",
    merge=r"alpha=0\.\d+|soup=[\d._]+",
    arm=one_of(RECIPE.sweeps),
