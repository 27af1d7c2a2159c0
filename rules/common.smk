"""The recipe and the words that the cards share."""

from pathlib import Path

from snakemake.exceptions import WorkflowError

from polaris.recipe import recipe
from polaris.stage import terminal
from polaris.stage.code import digest
from polaris.stage.errors import UserError
from polaris.stage.nodes import interpreter

try:
    RECIPE = recipe.load(workflow.configfiles, config)
except UserError as error:
    raise WorkflowError(terminal.printable(str(error))) from None

terminal.collect_errors(Path(".snakemake"))


onerror:
    terminal.say_errors_last()  # what failed and what to do, below Snakemake's echo of the command


RUN = f"runs/{RECIPE.run}"

# The Python of each engine; verbs without an engine run under Snakemake's own.
PY = {tool: interpreter(python, RECIPE.environment) for tool, python in RECIPE.interpreters.model_dump().items()}
PY["polaris"] = interpreter("python")


def checkpoint_of(folder: str) -> str:
    """Target of a stage that makes a model."""
    return f"{RUN}/{folder}/checkpoint.json"


def data_of(folder: str) -> str:
    """Target of a stage that makes data."""
    return f"{RUN}/{folder}/data.json"


def settings(section, **leaving_out) -> str:
    """A section as the text of --settings."""
    return section.model_dump_json(**leaving_out)


def code(module: str) -> str:
    """Digest of the code that a verb runs; `advisory` where a code change must not restart ten days of work."""
    return digest(module) if RECIPE.invalidate_on_code else "advisory"


def option(name: str, path) -> str:
    """An option of a verb with the file that it names; nothing where there is none."""
    return f"--{name} {path}" if path else ""


def one_of(names) -> str:
    """Constraint of a wildcard: these names and no other."""
    return f"(?:{'|'.join(names)})"


wildcard_constraints:
    set="[A-Za-z0-9_-]+",
    benchmark="[A-Za-z0-9_-]+",
    model="[A-Za-z0-9_=.@-]+",
    alpha=r"0\.\d+",
    stage=one_of(RECIPE.small_rl.rl),
    search=one_of(RECIPE.small_rl.temperature_search),
    arm=one_of(RECIPE.arms),
