"""The recipe and the words that the cards share."""

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import RerunTrigger

from configs import recipe
from polaris.code import digest
from polaris.errors import UserError
from polaris.nodes import interpreter

try:
    RECIPE = recipe.load(workflow.configfiles, config)
except UserError as error:
    raise WorkflowError(str(error)) from None

RUN = f"runs/{RECIPE.run}"

# The Python of each engine; verbs without an engine run under Snakemake's own.
PY = {tool: interpreter(python, RECIPE.environment) for tool, python in RECIPE.tools.model_dump().items()}
PY["polaris"] = interpreter("python")

# What reruns a stage: its settings and code digest (params), its inputs. Not the raw text of a shell block, where a
# second blank would retrain a model. The class is patched because this must hold for a bare `snakemake`, too, which
# reads no profile; --rerun-triggers can still narrow it.
type(workflow).rerun_triggers = property(
    lambda self: frozenset(self.dag_settings.rerun_triggers) & {RerunTrigger.MTIME, RerunTrigger.PARAMS, RerunTrigger.INPUT}
)


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


wildcard_constraints:
    set="[A-Za-z0-9_-]+",
    benchmark="[A-Za-z0-9_-]+",
    model="[A-Za-z0-9_=.@-]+",
    alpha=r"0\.\d+",
