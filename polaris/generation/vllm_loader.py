"""vLLM's loading of a model from safetensors, with the sentinel beside it: load format `polaris`.

Whatever process loads weights must have imported this module; vLLM's workers do so as they are told to by name
(`worker_extension_cls`), which is the one thing that EngineArgs hands to all of them.
"""

import dataclasses
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from vllm.model_executor.layers.fused_moe.runner.moe_runner import MoERunner
from vllm.model_executor.model_loader import register_model_loader
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

from polaris.generation.vllm_sentinel import Sentinel, watches

FORMAT = "polaris"


class WorkerExtension:
    """What the engine may ask of its workers: which experts a mixture's layers choose for the next tokens."""

    model_runner: Any  # of vLLM's worker, which this class extends

    def record_experts(self) -> None:
        """From now on, in place of what was recorded before."""
        runners = [module for module in self.model_runner.get_model().modules() if isinstance(module, MoERunner)]
        self._chosen: list[list[list[int]]] = [[] for _ in runners]
        for chosen, runner in zip(self._chosen, runners, strict=True):
            runner.router.set_capture_fn(lambda experts, chosen=chosen: chosen.extend(experts.tolist()))

    def recorded_experts(self) -> list[list[list[int]]]:
        """Experts by token and layer since `record_experts`; recording ends."""
        for module in self.model_runner.get_model().modules():
            if isinstance(module, MoERunner):
                module.router.set_capture_fn(None)
        return [list(layers) for layers in zip(*self._chosen, strict=True)]


EXTENSION = f"{WorkerExtension.__module__}.{WorkerExtension.__qualname__}"


@register_model_loader(FORMAT)
class WatchedLoader(DefaultModelLoader):
    """Loads as vLLM does, and asks the loaded model for what it was given.

    Architectures that the sentinel does not know, and quantised weights, are loaded unasked. With `module` and
    `folder` in the extra configuration the weights come from that module's `weights(folder)`, and from no file.
    """

    def __init__(self, load_config: Any):
        self.made = load_config.model_loader_extra_config
        super().__init__(dataclasses.replace(load_config, load_format="safetensors", model_loader_extra_config={}))
        self.sentinel: Sentinel | None = None

    def get_all_weights(self, model_config: Any, model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.made:
            weights = importlib.import_module(self.made["module"]).weights(Path(self.made["folder"]))
        else:
            weights = super().get_all_weights(model_config, model)
        self.sentinel = Sentinel(model) if watches(model) and not model_config.quantization else None
        yield from self.sentinel.watched(weights) if self.sentinel else weights

    def load_model(self, *args: Any, **more: Any) -> torch.nn.Module:
        model = super().load_model(*args, **more)
        if self.sentinel:
            self.sentinel.ask()
        return model
