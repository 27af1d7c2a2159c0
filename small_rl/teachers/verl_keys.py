"""On-policy distillation as verl's Hydra values: its loss, and one entry of `teacher_models` for each model that reads.

verl places their engines on GPUs of their own, in the order of the entries. A leading "+" adds a key.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from small_rl.opd_settings import OpdTraining

GIB = 2**30
LOSS = ("loss_mode", "topk", "use_policy_gradient", "use_task_rewards", "distillation_loss_coef", "loss_max_clamp",
        "log_prob_min_clamp")  # fmt: skip
OURS = ("reward_scale", "delta")
BATCH = 2048  # tokens that a GPU reads at once: their logits, in float32 and twice, are outside vLLM's own share


def distillation_keys(settings: OpdTraining, models: Mapping[str, Path]) -> dict[str, Any]:
    """models: folder of each model of `settings.read`."""
    asked = settings.distillation
    values = {f"distillation.distillation_loss.{key}": getattr(asked, key) for key in LOSS}
    # Of one update per step the ratio is 1, and nothing is clipped.
    values |= {f"distillation.distillation_loss.clip_ratio_{end}": getattr(settings, f"clip_ratio_{end}")
               for end in ("low", "high")}  # fmt: skip
    values |= {
        "distillation.enabled": True,
        "distillation.nnodes": settings.teacher_nodes,
        "distillation.n_gpus_per_node": settings.teacher_gpus_per_node,
    }
    for name, tensor in settings.read.items():
        own = {"key": name, "model_path": models[name], "num_replicas": asked.engine.replicas}
        own |= {f"inference.{key}": value for key, value in _inference(settings, tensor).items()}
        values |= {f"+distillation.teacher_models.{name}.{key}": value for key, value in own.items()}
    return values | {f"+polaris.distillation.{key}": getattr(asked, key) for key in OURS}


def _inference(settings: OpdTraining, tensor: int) -> dict[str, Any]:
    """A RolloutConfig of verl, of which it takes the lengths of the student's rollouts and adds them up."""
    engine = settings.distillation.engine
    values = {
        "_target_": "verl.workers.config.RolloutConfig",
        "name": "vllm",
        "load_format": "auto",  # without it verl's entries beside `teacher_model` have random weights ("dummy")
        "dtype": engine.dtype,
        "tensor_model_parallel_size": tensor,
        "max_model_len": engine.max_model_len,
        "max_num_seqs": engine.max_num_seqs,
        "max_num_batched_tokens": max(BATCH, engine.max_num_seqs),
        "prompt_length": settings.max_prompt_length,
        "response_length": settings.max_response_length,
        "temperature": 1.0,
        "seed": settings.seed,
        "skip_tokenizer_init": True,
        "enable_prefix_caching": False,  # of no use to log-probabilities of the prompt
        "free_cache_engine": False,  # the GPUs are the teacher's alone: its engine never sleeps
        "enable_sleep_mode": False,
        "enforce_eager": True,  # it reads, and decodes one token that nobody uses
    }
    if engine.device == "cuda":
        return values | {"gpu_memory_utilization": engine.gpu_memory_utilization}
    values |= {"enable_chunked_prefill": False, "max_num_batched_tokens": max(8192, engine.max_model_len)}
    own = {"distributed_executor_backend": "uni", "kv_cache_memory_bytes": int((engine.kv_cache_gib or 0) * GIB)}
    return values | {f"engine_kwargs.vllm.{key}": value for key, value in own.items()}
