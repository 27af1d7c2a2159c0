"""The recipe: one YAML file (plus overlays) -> one frozen object, or a sentence that names file and key.

Only the Snakefile and the commands of `polaris` import this file; a verb reads its own section and nothing else.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from large_sft.settings import LargeSft
from merge.alpha import spelled
from merge.settings import Merge
from polaris.evaluation.settings import Evaluate
from polaris.generation.settings import Generate
from polaris.models.settings import HubModel
from polaris.problems.settings import UNPINNED, Clean, HubProblems
from polaris.recipe.recipe_files import holder, like_others, merged, of_replicate, on_device, read_file, with_further
from polaris.recipe.settings import Inputs
from polaris.report.settings import Report
from polaris.stage.errors import UserError
from polaris.stage.settings import Device, Section, describe
from small_rl.settings import SmallRl

SELF = "_self"  # the arm whose generalist learns from its own traces


class Interpreters(Section):
    """The Python of each engine's environment, or the container's command that ends with it; `python`: Snakemake's
    own.
    """

    rl: str
    vllm: str
    megatron: str
    merge: str


class Recipe(Section):
    """Everything that a run does. No value has a default."""

    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="results lie in runs/<run>/")]
    replicate: Annotated[int, Field(ge=0, le=1000, description="other draws of everything but the benchmarks")]
    device: Device
    invalidate_on_code: Annotated[bool, Field(description="a changed module reruns its stages; false: only reported")]
    interpreters: Interpreters
    environment: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str],
        Field(description="variables of every engine: the cluster's network interfaces (NCCL_SOCKET_IFNAME, ...)"),
    ]
    inputs: Inputs
    clean: Annotated[dict[str, Clean], Field(description="training set -> which of its problems stay")]
    small_rl: SmallRl
    large_sft: Annotated[LargeSft | None, Field(description="null, with merge and inputs.base_large: no generalist")]
    merge: Merge | None
    evaluate: Evaluate
    report: Report

    @model_validator(mode="before")
    @classmethod
    def _everywhere_on_its_device(cls, values: Any) -> Any:
        return on_device(values, values["device"]) if isinstance(values, dict) and "device" in values else values

    @property
    def trained_on(self) -> list[str]:
        """Names of the problem sets that the stages use."""
        return [*(["format"] if self.small_rl.format_sft else []), "rl", *(["distill"] if self.large_sft else [])]

    @model_validator(mode="after")
    def _generalist_is_whole(self) -> "Recipe":
        parts = {
            "inputs.base_large": self.inputs.base_large,
            "small_rl.specialist": self.small_rl.specialist,
            "large_sft": self.large_sft,
            "merge": self.merge,
        }
        absent = [key for key, value in parts.items() if value is None]
        if absent and len(absent) < len(parts):
            given = [key for key in parts if key not in absent]
            raise ValueError(
                f"{absent[0]}: null, but {given[0]} is not; give {', '.join(parts)}, or null for all of them"
            )
        return self

    @model_validator(mode="after")
    def _sections_agree(self) -> "Recipe":
        _same_keys("inputs.problems", self.inputs.problems, dict.fromkeys([*self.trained_on, *self.small_rl.studied]))
        _same_keys("clean", self.clean, self.trained_on)
        _same_keys("evaluate.generate.k", self.evaluate.generate.k, self.inputs.benchmarks)
        _same_keys("small_rl.data.difficulty.k", self.small_rl.difficulty.k, ["rl"])
        if self.large_sft:
            _same_keys("large_sft.traces.k", self.large_sft.traces.k, ["distill"])
        if (self.inputs.teacher is None) != (self.small_rl.teacher is None):
            raise ValueError("inputs.teacher and small_rl.teacher: give both, or null for both")
        if self.small_rl.teacher:
            sets = self.small_rl.teacher_sets or self.small_rl.rl_data.consensus == "teacher"
            taught = {"format": self.small_rl.format_data, "rl": sets or self.small_rl.teacher_answers}
            if not any(taught.values()):
                raise ValueError("small_rl.teacher: must be null, as nothing asks for its answers")
            _same_keys("small_rl.teacher.k", self.small_rl.teacher.k, [name for name, asked in taught.items() if asked])
        if self.small_rl.probe and (rollouts := self.small_rl.probe.rollouts):
            _same_keys("small_rl.studies.probe.rollouts.generate.k", rollouts.generate.k, [rollouts.problems])
        for name, stage in self.small_rl.rl.items():
            if stage.overlap:
                _same_keys(f"small_rl.rl.{name}.overlap.generate.k", stage.overlap.generate.k, ["rl_data"])
            if stage.validation and stage.validation.benchmark not in self.inputs.benchmarks:
                raise ValueError(
                    f"small_rl.rl.{name}.validate.benchmark: {stage.validation.benchmark} is none of "
                    f"inputs.benchmarks; possible: {' '.join(self.inputs.benchmarks)}"
                )
        return self

    @model_validator(mode="after")
    def _selection_is_apart(self) -> "Recipe":
        benchmarks = self.inputs.benchmarks
        for name in self.select_on:
            if name not in benchmarks:
                raise ValueError(f"merge.select_on: {name} is none of inputs.benchmarks ({', '.join(benchmarks)})")
            if alike := [one for one in self.headline if benchmarks[one] == benchmarks[name]]:
                raise ValueError(f"merge.select_on: {name} has the problems of {alike[0]}, which is reported")
        if not self.headline:
            raise ValueError("merge.select_on: it names every benchmark, so that none is left to be reported")
        return self

    @model_validator(mode="after")
    def _passes_are_sampled(self) -> "Recipe":
        asked = {"generate": self.evaluate.generate} | {
            f"extra_evaluations.{name}": one for name, one in self.evaluate.extra_evaluations.items()
        }
        for where, samples in ((where, one.k) for where, one in asked.items()):
            for k in self.report.pass_k:
                if few := [name for name in samples if samples[name] < k]:
                    raise ValueError(
                        f"report.pass_k: pass@{k} needs as many samples; evaluate.{where}.k.{few[0]} is "
                        f"{samples[few[0]]}"
                    )
        return self

    @model_validator(mode="after")
    def _further_evaluations_are_others(self) -> "Recipe":
        for name, entry in self.evaluate.extra_evaluations.items():
            _same_keys(f"evaluate.extra_evaluations.{name}.k", entry.k, self.inputs.benchmarks)
            if unknown := [model for model in entry.models if model not in self.checkpoints]:
                possible = " ".join(self.checkpoints)
                raise ValueError(
                    f"evaluate.extra_evaluations.{name}.models: {unknown[0]} is no evaluated model; "
                    f"possible: {possible}"
                )
            if not entry.changes(self.evaluate.generate):
                raise ValueError(f"evaluate.extra_evaluations.{name}: it asks in no other way than evaluate.generate")
        return self

    @model_validator(mode="after")
    def _large_engine_has_a_model(self) -> "Recipe":
        if self.evaluate.large_engine and not self.large_sft:
            raise ValueError("evaluate.large_engine: must be null, as there is no large model (large_sft is null)")
        return self

    @model_validator(mode="after")
    def _graded_problems_have_golds(self) -> "Recipe":
        for name, benchmark in self.inputs.benchmarks.items():
            if getattr(benchmark, "gold", "every") != "every":
                raise ValueError(f"inputs.benchmarks.{name}.gold: must be every, since every response is graded")
        for name in self.small_rl.studied:
            gold = getattr(self.inputs.problems[name], "gold", "every")
            cleaned = name in self.clean and "no_gold" in self.clean[name].unsuitable
            if gold == "none" or (gold == "some" and not cleaned):
                raise ValueError(
                    f"inputs.problems.{name}.gold: {gold}, but temperature_search or probe grades all of them"
                )
        for name in self.trained_on:
            gold, rules = getattr(self.inputs.problems[name], "gold", "every"), self.clean[name].unsuitable
            graded = name != "distill" or (self.large_sft and self.large_sft.sft_data.verify == "gold")
            if gold == "none" and graded:
                why = "with large_sft.sft_data.verify: gold, " if name == "distill" else ""
                raise ValueError(f"inputs.problems.{name}.gold: none, but {why}these problems are graded")
            if gold == "none" and "no_gold" in rules:
                raise ValueError(f"clean.{name}.unsuitable: no_gold drops every problem, as their gold is none")
            if gold == "some" and graded and "no_gold" not in rules:
                raise ValueError(
                    f"clean.{name}.unsuitable: no_gold is missing, but only some of these problems have one"
                )
        return self

    @property
    def checkpoints(self) -> dict[str, str]:
        """Every evaluated model in the order of the flow: name -> its folder inside the run."""
        single = [*self.specialists, *self.generalists, *(f"distilled{arm}" for arm in self.arms if arm)]
        merged = [spelled(alpha) for alpha in self.merge.alphas if 0 < alpha < 1] if self.merge else []
        folders = {f"alpha={alpha}{arm}": f"merged{arm}/alpha={alpha}" for arm in self.arms for alpha in merged}
        return {name: name for name in single} | folders

    @property
    def evaluations(self) -> dict[str, tuple[str, Generate]]:
        """What is evaluated -> the checkpoint, and how it is asked: each as the others, some once more as
        <checkpoint>@<entry>.
        """
        once = {name: (name, self._asked(name, self.evaluate.generate)) for name in self.checkpoints}
        again = {
            f"{model}@{entry}": (model, self._asked(model, asked.generate))
            for entry, asked in self.evaluate.extra_evaluations.items()
            for model in asked.models
        }
        return once | again

    def _asked(self, model: str, asked: Generate) -> Generate:
        """With the large model's engine where that is another; an entry with an engine of its own means it."""
        engine = self.evaluate.large_engine
        if engine is None or model in self.specialists or asked.engine != self.evaluate.generate.engine:
            return asked
        return asked.model_copy(update={"engine": engine})

    @property
    def arms(self) -> dict[str, str]:
        """What the names of a distillation's stages end with -> whose traces it learns from; the first is the
        recipe's.
        """
        if not self.large_sft:
            return {}
        return {"": self.small_rl.specialist} | ({SELF: "base_large"} if self.large_sft.self_distillation else {})

    @property
    def specialists(self) -> list[str]:
        """The small model's checkpoints."""
        taught = ["teacher_sft"] if self.small_rl.teacher_sft else []
        return [*self.small_rl.starts, *self.small_rl.rl, *taught]

    @property
    def generalists(self) -> list[str]:
        """The large model's checkpoints before the merge."""
        return ["base_large", "distilled"] if self.large_sft else []

    @property
    def alphas(self) -> dict[str, str]:
        """Alpha -> the model at that alpha. The endpoints are the generalist's own checkpoints, never copies."""
        return self.alphas_of("")

    def alphas_of(self, arm: str) -> dict[str, str]:
        """`alphas` of one of `arms`; empty without it."""
        ends = {"0.00": f"distilled{arm}", "1.00": "base_large"}
        names = sorted((spelled(alpha) for alpha in self.merge.alphas), key=float) if arm in self.arms else []
        return {name: ends.get(name, f"alpha={name}{arm}") for name in names}

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
        sources = {
            "base_small": self.inputs.base_small,
            "base_large": self.inputs.base_large,
            "teacher": self.inputs.teacher,
            **{f"problems.{name}": source for name, source in self.inputs.problems.items()},
            **{f"benchmarks.{name}": source for name, source in self.inputs.benchmarks.items()},
        }
        hub = {key: s for key, s in sources.items() if isinstance(s, (HubModel, HubProblems))}
        return [f"inputs.{key}" for key, source in hub.items() if source.revision == UNPINNED]


def _same_keys(where: str, given: Iterable[str], wanted: Iterable[str]) -> None:
    if set(given) != set(wanted):
        raise ValueError(f"{where}: must have exactly the keys {', '.join(wanted)}, not {', '.join(given)}")


def load(files: Iterable[str | Path], extra: dict[str, Any] | None = None) -> Recipe:
    """The recipe of one file and its overlays, in order (`extra`: values of --config).

    Raises UserError with one line per wrong key, each naming the file that holds it.
    """
    read = {str(file): read_file(file) for file in files}
    values: dict[str, Any] = {}
    for content in [*read.values(), extra or {}]:
        values = merged(values, content)
    try:
        return Recipe.model_validate(of_replicate(with_further(like_others(values, read))))
    except ValidationError as error:
        lines = []
        for line in describe(error, "\0").splitlines():
            key, _, message = line.removeprefix("\0: ").partition(": ")
            # Where sections disagree, the key that is to blame begins the message.
            blamed = message.removeprefix("Value error, ").partition(":")[0]
            section = "" if key == "(section)" else key + "."
            lines.append(line.replace("\0", holder(read, section + blamed), 1))
        raise UserError("\n".join(lines)) from None
