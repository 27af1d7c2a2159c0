"""The thin layer between our pure functions and verl's TransferQueue: trajectories of a batch in, rewards out."""

import json
from collections.abc import Sequence

import torch
import transfer_queue
from tensordict import TensorDict
from transfer_queue import KVBatchMeta

from small_rl.step_metrics import Trajectory


def read(batch: KVBatchMeta) -> list[Trajectory]:
    """The batch's trajectories, in the order of its keys, as small_rl.verl_reward graded them."""
    names = ["uid", "extra_info", "extra_fields"]
    data = transfer_queue.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=names)
    columns = ([getattr(value, "data", value) for value in data[name]] for name in names)
    trajectories = []
    for uid, info, extra, tag in zip(*columns, batch.tags, strict=True):
        graded = extra["reward_extra_info"]
        trajectories.append(
            Trajectory(
                group=str(uid),
                problem=str(info["index"]),
                correct=graded["acc"] > 0,
                reason=graded["reason"],
                answer=json.loads(graded["answer"]),
                steps=tuple(json.loads(graded["steps"])),
                tokens=tag["response_len"],
            )
        )
    return trajectories


def write_rewards(batch: KVBatchMeta, rewards_R: Sequence[float]) -> None:
    """Replace each trajectory's reward, which verl keeps on the last token of the response."""
    data = transfer_queue.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["rm_scores"])
    scores_R = []
    for row, reward in zip(data["rm_scores"].unbind(), rewards_R, strict=True):
        scores = torch.zeros_like(row)
        scores[-1] = reward
        scores_R.append(scores)
    nested = torch.nested.as_nested_tensor(scores_R, layout=torch.jagged)
    fields = TensorDict({"rm_scores": nested}, batch_size=len(scores_R))
    transfer_queue.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)
