"""The parts of a recipe that hardware has a say in, in its plain values, before any of them is checked."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from polaris.hardware.model_shapes import called, known_shape, stage_of
from polaris.hardware.shapes import Shape
from polaris.models.settings import Model
from polaris.stage.errors import UserError
from polaris.stage.settings import Section

S = TypeVar("S", bound=Section)
Key = tuple[str, ...]

FORMATS: tuple[Key, ...] = (("small_rl", "format_sft"), ("small_rl", "teacher_sft"))
RL: Key = ("small_rl", "rl")
OPD: Key = ("opd",)
SFT: Key = ("large_sft", "sft")
GATE: Key = ("large_sft", "gate", "vllm")
USUAL: Key = ("evaluate", "generate", "engine")
LARGE: Key = ("evaluate", "large_engine")
FURTHER: Key = ("evaluate", "extra_evaluations")


class Parts:
    """A recipe's plain values, and which of them the hardware may decide.

    values: with the device in each section; free: whether a key is not given by hand; where: begins the messages
    """

    def __init__(self, values: Mapping[str, Any], free: Callable[[Key], bool], where: str):
        self.values, self.free, self.where = values, free, where
        self._unknown: dict[str, list[str]] = {}

    def part(self, at: Key) -> dict[str, Any]:
        """The mapping under a key; empty where there is none."""
        values: Any = self.values
        for key in at:
            values = values.get(key) if isinstance(values, Mapping) else None
        return values if isinstance(values, dict) else {}

    def by_hand(self, at: Key, keys: Iterable[str]) -> dict[str, Any]:
        """Those of the keys that are given by hand, with their values."""
        return {key: self.part(at)[key] for key in keys if not self.free((*at, key))}

    def parsed(self, section: type[S], at: Key, sizes: Mapping[str, Any]) -> S | None:
        """A part with these sizes; None where another of its values is wrong, which the recipe's checks will say."""
        try:
            return section.model_validate({**self.part(at), **sizes})
        except ValidationError:
            return None

    def shapes(self, names: Iterable[str], wanted: Key) -> dict[str, Shape]:
        """Shapes of those of the inputs that the recipe has, by what the models are called.

        wanted: the part that needs them. A model of unknown shape is left out, and kept for `refuse_unknown`.
        """
        found = {}
        for name in names:
            *group, own = name.split(".", 1)  # a model of `models` may have dots in its name
            source = self.part(("inputs", *group)).get(own)
            try:
                model = TypeAdapter(Model).validate_python(source)
            except ValidationError:
                continue
            folder = Path("runs") / str(self.values.get("run")) / stage_of(name) / "model"
            try:
                shape = known_shape(model, folder)
            except UserError as error:
                raise UserError(f"{self.where}: inputs.{name}: {error}") from None
            if shape is None:
                self._unknown.setdefault(called(model), []).append(".".join(wanted))
            else:
                found[called(model)] = shape
        return found

    def refuse_unknown(self) -> None:
        """Raises UserError where the shape of a model was asked for and nobody knows it."""
        for name, wanted in self._unknown.items():
            raise UserError(
                f"{self.where}: how large {name} is, is in no table here and in no cache; run `hf download {name} "
                f"config.json` where there is a network, or give the sizes by hand in {', '.join(wanted)}"
            )

    def engines(self) -> Iterator[tuple[Key, list[str]]]:
        """(place of each generating engine, the inputs whose models it serves); RL's rollouts are not among them."""
        small, large = ["base_small"], ["base_large"]
        both = small + (large if self.part(("large_sft",)).get("self_distillation") else [])
        further = self.part(("inputs", "models"))
        usual = small + [f"models.{name}" for name in further]
        given = self.part(("large_sft", "specialists")).values()
        writers = both + [f"models.{name}" for name in given if name in further]
        places = {
            ("small_rl", "teacher", "engine"): ["teacher"],
            ("small_rl", "difficulty", "engine"): small,
            **{(*RL, name, "overlap", "generate", "engine"): small for name in self.part(RL)},
            **{("small_rl", "temperature_search", name, "engine"): small for name in self._searches},
            ("small_rl", "probe", "rollouts", "generate", "engine"): small,
            ("large_sft", "traces", "engine"): writers,
            GATE: large,
            USUAL: usual + ([] if self.part(LARGE) else large),
            LARGE: large,
            **{place: self._evaluated(place[2]) for place in self._further if not self._like_usual(place)},
        }
        yield from ((place, models) for place, models in places.items() if self.part(place))

    def like_usual(self) -> list[Key]:
        """Engines of extra evaluations that are the usual one: the recipe's large models have theirs beside it."""
        return [place for place in self._further if self._like_usual(place)]

    @property
    def _searches(self) -> dict[str, Any]:
        return self.part(("small_rl", "temperature_search"))

    @property
    def _further(self) -> list[Key]:
        places = [(*FURTHER, name, "engine") for name in self.part(FURTHER)]
        return [place for place in places if self.part(place)]

    def _like_usual(self, place: Key) -> bool:
        one, usual = (self.by_hand(at, self.part(at)) for at in (place, USUAL))
        return one == usual

    def _evaluated(self, name: str) -> list[str]:
        """Inputs from which the models of an extra evaluation come."""
        models = self.part((*FURTHER, name)).get("models")
        return [self.input(str(model)) for model in models] if isinstance(models, list) else []

    def input(self, model: str, seen: tuple[str, ...] = ()) -> str:
        """The key below `inputs` of the model that a model of the recipe was trained from."""
        student = self.part((*OPD, model)).get("student")
        if isinstance(student, str) and model not in seen:
            return self.input(student, (*seen, model))
        if model in self.part(("inputs", "models")):
            return f"models.{model}"
        return "base_large" if model.startswith(("base_large", "distilled", "alpha=", "soup=")) else "base_small"
