"""Our part of one RL step: 64 groups of 8 responses of 30K tokens, from graded rollouts to rows in verl's
TransferQueue.

    python benchmarks/hook.py [SECONDS]

Synthetic tokens and log-probabilities as vLLM returns them, 40 underlined results a response, CORE, rescue and
substitution; a Ray cluster and a TransferQueue of their own, with one storage process as on a laptop. Each part is told
beside a step of SECONDS. Parsing and grading run while others are sampled, and are measured by core_step.py and
grading.py.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from small_rl.reward.core import ConsensusSets
from small_rl.reward.rescue import BufferedResponse, RescueBuffer
from small_rl.reward.rl_step import Response, Rollout, TrainingState, accuracies, finished
from small_rl.reward.step_metrics import Trajectory
from small_rl.rl_settings import Core, Substitution
from small_rl.training import verl_devices
from small_rl.training.verl_ray_cluster import ray_cluster

GROUPS, GROUP, PROMPT, TOKENS, STEPS, VOCABULARY = 64, 8, 200, 30_000, 40, 151_936


class Settings:
    """What rl_step.finished reads of a stage's section."""

    rescue = "own"
    core = Core(
        cap=0.5, min_support=1, results="intermediate", key="string", scope="response",
        update="online", denominator="current", guard="none", consensus="rl_data",
    )  # fmt: skip
    substitution = Substitution(min_informative=0.334)
    overlong, max_response_length = None, TOKENS + 1


def made(source: random.Random) -> list[list[Rollout]]:
    """Groups with 0 to 7 right responses; an eighth of them has none, and is rescued."""
    return [
        [rollout(source, f"problem {group}", place < group % GROUP) for place in range(GROUP)]
        for group in range(GROUPS)
    ]


def rollout(source: random.Random, problem: str, correct: bool) -> Rollout:
    tokens = source.choices(range(VOCABULARY), k=TOKENS)
    log_probs = [-source.random() for _ in tokens]
    results = tuple(f"x_{{{source.randrange(80)}}} = \\frac{{{source.randrange(9)}}}{{7}}" for _ in range(STEPS))
    trajectory = Trajectory(problem, problem, correct, "exact" if correct else "different", results, TOKENS, False)
    return Rollout(trajectory, source.choices(range(VOCABULARY), k=PROMPT), Response(tokens, log_probs, 7))


def timed(what: str, step: float, call: Callable[[], Any]) -> Any:
    """The result of `call`; its wall seconds, this process's CPU seconds and their share of a step are told and added
    up.
    """
    started, used = time.perf_counter(), time.process_time()
    result = call()
    told(what, time.perf_counter() - started, time.process_time() - used, step)
    return result


def told(what: str, wall: float, cpu: float, step: float) -> None:
    print(f"  {what:52} {wall:7.2f} s   {cpu:7.2f} CPU s   {wall / step:6.2%}", flush=True)
    TOTAL[0] += wall
    TOTAL[1] += cpu


TOTAL = [0.0, 0.0]


def measure(step: float) -> None:
    """All parts, in the order of a step."""
    import ray
    import torch
    import transfer_queue
    from hydra import compose, initialize_config_module

    from small_rl.training import verl_batch

    with initialize_config_module("verl.trainer.config", version_base=None):
        units = "transfer_queue.backend.SimpleStorage.num_data_storage_units=1"
        config = compose("ppo_trainer", ["transfer_queue.enable=true", units])
    ray.init()
    transfer_queue.init(config.transfer_queue)
    source = random.Random(0)
    groups = made(source)
    state = TrainingState(ConsensusSets(1), {}, RescueBuffer())
    for group in groups:
        response = BufferedResponse(6, 6, tuple(group[0].response.tokens_T))
        state.rescue_buffer.put(group[0].trajectory.problem, response)
    print(
        f"{GROUPS} x {GROUP} responses of {TOKENS} tokens, {torch.get_num_threads()} threads; beside a step of "
        f"{step:g} s"
    )
    timed("accuracies of the log", step, lambda: accuracies(groups))
    decide = lambda: finished(groups, 7, Settings, state, source).trained_P
    groups = timed("rewards, sets, rescue, substitution", step, decide)
    uids = [f"{group:08d}" for group in range(GROUPS)]
    timed("rows into TransferQueue", step, lambda: verl_batch.put(7, uids, groups, None))
    batch = rows_of(transfer_queue)
    fields = transfer_queue.kv_batch_get(
        keys=batch.keys, partition_id=batch.partition_id, select_fields=["rollout_log_probs"]
    )
    fields["old_log_probs"] = torch.nested.nested_tensor(  # in the actor's place, who writes them in a training
        [torch.nan_to_num(row, -0.5) for row in fields.pop("rollout_log_probs").unbind()], layout=torch.jagged
    )
    transfer_queue.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)
    timed("rescued rows' log-probabilities, mismatch again", step, lambda: verl_batch.forget_other_policies(batch))
    rows = lambda: (state.sets.rows(), state.rescue_buffer.rows())
    timed("sets and buffer as rows of a checkpoint", step, rows)
    told("all", *TOTAL, step)
    transfer_queue.close()
    ray.shutdown()


def rows_of(transfer_queue: Any) -> Any:
    """The step's rows as verl's replay buffer hands them on."""
    from transfer_queue import KVBatchMeta

    from small_rl.training.verl_batch import PARTITION

    rows = {key: tag for key, tag in transfer_queue.kv_list()[PARTITION].items() if not tag.get("is_prompt")}
    return KVBatchMeta(list(rows), list(rows.values()), PARTITION)


def main() -> None:
    step = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    environment = verl_devices.environment("cpu") | {"TRANSFER_QUEUE_ENABLE": "1"}
    try:
        with ray_cluster(1, 1, verl_devices.LOGICAL_CPUS, folder, folder / "ray.log", environment) as found:
            os.environ |= found
            measure(step)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
