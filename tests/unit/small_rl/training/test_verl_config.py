"""Our overrides are keys that verl 0.9.1 knows: composed with verl's own YAML files, of a laptop and of a cluster."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.recipe import recipe
from polaris.stage.errors import UserError
from small_rl.reward.core import ConsensusSets, core_rewards
from small_rl.rl_settings import Overlong, Substitution, Validation
from small_rl.training import verl_config
from tests.helpers import opd
from tests.helpers.verl_stages import CONFIGS, FILES, recipe_files, rl_stage

VERL = importlib.util.find_spec("verl")


def compose(name, overrides):
    """verl's configuration with our overrides; an unknown key raises."""
    import hydra

    folder = str(Path(VERL.submodule_search_locations[0]) / "trainer" / "config")
    with hydra.initialize_config_dir(folder, version_base=None):
        return hydra.compose(name, overrides=overrides)


STAGES = [
    (path.stem, name)
    for path in sorted(CONFIGS.glob("*.yaml"))
    if path.stem != "evaluation"  # which is no recipe by itself
    for name in recipe.load(recipe_files(path.stem)).rl
]  # fmt: skip


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(("name", "stage"), STAGES, ids=lambda part: part)
@pytest.mark.slow
def test_every_rl_stage_of_every_recipe(name, stage, device):
    """Each key is verl's (an unknown one raises), and verl's dataclasses take the values."""
    from verl.utils.config import omega_conf_to_dataclass

    settings = rl_stage(name, stage)
    engine = {"device": device, "kv_cache_gib": 4.0, "gpu_memory_utilization": 0.8}
    settings = settings.model_copy(update={"engine": settings.engine.model_copy(update=engine)})
    config = compose("ppo_trainer", verl_config.rl_overrides(settings, FILES))
    assert config.trainer.device == device
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    rollout = omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    assert actor.loss_agg_mode == settings.loss_aggregation
    assert config.algorithm.norm_adv_by_std_in_grpo == settings.std_normalization
    assert not actor.use_kl_loss and not config.algorithm.use_kl_in_reward and actor.entropy_coeff == 0
    assert rollout.temperature == settings.temperature
    assert rollout.prompt_length + rollout.response_length <= rollout.max_model_len == settings.engine.max_model_len
    assert config.actor_rollout_ref.model.external_lib == (
        "small_rl.training.verl_scaler" if settings.precision == "fp16" else None
    )


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.slow
def test_teachers_as_verl_places_them(device):
    """Every key is verl's, and its dataclasses find pool, replicas and lengths in order."""
    from verl.utils.config import omega_conf_to_dataclass

    engine = {"device": device, "kv_cache_gib": 0.5, "gpu_memory_utilization": 0.8, "replicas": 2}
    settings = opd.training(distillation={"delta": True})
    distillation = settings.distillation.model_copy(
        update={"engine": settings.distillation.engine.model_copy(update=engine)}
    )
    settings = settings.model_copy(
        update={"engine": settings.engine.model_copy(update=engine | {"replicas": 1}), "distillation": distillation}
    )
    files = replace(FILES, teachers={name: Path(f"/a folder/{name}") for name in ("teacher", "base", "start")})
    config = compose("ppo_trainer", verl_config.rl_overrides(settings, files))
    theirs = omega_conf_to_dataclass(config.distillation)
    assert list(theirs.teacher_models) == ["teacher", "base", "start"]
    assert theirs.nnodes * theirs.n_gpus_per_node == 6 == settings.all_gpus_per_node - settings.gpus_per_node
    for name, model in theirs.teacher_models.items():
        assert (model.model_path, model.num_replicas) == (f"/a folder/{name}", 2)
        assert model.inference.load_format == "auto" and model.inference.max_model_len == 256
        longest = settings.max_prompt_length + settings.max_response_length
        assert (model.inference.prompt_length, model.inference.response_length) == (longest, 1)
        own = model.inference.engine_kwargs.get("vllm", {})
        assert own.get("kv_cache_memory_bytes") == (2**29 if device == "cpu" else None)


@pytest.mark.slow
def test_options_of_the_loss():
    changes = {"loss_aggregation": "seq-mean-token-sum-norm", "std_normalization": False, "truncation": "mask"}
    settings = rl_stage("laptop", "grpo").model_copy(update=changes)
    config = compose("ppo_trainer", verl_config.rl_overrides(settings, FILES))
    actor = config.actor_rollout_ref.actor
    assert (actor.loss_agg_mode, actor.loss_scale_factor) == ("seq-mean-token-sum-norm", settings.max_response_length)
    assert not config.algorithm.norm_adv_by_std_in_grpo and config.polaris.masked_from == settings.max_response_length
    plain = compose("ppo_trainer", verl_config.rl_overrides(rl_stage("laptop", "grpo"), FILES))
    assert plain.actor_rollout_ref.actor.loss_scale_factor is None and plain.polaris.masked_from is None
    assert plain.polaris.overlong is None
    paid = settings.model_copy(update={"truncation": Overlong(penalty=0.5, buffer=16)})
    config = compose("ppo_trainer", verl_config.rl_overrides(paid, FILES))
    assert dict(config.polaris.overlong) == {"penalty": 0.5, "buffer": 16} and config.polaris.masked_from is None
    assert config.polaris.max_response_length == settings.max_response_length


@pytest.mark.slow
def test_validation():
    """verl calls it at these steps and asks as the training does; without `validate` nothing of it is on."""
    off = rl_stage("laptop", "grpo")
    on = off.model_copy(update={"validation": Validation(benchmark="chain", k=3, every=4)})
    config = compose("ppo_trainer", verl_config.rl_overrides(on, FILES))
    asked, rollout = config.actor_rollout_ref.rollout.val_kwargs, config.actor_rollout_ref.rollout
    assert (asked.n, asked.do_sample) == (3, True) and rollout.n == on.group_size
    assert (asked.temperature, asked.top_p, asked.top_k) == (rollout.temperature, rollout.top_p, rollout.top_k)
    assert (config.trainer.test_freq, config.trainer.val_before_train) == (4, True)
    assert config.data.val_files == "/a folder/b" and config.data.val_max_samples == -1
    assert config.polaris.validation == "/a folder/v"
    later = compose("ppo_trainer", verl_config.rl_overrides(on, FILES, evaluate=False))
    assert not later.trainer.val_before_train
    config = compose("ppo_trainer", verl_config.rl_overrides(off, FILES))
    assert (config.trainer.test_freq, config.trainer.val_before_train, config.data.val_max_samples) == (-1, False, 1)


pytestmark = pytest.mark.skipif(VERL is None, reason="verl is not installed")


def test_laptop_rl():
    settings = rl_stage("laptop", "core")
    config = compose("ppo_trainer", verl_config.rl_overrides(settings, FILES))
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    assert actor.ppo_mini_batch_size * settings.updates_per_step == config.data.train_batch_size
    assert (actor.clip_ratio_low, actor.clip_ratio_high) == (settings.clip_ratio_low, settings.clip_ratio_high)
    assert actor.optim.lr == settings.learning_rate and list(actor.optim.betas) == list(settings.betas)
    assert actor.fsdp_config.mixed_precision.param_dtype == "fp32" and rollout.dtype == "float32"
    assert rollout.log_prob_max_token_len_per_gpu == actor.ppo_max_token_len_per_gpu == settings.max_tokens_per_gpu
    assert config.trainer.device == "cpu" and "address" not in config.ray_kwargs.ray_init
    assert config.trainer.default_local_dir == "/a folder/checkpoints"
    assert vars(verl_config.polaris_settings(config).core) == settings.core.model_dump(exclude={"consensus"})


@pytest.mark.parametrize(("update", "learned"), [("online", {"a", "b"}), ("frozen", {"a"})])
@pytest.mark.slow
def test_the_sets_learn_with_the_settings_that_verl_hands_on(update, learned):
    """verl's configuration is a mapping: its attribute `update` is a method, not our key."""
    settings = rl_stage("laptop", "core")
    settings = settings.model_copy(update={"core": settings.core.model_copy(update={"update": update})})
    given = verl_config.polaris_settings(compose("ppo_trainer", verl_config.rl_overrides(settings, FILES)))
    sets = ConsensusSets.from_rows([{"problem_id": "p", "step": "a", "count": 1}], given.core.min_support)
    core_rewards(["p"], [True], [["b"]], sets, sets.sizes(), given.core)
    assert sets.get("p") == learned


def test_rescue_and_substitution():
    changes = {"rescue": "teacher", "substitution": Substitution(min_informative=0.334)}
    settings = rl_stage("laptop", "grpo").model_copy(update=changes)
    config = compose("ppo_trainer", verl_config.rl_overrides(settings, FILES)).polaris
    assert (config.rescue, config.rescue_buffer) == ("teacher", "/a folder/s")
    assert config.substitution.min_informative == 0.334 and config.core is None
    assert config.accuracy == "/a folder/a" and config.grading.format == settings.grading.format


def test_cluster_rl():
    settings = rl_stage("polaris_v2", "grpo")
    config = compose("ppo_trainer", verl_config.rl_overrides(settings, FILES))
    rollout = config.actor_rollout_ref.rollout
    assert rollout.dtype == "float16"
    assert config.actor_rollout_ref.actor.fsdp_config.mixed_precision.param_dtype == "fp16"
    assert rollout.gpu_memory_utilization == settings.engine.gpu_memory_utilization
    assert rollout.free_cache_engine and not rollout.enforce_eager and not rollout.engine_kwargs.vllm
    assert config.actor_rollout_ref.model.use_remove_padding
    assert (config.trainer.nnodes, config.trainer.n_gpus_per_node) == (settings.nodes, settings.gpus_per_node)
    assert "address" not in config.ray_kwargs.ray_init
    assert config.polaris.core is None and config.polaris.substitution is None and not config.polaris.rescue


@pytest.mark.parametrize("name, device", [("laptop", "cpu"), ("polaris_v2", "cuda")])
def test_format_sft(name, device):
    settings = recipe.load(recipe_files(name)).small_rl.format_sft
    overrides = verl_config.sft_overrides(settings, Path("/m"), Path("/d"), Path("/c"), epoch_steps=23)
    config = compose("sft_trainer_engine", overrides)
    assert config.trainer.total_training_steps == 23 * settings.epochs and config.trainer.device == device
    assert config.data.train_batch_size == settings.batch and config.optim.lr == settings.learning_rate
    assert config.model.use_remove_padding == (device == "cuda")


@given(st.integers(1, 8), st.integers(1, 60))
def test_no_checkpoint_at_the_end_of_an_epoch(epochs, epoch_steps):
    steps = epochs * epoch_steps
    every = verl_config.save_interval(epochs, epoch_steps)
    saved = [step for step in range(every, steps, every)]
    assert not [step for step in saved if step % epoch_steps == 0]
    assert len(saved) <= 3


def test_an_unknown_key_is_refused():
    with pytest.raises(Exception, match="not_a_key"):
        compose("ppo_trainer", ["trainer.not_a_key=1"])


@pytest.mark.slow
def test_the_weight_bucket_holds_the_largest_tensor():
    """SmolLM2-135M's embeddings, 49,152 x 576 in float32, are 108 MiB: verl's transfer stopped at a bucket of 16."""
    settings = rl_stage("laptop", "grpo")
    sizes = [
        compose(
            "ppo_trainer", verl_config.rl_overrides(settings, FILES, largest=largest)
        ).actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes
        for largest in (0, 320 * 96, 49_152 * 576)
    ]
    assert sizes == [16, 16, 109]


def test_loggers_stay_on_this_machine_unless_the_environment_says_otherwise(tmp_path, monkeypatch):
    settings = rl_stage("laptop", "grpo")
    assert verl_config.logging_environment(settings, tmp_path) == {} and not list(tmp_path.iterdir())
    asked = settings.model_copy(update={"loggers": ["wandb", "mlflow"]})
    assert 'trainer.logger=["console", "wandb", "mlflow"]' in verl_config.rl_overrides(asked, FILES)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    for name in ("WANDB_MODE", "WANDB_DIR", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "a secret")
    offline = verl_config.logging_environment(asked, tmp_path)
    assert offline["WANDB_MODE"] == "offline" and offline["WANDB_DIR"] == str(tmp_path / "loggers")
    assert offline["MLFLOW_TRACKING_URI"].endswith("loggers/mlflow.db") and "a secret" not in offline.values()
    monkeypatch.setenv("WANDB_MODE", "online")
    assert "WANDB_MODE" not in verl_config.logging_environment(asked, tmp_path)


def test_a_logger_that_is_not_installed_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    asked = rl_stage("laptop", "grpo").model_copy(update={"loggers": ["swanlab"]})
    with pytest.raises(UserError, match="loggers: swanlab is not installed beside verl"):
        verl_config.logging_environment(asked, tmp_path)
