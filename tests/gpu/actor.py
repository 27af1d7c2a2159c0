"""verl's FSDP2 actor with the loss scaler of small_rl.training.verl_scaler: `python -m tests.gpu.actor JOB OUT`, both
JSON files.

JOB: {"model": folder, "device": "cpu" or "cuda", "precision": verl's param_dtype, "tokens": length of the one sequence,
"fused": with fused kernels or with all logits}. OUT has log-probabilities, the gradient norm of an update, times and
peaks.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GIB = 1 << 30
ALONE = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29531"}
OVERFLOW = 1e38  # times the loss: its gradient is no number in fp16


def build(job: dict[str, Any]) -> Any:
    """verl's engine for the model, as an RL stage has it."""
    from verl.trainer.config import CheckpointConfig
    from verl.workers.config import FSDPEngineConfig, FSDPOptimizerConfig, HFModelConfig
    from verl.workers.engine import EngineRegistry

    import small_rl.training.verl_scaler  # noqa: F401  registers our engine

    cuda, tokens, fused = job["device"] == "cuda", job["tokens"], job["fused"]
    model = HFModelConfig(
        path=job["model"],
        load_tokenizer=False,
        override_config={"attn_implementation": "sdpa"},
        use_remove_padding=cuda,
        use_fused_kernels=fused,
        fused_kernel_options={"impl_backend": "torch"},
        enable_gradient_checkpointing=cuda,
    )
    engine = FSDPEngineConfig(
        strategy="fsdp2",
        model_dtype="fp32",
        mixed_precision={"param_dtype": job["precision"]},
        use_torch_compile=False,
        use_fused_kernels=fused,
        max_token_len_per_gpu=tokens,
        infer_max_token_len_per_gpu=tokens,
    )
    made = EngineRegistry.new(
        model_type="language_model",
        backend="fsdp2",
        model_config=model,
        engine_config=engine,
        optimizer_config=FSDPOptimizerConfig(lr=1e-6, total_training_steps=10),
        checkpoint_config=CheckpointConfig(),
    )
    made.initialize()
    return made


def batch(job: dict[str, Any], vocabulary: int, **more: Any) -> Any:
    """One sequence of random tokens, as verl's trainers hand it to an engine."""
    import torch
    from verl.utils import tensordict_utils

    tokens = job["tokens"]
    ids = torch.randint(0, vocabulary, (tokens,), generator=torch.Generator().manual_seed(0))
    rows = {"input_ids": ids, "position_ids": torch.arange(tokens), "loss_mask": torch.ones(tokens, dtype=torch.long)}
    nested = {name: torch.nested.as_nested_tensor([row], layout=torch.jagged) for name, row in rows.items()}
    settings = {
        "use_remove_padding": job["device"] == "cuda",
        "use_dynamic_bsz": True,
        "max_token_len_per_gpu": tokens,
        "temperature": 1.2,
        "pad_token_id": 0,
        "use_fused_kernels": job["fused"],
    }
    return tensordict_utils.get_tensordict(nested, settings | more)


def measured(device: str, work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What `work` returns, with its seconds and, on a GPU, the peak of allocated memory in GiB."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    started = time.monotonic()
    result = work()
    if device == "cuda":
        torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() / GIB if device == "cuda" else 0.0
    return result, {"seconds": round(time.monotonic() - started, 2), "GiB": round(peak, 2)}


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Log-probabilities, an update, and on a GPU one whose gradients overflow."""
    engine = build(job)
    vocabulary = json.loads((Path(job["model"]) / "config.json").read_text())["vocab_size"]
    found: dict[str, Any] = {"engine": type(engine).__name__}
    with engine.eval_mode():
        asked = batch(job, vocabulary, calculate_entropy=True)
        seen, found["log_probs_cost"] = measured(job["device"], lambda: engine.infer_batch(asked))
    found["log_probs"] = seen["model_output"]["log_probs"].values().float().tolist()
    found["updates"] = [update(engine, job, vocabulary, factor) for factor in scales(engine)]
    return found


def scales(engine: Any) -> list[float]:
    """Factors of the loss: a plain update, and one that the loss scaler must leave out."""
    return [1.0, OVERFLOW] if engine.scaler is not None and engine.scaler.is_enabled() else [1.0]


def update(engine: Any, job: dict[str, Any], vocabulary: int, factor: float) -> dict[str, Any]:
    """One update with the loss times `factor`: cost, gradient norm, loss scale before and after, whether a weight
    moved.
    """
    import torch

    def loss(model_output: Any, data: Any, dp_group: Any = None) -> tuple[Any, dict]:
        return -(model_output["log_probs"].values() * factor).sum() / job["tokens"], {}

    weight = next(engine.module.parameters())
    local = weight.to_local() if hasattr(weight, "to_local") else weight
    with engine.train_mode():
        before, scale = local.detach().clone(), engine.scaler.get_scale() if engine.scaler else None
        done, cost = measured(job["device"], lambda: engine.train_batch(batch(job, vocabulary), loss))
        moved = not torch.equal(before, local.detach())
    norm = done["metrics"]["grad_norm"]
    after = engine.scaler.get_scale() if engine.scaler else None
    return {"cost": cost, "grad_norm": float(norm), "scale": [scale, after], "moved": moved}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    os.environ |= ALONE
    import torch.distributed as dist
    import verl  # noqa: F401  its plugin first

    dist.init_process_group("cpu:gloo,cuda:nccl" if job["device"] == "cuda" else "gloo")
    Path(sys.argv[2]).write_text(json.dumps(run(job)))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
