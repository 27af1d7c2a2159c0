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
from vllm.model_executor.model_loader import register_model_loader
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

from polaris.generation.vllm_sentinel import Sentinel, watches

FORMAT = "polaris"


class WorkerExtension:
    """Nothing: that vLLM's workers look it up imports this module."""


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
            self.sentinel.check()
        return model
