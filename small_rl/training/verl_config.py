"""Our settings as verl's Hydra overrides: with verl_keys.py of the teachers, the only place that knows its key names.

A leading "+" adds a key that verl reads but does not list in its YAML files.
"""

import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from polaris.stage.code import module_name
from polaris.stage.errors import UserError
from small_rl.format_settings import FormatSft
from small_rl.opd_settings import OpdTraining
from small_rl.rl_settings import Overlong, RlTraining
from small_rl.teachers.verl_keys import distillation_keys
from small_rl.training.verl_devices import BUCKET, ON_CPU, ON_GPU, SFT_ON_CPU, SFT_ON_GPU, bucket

GIB = 2**30


@dataclass(frozen=True)
class RlFiles:
    """Where an RL stage reads and writes.

    model: Hugging Face folder; data: verl's parquet; checkpoints, metrics, accuracy, validation: written and resumed,
    the last one with `validate` only; rollouts: folder of the store; consensus: consensus.parquet to start from, for
    reward: core; rescue_buffer: the teacher's, for rescue: teacher; benchmark: verl's parquet, for validate; teachers:
    model folders, for on-policy distillation
    """

    model: Path
    data: Path
    checkpoints: Path
    metrics: Path
    accuracy: Path
    validation: Path
    rollouts: Path
    consensus: Path | None = None
    rescue_buffer: Path | None = None
    benchmark: Path | None = None
    teachers: Mapping[str, Path] = field(default_factory=dict)


def hydra_overrides(folder: Path) -> list[str]:
    """Hydra's own files go to `folder`, not to the current directory."""
    return _overrides({"hydra.run.dir": folder / "hydra", "hydra.output_subdir": None})


def rl_overrides(
    settings: RlTraining,
    files: RlFiles,
    evaluate: bool = True,
    deadline: float | None = None,
    largest: int = 0,
) -> list[str]:
    """Overrides of verl's `ppo_trainer` for one RL stage (GRPO: no KL, no entropy term, no critic).

    settings: its temperature is a number; evaluate: with `validate`, before the first step of this launch; deadline:
    seconds since the epoch; training stops at a checkpoint before it; largest: elements of the model's largest tensor
    """
    values = _data(settings, files) | _actor(settings, files) | _rollout(settings) | _trainer(settings, files)
    values |= _ours(settings, files) | {"+polaris.deadline": deadline}
    values |= {"trainer.val_before_train": evaluate and settings.validation is not None}
    if isinstance(settings, OpdTraining):
        values |= distillation_keys(settings, files.teachers)
    if settings.engine.device == "cpu":
        values |= ON_CPU | {BUCKET: bucket(largest)}
        kv_cache = int((settings.engine.kv_cache_gib or 0) * GIB)  # never 0: the section demands it on a CPU
        values["+actor_rollout_ref.rollout.engine_kwargs.vllm.kv_cache_memory_bytes"] = kv_cache
    else:
        values |= ON_GPU
        values["actor_rollout_ref.rollout.gpu_memory_utilization"] = settings.engine.gpu_memory_utilization
    return _overrides(values)


def _data(settings: RlTraining, files: RlFiles) -> dict[str, Any]:
    return {
        "data.train_files": files.data,
        "data.val_files": files.benchmark if settings.validation else files.data,  # verl insists on one
        "data.val_max_samples": -1 if settings.validation else 1,
        "data.train_batch_size": settings.prompts_per_step,
        "data.max_prompt_length": settings.max_prompt_length,
        "data.max_response_length": settings.max_response_length,
        "data.truncation": "error",
        "data.shuffle": True,
        "data.seed": settings.seed,
        "data.dataloader_num_workers": 0,
    }


def _actor(settings: RlTraining, files: RlFiles) -> dict[str, Any]:
    normed = settings.loss_aggregation == "seq-mean-token-sum-norm"
    actor = {
        "strategy": "fsdp2",
        "ppo_mini_batch_size": settings.prompts_per_step // settings.updates_per_step,
        "use_dynamic_bsz": True,
        "ppo_max_token_len_per_gpu": settings.max_tokens_per_gpu,
        "clip_ratio_low": settings.clip_ratio_low,
        "clip_ratio_high": settings.clip_ratio_high,
        "loss_agg_mode": settings.loss_aggregation,
        "loss_scale_factor": settings.max_response_length
        if normed
        else None,  # else verl takes each micro-batch's longest
        "use_kl_loss": False,
        "entropy_coeff": 0,
        "grad_clip": settings.grad_clip,
        "optim.lr": settings.learning_rate,
        "optim.lr_scheduler_type": "constant",
        "optim.lr_warmup_steps_ratio": 0.0,
        "optim.betas": list(settings.betas),
        "optim.weight_decay": settings.weight_decay,
        "optim.clip_grad": settings.grad_clip,
        "data_loader_seed": settings.seed,
        "fsdp_config.seed": settings.seed,
        "fsdp_config.model_dtype": "fp32",  # master weights
        "checkpoint.save_contents": ["model", "optimizer", "extra", "hf_model"],
        "checkpoint.load_contents": ["model", "optimizer", "extra"],
    }
    values = {f"actor_rollout_ref.actor.{key}": value for key, value in actor.items()}
    values["+actor_rollout_ref.actor.fsdp_config.mixed_precision.param_dtype"] = settings.precision
    values["actor_rollout_ref.model.path"] = files.model
    if settings.precision == "fp16":
        values["actor_rollout_ref.model.external_lib"] = module_name("small_rl.training.verl_scaler")
    return values


def _rollout(settings: RlTraining) -> dict[str, Any]:
    engine = settings.engine
    rollout = {
        "name": "vllm",
        "dtype": engine.dtype,
        "n": settings.group_size,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
        "seed": settings.seed,
        "tensor_model_parallel_size": engine.tensor_parallel_size,
        "max_model_len": engine.max_model_len,
        "max_num_seqs": engine.max_num_seqs,
        # Without chunks vLLM wants at least a sequence of full length and one token of every sequence in a batch.
        "max_num_batched_tokens": max(8192, engine.max_model_len, engine.max_num_seqs),
        "calculate_log_probs": True,
    }
    if settings.validation:
        rollout |= {"val_kwargs.n": settings.validation.k, "val_kwargs.do_sample": True}
        rollout |= {f"val_kwargs.{name}": rollout[name] for name in ("temperature", "top_p", "top_k")}
    return {f"actor_rollout_ref.rollout.{key}": value for key, value in rollout.items()}


def _trainer(settings: RlTraining, files: RlFiles) -> dict[str, Any]:
    values = {
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": settings.std_normalization,
        "algorithm.use_kl_in_reward": False,
        "trainer.v1.trainer_mode": "sync",
        "trainer.device": settings.engine.device,
        "trainer.nnodes": settings.nodes,
        "trainer.n_gpus_per_node": settings.gpus_per_node,
        "trainer.logger": ["console", *(settings.loggers or [])],
        "trainer.project_name": "polaris",
        "trainer.experiment_name": files.metrics.parents[1].name,  # the stage's
        "trainer.total_epochs": settings.steps,  # an epoch has at least one step
        "trainer.total_training_steps": settings.steps,
        "trainer.save_freq": settings.save_every,
        "trainer.max_actor_ckpt_to_keep": 2,  # with 1, verl deletes the last one before it writes the next
        "trainer.test_freq": settings.validation.every if settings.validation else -1,
        "trainer.resume_mode": "auto",
        "trainer.default_local_dir": files.checkpoints,
    }
    return values


def _ours(settings: RlTraining, files: RlFiles) -> dict[str, Any]:
    """What our trainer and rollouts read and verl ignores; verl needs no reward workers."""
    values = {"reward.num_workers": 0, "+polaris.metrics": files.metrics, "+polaris.accuracy": files.accuracy}
    values |= {"+polaris.consensus": files.consensus, "+polaris.rescue_buffer": files.rescue_buffer}
    values |= {"+polaris.rescue": settings.rescue, "+polaris.nodes": settings.all_nodes}
    values["+polaris.max_response_length"] = settings.max_response_length
    values["+polaris.masked_from"] = settings.max_response_length if settings.truncation == "mask" else None
    values["+polaris.validation"] = files.validation
    values |= {"+polaris.rollout_store": settings.rollout_store, "+polaris.rollouts": files.rollouts}
    for name, section in (
        ("grading", settings.grading),
        ("core", settings.core),
        ("alarm", settings.alarm),
        ("substitution", settings.substitution),
        ("overlong", settings.truncation if isinstance(settings.truncation, Overlong) else None),
    ):
        entries = section.model_dump(exclude={"consensus"}) if section else {}
        values |= {f"+polaris.{name}.{key}": value for key, value in entries.items()} or {f"+polaris.{name}": None}
    return values


def logging_environment(settings: RlTraining, log: Path) -> dict[str, str]:
    """What keeps the loggers on this machine, in `log`, where this process's environment does not say otherwise.

    Keys stay in the environment that has them. Raises UserError for a logger that is not installed.
    """
    missing = [name for name in settings.loggers or [] if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"loggers: {missing[0]} is not installed beside verl; install it there, or leave it out")
    folder = log / "loggers"
    offline = {
        "wandb": {"WANDB_MODE": "offline", "WANDB_DIR": str(folder), "WANDB_SILENT": "true"},
        "swanlab": {"SWANLAB_MODE": "offline", "SWANLAB_LOG_DIR": str(folder)},
        "mlflow": {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"},
    }
    values = {key: value for name in settings.loggers or [] for key, value in offline[name].items()}
    if values:
        folder.mkdir(exist_ok=True)
    return {key: value for key, value in values.items() if key not in os.environ}


def polaris_settings(config: Any) -> Any:
    """What `_ours` put into verl's configuration (an omegaconf.DictConfig), as plain attributes.

    As attributes of the mapping itself, keys would be hidden by its methods: `core.update` was one.
    """
    from omegaconf import OmegaConf

    text = json.dumps(OmegaConf.to_container(config.polaris, resolve=True))
    return json.loads(text, object_hook=lambda section: SimpleNamespace(**section))


def save_interval(epochs: int, epoch_steps: int) -> int:
    """Steps between checkpoints: about four in all, and none at the end of an epoch but the last.

    verl resumes an epoch that is already over as an empty one, and then ends with an epoch too few.
    """
    steps = epochs * epoch_steps
    return next(
        every
        for every in range(-(-steps // 4), steps + 1)
        if not any(step % epoch_steps == 0 for step in range(every, steps, every))
    )


def sft_overrides(settings: FormatSft, model: Path, data: Path, checkpoints: Path, epoch_steps: int) -> list[str]:
    """Overrides of verl's `sft_trainer_engine` for the format SFT. epoch_steps: optimizer steps of one epoch."""
    values = {
        "data.train_files": data,
        "data.train_batch_size": settings.batch,
        "data.micro_batch_size_per_gpu": settings.micro_batch,
        "data.use_dynamic_bsz": False,
        "data.max_length": settings.max_tokens,
        "data.truncation": "error",
        "data.pad_mode": "no_padding",
        "data.num_workers": 0,
        "data.custom_cls.path": "pkg://" + module_name("small_rl.training.verl_chat_data"),
        "data.custom_cls.name": "ChatDataset",
        "model.path": model,
        "engine": "fsdp",
        "engine.strategy": "fsdp2",
        "engine.model_dtype": "fp32",
        "engine.seed": settings.seed,
        "+engine.mixed_precision.param_dtype": settings.precision,
        "optim.lr": settings.learning_rate,
        "optim.lr_scheduler_type": "cosine",
        "optim.lr_warmup_steps_ratio": settings.warmup,
        "trainer.device": settings.device,
        "trainer.nnodes": 1,
        "trainer.n_gpus_per_node": settings.gpus_per_node,
        "trainer.logger": ["console"],
        "trainer.project_name": "polaris",
        "trainer.experiment_name": "format",
        "trainer.seed": settings.seed,
        "trainer.total_epochs": settings.epochs,
        "trainer.total_training_steps": settings.epochs * epoch_steps,
        "trainer.save_freq": save_interval(settings.epochs, epoch_steps),
        "trainer.max_ckpt_to_keep": 2,
        "trainer.resume_mode": "auto",
        "trainer.default_local_dir": checkpoints,
        "checkpoint.save_contents": ["model", "optimizer", "extra", "hf_model"],
        "checkpoint.load_contents": ["model", "optimizer", "extra"],
    }
    return _overrides(values | (SFT_ON_CPU if settings.device == "cpu" else SFT_ON_GPU))


def _overrides(values: dict[str, Any]) -> list[str]:
    return [f"{key}={_literal(value)}" for key, value in values.items()]


def _literal(value: Any) -> str:
    """A value in Hydra's grammar: JSON for numbers, booleans, null and lists, quotes around any text."""
    if isinstance(value, Path | str):
        text = str(value)
        return text if text.replace("_", "").replace(".", "").isalnum() else json.dumps(text)
    return json.dumps(value)
