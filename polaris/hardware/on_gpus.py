"""Sizes of every part of a recipe on GPUs: the arithmetic of engines, actors and layouts, part by part."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from large_sft.settings import Sft
from polaris.generation.settings import Engine
from polaris.hardware import actors, engines
from polaris.hardware.fastest import fastest, least
from polaris.hardware.memory import GIB
from polaris.hardware.nearest import nearest
from polaris.hardware.opd_sizes import opd_sizes
from polaris.hardware.parts import FORMATS, GATE, OPD, RL, SFT, USUAL, Key, Parts
from polaris.hardware.settings import Hardware
from polaris.stage.errors import UserError
from small_rl.format_settings import FormatSft
from small_rl.opd_settings import OpdStage
from small_rl.settings import RlStage

OWN: tuple[str, ...] = ("nodes", "gpus_per_node", "max_tokens_per_gpu")  # sizes of an RL stage besides its engine's
# One process. Its values are the smallest that each key may have.
LAYOUT = {"gpus_per_node": 1, "nodes": 1, "tensor": 1, "pipeline": 1, "expert": 1, "expert_tensor": 1, "context": 1,
          "virtual_pipeline": 1, "first_layers": None, "last_layers": None}  # fmt: skip


class OnGpus:
    """Fills `sizes`, key -> value. A part whose other values are wrong gets the smallest: the recipe's own checks say
    what is wrong.
    """

    def __init__(self, parts: Parts, hardware: Hardware):
        self.parts, self.hardware = parts, hardware
        self.sizes: dict[Key, Any] = {("device",): "cuda"}
        for place, names in parts.engines():
            self._engine(place, names)
        for place in parts.like_usual():
            self._put(place, {key: self.sizes[*USUAL, key] for key in engines.smallest(hardware)})
        for place in FORMATS:
            if parts.part(place):
                self._format(place)
        for name in parts.part(RL):
            self._rl(name)
        for name in parts.part(OPD):
            self._opd(name)
        if parts.part(SFT):
            self._layout()
        parts.refuse_unknown()

    def _put(self, at: Key, sizes: Mapping[str, Any]) -> None:
        self.sizes |= {(*at, key): value for key, value in sizes.items()}

    def _engine(self, at: Key, names: list[str]) -> None:
        alone, start = at == GATE, engines.smallest(self.hardware)
        start |= {"replicas": 1} if alone else {}
        fixed, engine = self.parts.by_hand(at, start), self.parts.parsed(Engine, at, start)
        self._put(at, start)
        if engine is None or not _open(fixed, [key for key in start if key != "gpu_memory_utilization"]):
            return
        shapes = self.parts.shapes(names, at)
        models = list(shapes.values())
        if not models:
            return
        if found := engines.sizes(engine, models, self.hardware, fixed, alone=alone):
            self._put(at, found)
            return
        name, shape = max(shapes.items(), key=lambda pair: pair[1].weights)
        need = engines.need(engine, shape, self.hardware, fixed, alone=alone)
        self._refuse(name, at, need, lambda other: engines.sizes(engine, models, other, fixed, alone=alone) is not None)

    def _format(self, at: Key) -> None:
        start = {"gpus_per_node": 1}
        settings = self.parts.parsed(FormatSft, at, start)
        self._put(at, start)
        if settings is None or not _open(self.parts.by_hand(at, start), start):
            return
        for name, shape in self.parts.shapes(["base_small"], at).items():
            if gpus := actors.format_gpus(settings, shape, self.hardware):
                self._put(at, {"gpus_per_node": gpus})
                continue
            gpus, tokens = self.hardware.gpus_per_node, settings.micro_batch * settings.max_tokens
            need = self._on_all(actors.format_need(settings, shape, gpus), f"passes of {tokens} tokens")
            self._refuse(
                name, at, need, lambda other, shape=shape: actors.format_gpus(settings, shape, other) is not None
            )

    def _rl(self, name: str) -> None:
        at, start = (*RL, name), engines.smallest(self.hardware) | {"replicas": 1}
        inner, ones = (*at, "engine"), dict.fromkeys(OWN, 1)
        own, rollouts = self.parts.by_hand(at, OWN), self.parts.by_hand(inner, start)
        stage = self.parts.parsed(RlStage, at, {**ones, "engine": self.parts.part(inner) | start})
        self._put(at, ones)
        self._put(inner, start)
        hand = own | {f"engine.{key}": value for key, value in rollouts.items()}
        if stage is None or not _open(hand, [*OWN, *(f"engine.{key}" for key in start)]):
            return
        for model, shape in self.parts.shapes(["base_small"], at).items():
            found = actors.rl_sizes(stage, shape, self.hardware, own, rollouts)
            if found:
                self._put(at, found[0])
                self._put(inner, found[1])
                continue
            need = actors.rl_need(stage, shape, self.hardware)
            self._refuse(
                model,
                at,
                self._on_all(need, f"sequences of {actors.longest(stage)} tokens"),
                lambda other, shape=shape: actors.rl_sizes(stage, shape, other, own, rollouts) is not None,
            )

    def _opd(self, name: str) -> None:
        """Its teacher's engines, and as `_rl` on the GPUs that these leave."""
        at, start = (*OPD, name), engines.smallest(self.hardware) | {"replicas": 1}
        teaching = self.parts.part((*at, "distillation"))
        places = {at: dict.fromkeys(OWN, 1), (*at, "engine"): start}
        places[*at, "distillation", "engine"] = start | {"replicas": teaching.get("nodes") or 1}
        hand = {place: self.parts.by_hand(place, sizes) for place, sizes in places.items()}
        for place, sizes in places.items():
            self._put(place, sizes)
        own, inner, other = places
        asked = {"engine": self.parts.part(inner) | start}
        asked["distillation"] = teaching | {"engine": self.parts.part(other) | places[other]}
        stage = self.parts.parsed(OpdStage, at, places[own] | asked)
        given = {(*place, key): value for place, sizes in hand.items() for key, value in sizes.items()}
        if stage is None or not _open(given, [(*place, key) for place, sizes in places.items() for key in sizes]):
            return
        read = [self.parts.input(model) for model in (stage.teacher, stage.teacher_base) if model]
        shapes = list(self.parts.shapes(read, other).values())
        for model, shape in self.parts.shapes([self.parts.input(stage.student)], at).items():
            fits = lambda hardware, shape=shape: opd_sizes(stage, shapes, shape, hardware, *hand.values())
            if found := fits(self.hardware):
                for place, sizes in zip(places, found, strict=True):
                    self._put(place, sizes)
                continue
            need = self._on_all(
                actors.rl_need(stage, shape, self.hardware), f"sequences of {actors.longest(stage)} tokens"
            )
            self._refuse(model, at, f"{need}, beside its teacher's", lambda other, fits=fits: fits(other) is not None)

    def _layout(self) -> None:
        at = (*SFT, "layout")
        fixed = self.parts.by_hand(at, LAYOUT)
        # flex asks for several ranks of experts, which one process has not.
        settings = self.parts.parsed(Sft, SFT, {"layout": LAYOUT, "dispatcher": "alltoall"})
        self._put(at, LAYOUT)
        if settings is None or not _open(fixed, LAYOUT):
            return
        for name, shape in self.parts.shapes(["base_large"], at).items():
            if found := fastest(shape, settings, self.hardware, fixed):
                self._put(at, found.model_dump())
                continue
            gpus = self.hardware.nodes * self.hardware.gpus_per_node
            need = self._on_all(least(shape, settings, gpus), f"packs of {settings.seq_length} tokens")
            self._refuse(name, SFT, need, lambda other, shape=shape: bool(fastest(shape, settings, other, fixed)))

    def _on_all(self, need: float, of: str) -> str:
        has = f"{self.hardware} {'have' if self.hardware.nodes > 1 else 'has'} {self.hardware.kind.memory / GIB:.1f}"
        return f"needs {need / GIB:.1f} GiB per GPU for {of}, {has}"

    def _refuse(self, model: str, at: Key, need: str, fits: Callable[[Hardware], bool]) -> None:
        raise UserError(f"{self.parts.where}: {model} ({'.'.join(at)}) {need}; {nearest(self.hardware, fits)}")


def _open(fixed: Mapping[Any, Any], keys: Iterable[Any]) -> bool:
    """Whether a size is left to be found, and those that are given by hand are numbers to find it with."""
    numbers = all(isinstance(value, int | float) and value > 0 for value in fixed.values())
    return numbers and any(key not in fixed for key in keys)
