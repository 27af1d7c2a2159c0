"""A vLLM on a CPU whose weights are exchanged while it runs, rightly and wrongly; run by test_weights_sentinel.py.

    python -m tests.parity.vllm_weights <folder of model_0, model_1, model_2> <out.json>

Each finding: what the sentinel said, and how far vLLM's log-probabilities are from transformers' of the weights sent.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from polaris.generation.settings import Engine
from polaris.generation.vllm_engine import leave
from polaris.generation.vllm_log_probs import ScoringEngine

TEXT = [5, 17, 99, 3, 200, 150, 7, 8, 44, 61, 280, 11]
ENGINE = {
    "device": "cpu",
    "dtype": "float32",
    "max_model_len": 128,
    "max_num_seqs": 4,
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "nodes": 1,
    "kv_cache_dtype": "auto",
    "kv_cache_gib": 0.1,
    "gpu_memory_utilization": None,
    "replicas": 1,
    "yarn": None,
}
Weights = dict[str, torch.Tensor]


def transformers_log_probs(model: Path) -> torch.Tensor:
    made: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = made(torch.tensor([TEXT])).logits[0].log_softmax(-1)
    return logits[:-1].gather(1, torch.tensor(TEXT[1:])[:, None])[:, 0]


def fused(weights: Weights) -> Weights:
    """A mixture's experts as transformers 5 holds them: one tensor for all."""
    found = {name: tensor for name, tensor in weights.items() if ".experts." not in name}
    for layer in sorted({name.split(".experts.")[0] for name in weights if ".experts." in name}):
        count = len({name for name in weights if name.startswith(f"{layer}.experts.")}) // 3
        part = lambda kind, i, layer=layer: weights[f"{layer}.experts.{i}.{kind}_proj.weight"]
        gate_up = [torch.cat([part("gate", i), part("up", i)]) for i in range(count)]
        found[f"{layer}.experts.gate_up_proj"] = torch.stack(gate_up)
        found[f"{layer}.experts.down_proj"] = torch.stack([part("down", i) for i in range(count)])
    return found


def stale(pattern: str) -> Callable[[str, Weights, Weights], str | torch.Tensor]:
    """A fault: tensors whose name has `pattern` are not the new ones."""
    return lambda name, old, new: (old if pattern in name else new)[name]


def swapped(name: str, old: Weights, new: Weights) -> torch.Tensor:
    """A fault: q and k of the second layer change places."""
    other = {"1.self_attn.q_proj": "1.self_attn.k_proj", "1.self_attn.k_proj": "1.self_attn.q_proj"}
    for one, two in other.items():
        if one in name:
            return new[name.replace(one, two)]
    return new[name]


class Exchange:
    """The engine, and what was sent to it last."""

    def __init__(self, engine: ScoringEngine, folder: Path):
        self.engine, self.folder, self.now = engine, folder, 0
        self.runner = engine._engine.model_executor.driver_worker.worker.model_runner

    def weights(self, number: int) -> Weights:
        return load_file(self.folder / f"model_{number}" / "model.safetensors")

    def apart(self, number: int) -> float:
        """Largest difference of vLLM's log-probabilities from those of transformers."""
        ours = torch.tensor(self.engine.log_probs([TEXT])[0])
        return float((ours - transformers_log_probs(self.folder / f"model_{number}")).abs().max())

    def send(self, number: int, fault: Any = None, form: Any = None, mended: bool = True) -> dict[str, Any]:
        """Send model `number`, with a fault between the sentinel and vLLM."""
        from polaris.generation import vllm_reload, vllm_sentinel

        new, old = self.weights(number), self.weights(self.now)
        self.now = number
        said = "nothing"
        try:
            if not mended:
                sentinel = vllm_sentinel.Sentinel(self.runner.get_model())
                self.runner.reload_weights(weights_iterator=sentinel.watched(new.items()))
                sentinel.check()
            elif fault is None:
                vllm_reload.reload(self.runner, (form(new) if form else new).items(), number)
            else:
                with planted(fault, old, new):
                    vllm_reload.reload(self.runner, new.items(), number)
        except vllm_sentinel.OtherWeightsError as error:
            said = str(error)
        return {"said": said, "apart": self.apart(number)}


class planted:
    """While open, what passes the sentinel reaches vLLM with a fault."""

    def __init__(self, fault: Any, old: Weights, new: Weights):
        self.fault, self.old, self.new = fault, old, new

    def __enter__(self) -> None:
        from polaris.generation.vllm_sentinel import Sentinel

        self.original = Sentinel.watched
        original, fault, old, new = self.original, self.fault, self.old, self.new

        def watched(sentinel: Sentinel, weights: Any) -> Iterator[tuple[str, torch.Tensor]]:
            for name, tensor in original(sentinel, weights):
                yield name, fault(name, old, new) if name in new else tensor

        Sentinel.watched = watched

    def __exit__(self, *error: object) -> None:
        from polaris.generation.vllm_sentinel import Sentinel

        Sentinel.watched = self.original


def main() -> None:
    folder, out = map(Path, sys.argv[1:])
    found: dict[str, Any] = {}
    with ScoringEngine(folder / "model_0", Engine.model_validate(ENGINE), folder / "vllm.log") as engine:
        exchange = Exchange(engine, folder)
        found["loaded"] = {"said": "nothing", "apart": exchange.apart(0)}
        found["first"], found["second"] = exchange.send(1), exchange.send(2)
        found["swapped"] = exchange.send(1, swapped)
        if any(".experts." in name for name in exchange.weights(0)):
            found["fused"] = exchange.send(2, form=fused)
            found["stale"] = exchange.send(1, stale("layers.1.mlp.experts.2."))
        else:
            found["stale"] = exchange.send(2, stale("layers.1.mlp.down_proj"))
        found["again"] = exchange.send(0)
        found["unmended"] = exchange.send(1, mended=False)
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
    leave()
