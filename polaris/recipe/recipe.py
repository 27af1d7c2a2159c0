"""The recipe: one YAML file (plus overlays) -> one frozen object, or a sentence that names file and key.

Only the Snakefile and the commands of `polaris` import this file; a verb reads its own section and nothing else.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from large_sft.settings import LargeSft
from merge.alpha import SOUP, spelled
from merge.settings import Merge
from polaris.evaluation.settings import Evaluate
from polaris.generation.settings import Generate
from polaris.hardware.settings import GpusOrCpu
from polaris.models.settings import HubModel
from polaris.problems.settings import UNPINNED, Clean, HubProblems
from polaris.recipe import checks, named
from polaris.recipe.layers import (
    Key,
    Origin,
    catalogue,
    given,
    inherited,
    layered,
    listed,
    origin_of,
    placed,
    read_layer,
    without_nulls,
)
from polaris.recipe.on_hardware import expanded
from polaris.recipe.recipe_files import like_others, of_replicate, on_device, with_further, with_samples, without_unused
from polaris.recipe.settings import Inputs
from polaris.report.settings import Report
from polaris.stage.errors import UserError
from polaris.stage.settings import Device, Section, describe
from small_rl.opd_settings import OpdStage
from small_rl.settings import RlStage, SmallRl

SELF = "_self"  # the arm whose generalist learns from its own traces


class Interpreters(Section):
    """The Python of each engine's environment, or the container's command that ends with it; `python`: Snakemake's
    own.
    """

    rl: str
    vllm: str
    megatron: str
    merge: str


class Traces(NamedTuple):
    """What one model writes for one arm of the distillation: its responses to the prompts of some sets."""

    arm: str
    writer: str
    sets: list[str]


class Recipe(Section):
    """Everything that a run does. No value has a default."""

    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="results lie in runs/<run>/")]
    replicate: Annotated[int, Field(ge=0, le=1000, description="other draws of everything but the benchmarks")]
    hardware: Annotated[
        GpusOrCpu | None, Field(description="what sizes and layouts are computed from; null: all are given by hand")
    ]
    device: Device
    invalidate_on_code: Annotated[bool, Field(description="a changed module reruns its stages; false: only reported")]
    interpreters: Interpreters
    environment: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str],
        Field(
            default_factory=dict,
            description="variables of every engine: the cluster's network interfaces (NCCL_SOCKET_IFNAME, ...)",
        ),
    ]
    inputs: Inputs
    clean: Annotated[
        dict[str, Clean], Field(default_factory=dict, description="training set -> which of its problems stay")
    ]
    small_rl: Annotated[SmallRl | None, Field(description="null: no RL; inputs.base_small is the specialist")]
    large_sft: Annotated[LargeSft | None, Field(description="null: no generalist is trained")]
    merge: Merge | None
    opd: Annotated[
        dict[str, OpdStage],
        Field(default_factory=dict, description="on-policy distillations, in order; a student may be an earlier one"),
    ]
    evaluate: Evaluate
    report: Report

    @model_validator(mode="before")
    @classmethod
    def _everywhere_on_its_device(cls, values: Any) -> Any:
        return on_device(values, values["device"]) if isinstance(values, dict) and "device" in values else values

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        for check in checks.CHECKS:
            check(self)
        return self

    @property
    def trained_on(self) -> list[str]:
        """Names of the problem sets that the stages use."""
        small = [*(["format"] if self.small_rl.format_sft else []), "rl"] if self.small_rl else []
        taught = [*(self.large_sft.prompts if self.large_sft else []), *(stage.prompts for stage in self.opd.values())]
        return list(dict.fromkeys([*small, *taught]))

    @property
    def studied(self) -> list[str]:
        """Problem sets of the temperature searches and of the probe."""
        return self.small_rl.studied if self.small_rl else []

    @property
    def rl(self) -> dict[str, RlStage]:
        """The RL stages, in order."""
        return self.small_rl.rl if self.small_rl else {}

    @property
    def checkpoints(self) -> dict[str, str]:
        """Every evaluated model in the order of the flow: name -> its folder inside the run."""
        single = [*self.specialists, *self.generalists, *(f"distilled{arm}" for arm in self.arms if arm)]
        folders = {name: name for name in single}
        for arm in self.arms:
            folders |= self.merged(arm)
        for name in self.opd:
            folders |= {name: name} | self.merged(f"_{name}")
        further = {name: f"models/{name}" for name in self.inputs.models}
        return folders | further | {name: f"merged/{name}" for name in self.soups}

    def source(self, model: str) -> str:
        """The model of `inputs` that a checkpoint was trained from, by its folder: whose shape it has."""
        if model in self.opd:
            return self.source(self.opd[model].student)
        if model in self.inputs.models:
            return f"models/{model}"
        return "base_small" if model in self.specialists else "base_large"

    @property
    def evaluations(self) -> dict[str, tuple[str, Generate]]:
        """Evaluation -> its checkpoint and how it generates: every checkpoint by its name, and <checkpoint>@<entry> of
        `evaluate.extra_evaluations`.
        """
        usual = {name: (name, self._generate(name, self.evaluate.generate)) for name in self.checkpoints}
        extra = {
            f"{model}@{name}": (model, self._generate(model, entry.generate))
            for name, entry in self.evaluate.extra_evaluations.items()
            for model in entry.models
        }
        return usual | extra

    def _generate(self, model: str, section: Generate) -> Generate:
        """With the large model's engine where that is another; an entry with an engine of its own means it."""
        engine = self.evaluate.large_engine
        if engine is None or self.source(model) != "base_large" or section.engine != self.evaluate.generate.engine:
            return section
        return section.model_copy(update={"engine": engine})

    @property
    def arms(self) -> list[str]:
        """What the names of a distillation's stages end with; the first is the recipe's."""
        own = [SELF] if self.large_sft and self.large_sft.self_distillation else []
        return ["", *own] if self.generalists else []

    @property
    def sweeps(self) -> dict[str, str]:
        """What the names of a sweep's merges end with -> the model that is merged with the base: of each arm, and of
        the OPD stages in `merge.after`.
        """
        after = self.merge.after if self.merge else []
        return {arm: f"distilled{arm}" for arm in self.arms} | {f"_{name}": name for name in after}

    def merged(self, sweep: str) -> dict[str, str]:
        """The merges of one of `sweeps`, without its ends: name -> folder; empty without it."""
        alphas = self.merge.alphas if self.merge and sweep in self.sweeps else []
        names = [spelled(alpha) for alpha in alphas if 0 < alpha < 1]
        return {f"alpha={name}{sweep}": f"merged{sweep}/alpha={name}" for name in names}

    @property
    def traces(self) -> dict[str, Traces]:
        """Traces by their folder. Without any, the generalist learns worked solutions, or was trained elsewhere."""
        large = self.large_sft
        if not large or not large.traces:
            return {}
        folders = {}
        for name in large.prompts:
            writer = large.specialists.get(name, self.specialist)
            folder = "traces" if writer == self.specialist else f"traces@{writer}"
            folders.setdefault(folder, Traces("", str(writer), [])).sets.append(name)
        own = {f"traces{SELF}": Traces(SELF, "base_large", large.prompts)} if SELF in self.arms else {}
        return folders | own

    @property
    def specialist(self) -> str | None:
        """Who writes the traces: an RL stage, or a base_small that is trained already; None: nobody here."""
        if self.small_rl:
            return self.small_rl.specialist
        return "base_small" if self.inputs.base_small else None

    @property
    def specialists(self) -> list[str]:
        """The small model's checkpoints."""
        if not self.small_rl:
            return ["base_small"] if self.inputs.base_small else []
        taught = ["teacher_sft"] if self.small_rl.teacher_sft else []
        return [*self.small_rl.starts, *self.small_rl.rl, *taught]

    @property
    def generalists(self) -> list[str]:
        """The large model's checkpoints before the merge."""
        return ["base_large", "distilled"] if self.large_sft or self.inputs.distilled else []

    @property
    def alphas(self) -> dict[str, str]:
        """Alpha -> the model at that alpha. The endpoints are the generalist's own checkpoints, never copies."""
        return self.alphas_of("")

    def alphas_of(self, sweep: str) -> dict[str, str]:
        """`alphas` of one of `sweeps`; empty without it."""
        if not self.merge or sweep not in self.sweeps:
            return {}
        ends = {"0.00": self.sweeps[sweep], "1.00": "base_large"}
        names = sorted(map(spelled, self.merge.alphas), key=float)
        return {name: ends.get(name, f"alpha={name}{sweep}") for name in names}

    @property
    def soup(self) -> dict[str, str]:
        """Shares of `merge.soup` as spelled in paths -> the model by them."""
        return self.merge.soup.named(self.alphas) if self.merge and self.merge.soup else {}

    @property
    def soups(self) -> dict[str, dict[str, float]]:
        """Every model that is made for `merge.soup` alone -> what it averages and the shares, the base first."""
        soup = self.merge and self.merge.soup
        return {name: soup.parts(name) for name in self.soup.values() if name.startswith(SOUP)} if soup else {}

    @property
    def select_on(self) -> list[str]:
        """Benchmarks on which alpha is selected."""
        return self.merge.select_on if self.merge else []

    @property
    def headline(self) -> list[str]:
        """Benchmarks that are reported: nothing is selected on them."""
        return [name for name in self.inputs.benchmarks if name not in self.select_on]

    @property
    def selected(self) -> str | None:
        """The selected alpha as spelled in paths."""
        return spelled(self.merge.selected) if self.merge and self.merge.selected is not None else None

    def unpinned(self) -> list[str]:
        """Hub ids without a fixed revision, as dotted keys."""
        hub = {key: one for key, one in self.inputs.sources.items() if isinstance(one, (HubModel, HubProblems))}
        return [f"inputs.{key}" for key, source in hub.items() if source.revision == UNPINNED]


class Loaded(NamedTuple):
    """A recipe, and the file and line of every value that a file or --config gives."""

    recipe: Recipe
    origins: dict[Key, Origin]


def load(files: Iterable[str | Path], extra: dict[str, Any] | None = None) -> Recipe:
    """The recipe of one file and its overlays, in order (`extra`: values of --config).

    Raises UserError with one line per wrong key, each naming file and line.
    """
    return loaded(files, extra).recipe


def loaded(files: Iterable[str | Path], extra: dict[str, Any] | None = None) -> Loaded:
    """As `load`, with the origin of each value."""
    files = list(files)
    layer = listed(layered([catalogue(), *(read_layer(file) for file in files), given(extra or {}, "--config")]))

    def file_of(key: str) -> str:
        origin = origin_of(layer.origins, key)
        return origin.file if origin else str(next(iter(files), "recipe"))

    def own(key: str) -> bool:
        return file_of(key) in ("--config", *map(str, files))

    try:
        values = with_further(like_others(layer.values, file_of))
        origins = inherited(values, layer.values, layer.origins)
        whole = without_unused(without_nulls(named.resolved(values, file_of)), own)
        whole = of_replicate(with_samples(whole))
        whole, origins = expanded(whole, origins)
        return Loaded(Recipe.model_validate(whole), origins)
    except ValidationError as error:
        raise UserError(placed(describe(error, "\0", Recipe), layer.origins, file_of(""))) from None
