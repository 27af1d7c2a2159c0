"""verl's reinforcement learning with our trainer: `python -m small_rl.training.verl_main <overrides of ppo_trainer>`.

Like verl.trainer.main_ppo, but the trainer runs in this process and not in a Ray actor: one process less that imports
everything. Rollouts and rewards are ours (verl_rollouts.py), the rest is verl's.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import spawn
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

Parts = Callable[[DictConfig], tuple[Any, Any]]

JOIN_TIMEOUT = 600  # seconds for all nodes of a job to start Ray and join


def _start_ray(config: DictConfig) -> None:
    """verl.trainer.main_ppo.run_ppo's first half: Ray with verl's environment for all workers."""
    import ray
    from verl.trainer.constants_ppo import get_ppo_ray_runtime_env

    os.environ["SMALL_RL_RUN"] = str(os.getpid())  # see verl_plugin.py
    runtime_env = get_ppo_ray_runtime_env(config)
    runtime_env["env_vars"] |= {"TRANSFER_QUEUE_ENABLE": "1", "SMALL_RL_RUN": os.environ["SMALL_RL_RUN"]}
    runtime_env["py_executable"] = os.fsdecode(spawn.get_executable())  # Python itself, unless verl_preload.py says so
    arguments: Any = OmegaConf.to_container(config.ray_kwargs.get("ray_init", {}), resolve=True)
    overrides = {key: value for key, value in (arguments.pop("runtime_env", None) or {}).items() if value is not None}
    ray.init(runtime_env={**runtime_env, **overrides}, **arguments)
    deadline = time.monotonic() + JOIN_TIMEOUT
    while (alive := sum(node["Alive"] for node in ray.nodes())) < config.polaris.nodes:
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"{alive} of {config.polaris.nodes} nodes have joined Ray in {JOIN_TIMEOUT} s; see ray.log"
            )
        time.sleep(0.5)


def _train(config: DictConfig, parts: Parts) -> None:
    """verl.trainer.main_ppo.TaskRunnerV1.run, in this process."""
    import transfer_queue

    from small_rl.training.verl_trainer import OutOfTime

    OmegaConf.resolve(config)
    transfer_queue.init(config.transfer_queue)
    try:
        trainer, rollouts = parts(config)
        with contextlib.suppress(OutOfTime):
            trainer.fit(rollouts)
    finally:
        transfer_queue.close()


def _parts(config: DictConfig) -> tuple[Any, Any]:
    from small_rl.training.verl_rollouts import Rollouts
    from small_rl.training.verl_trainer import PolarisTrainer

    trainer = PolarisTrainer(config)  # pyright: ignore[reportAbstractUsage]  verl's own class lacks the method, too
    trainer.init()
    client, teachers = trainer.get_llm_client(), trainer.teachers()
    return trainer, Rollouts(config, trainer.tokenizer, client, trainer.finish, teachers)


def drive(config: DictConfig, parts: Parts) -> None:
    """Train; leave no process behind, whether it ends, fails or is terminated.

    parts: makes the trainer, initialised, and where its rollouts come from
    """
    import ray
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    config.transfer_queue.enable = True
    validate_config(config=config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    try:
        _start_ray(config)
        _train(config, parts)
    finally:
        ray.shutdown()


@hydra.main(config_path="pkg://verl.trainer.config", config_name="ppo_trainer", version_base=None)
def main(config: DictConfig) -> None:
    drive(config, _parts)


if __name__ == "__main__":
    main()
