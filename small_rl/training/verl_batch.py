"""Rollouts as rows of verl's TransferQueue, through which its processes exchange a step's batch.

Legend: _P group of the step's batch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import transfer_queue
from transfer_queue import KVBatchMeta
from verl import DataProto
from verl.utils.debug.metrics import calculate_debug_metrics
from verl.utils.tensordict_utils import list_of_dict_to_tensordict
from verl.workers.utils.padding import response_from_nested

from small_rl.reward.rl_step import Rollout
from small_rl.rollouts.store import Trained

PARTITION = "train"


def put(step: int, uids_P: Sequence[str], groups_P: Sequence[Sequence[Rollout]], masked_from: int | None) -> None:
    """Write all rows of a step, and mark its prompts (by verl's ids) as finished.

    A row belongs to the prompt in whose place it stands, so that copies of a group are GRPO groups of their own.
    masked_from: responses of this many tokens were truncated and carry no loss; None: every response carries loss
    Raises RuntimeError when every response is masked.
    """
    if masked_from is not None and all(len(r.response.tokens_T) >= masked_from for group in groups_P for r in group):
        raise RuntimeError(
            f"step {step}: every response was truncated at {masked_from} tokens and is masked (truncation: mask); "
            "raise max_response_length"
        )
    keys, rows, tags = [], [], []
    for uid, group in zip(uids_P, groups_P, strict=True):
        for sample, rollout in enumerate(group):
            keys.append(f"{uid}_{sample}_0")
            rows.append(row(uid, rollout, masked_from))
            tags.append(_tag(step, rollout) | {"masked": not rows[-1]["loss_mask"].any().item()})
    transfer_queue.kv_batch_put(keys=keys, partition_id=PARTITION, fields=list_of_dict_to_tensordict(rows), tags=tags)
    done = {"is_prompt": True, "status": "finished", "global_steps": step}
    transfer_queue.kv_batch_put(keys=list(uids_P), partition_id=PARTITION, tags=[dict(done) for _ in uids_P])


def forget_other_policies(batch: KVBatchMeta) -> dict[str, float]:
    """Give rescued rows the current actor's log-probabilities as their sampler's; verl's metrics of the mismatch.

    Another policy sampled these rows: measured against it, the mismatch, and any correction by it, would be about the
    training and not about the engine. So they count as sampled by the actor. {} for a batch without such rows.
    """
    keys = [key for key, tag in zip(batch.keys, batch.tags, strict=True) if tag.get("rescued")]
    if not keys:
        return {}
    data = transfer_queue.kv_batch_get(keys=keys, partition_id=PARTITION, select_fields=["old_log_probs"])
    data["rollout_log_probs"] = data.pop("old_log_probs")
    transfer_queue.kv_batch_put(keys=keys, partition_id=PARTITION, fields=data)
    fields = ["responses", "response_mask", "rollout_log_probs", "old_log_probs"]
    data = transfer_queue.kv_batch_get(keys=batch.keys, partition_id=PARTITION, select_fields=fields)
    return calculate_debug_metrics(DataProto(batch=data.to_padded_tensor()))


def trained(batch: KVBatchMeta, uids_P: Sequence[str], rollouts: int) -> dict[tuple[int, int], Trained]:
    """What the update will see of every response of the batch, by the place of its group and in its group."""
    keys = {f"{uid}_{sample}_0": (place, sample) for place, uid in enumerate(uids_P) for sample in range(rollouts)}
    own = [key for key in batch.keys if key in keys]  # no padding
    fields = ["response_mask", "old_log_probs", "advantages"]
    data = transfer_queue.kv_batch_get(keys=own, partition_id=PARTITION, select_fields=fields)
    columns: list[Any] = [data[field] for field in fields]
    rows = zip(own, *(column.unbind() for column in columns), strict=True)
    return {
        keys[key]: Trained(log_probs_T[: len(mask_T)].float().numpy(), advantages_T[0].item())  # one for all tokens
        for key, mask_T, log_probs_T, advantages_T in rows
    }


def with_loss(batch: KVBatchMeta, updates: int, ranks: int) -> tuple[KVBatchMeta, int]:
    """The rows of the updates in which at least one row carries loss, and the number of updates left out.

    verl gives each rank an equal run of the rows, and each update an equal run of every rank's (its
    KVBatchMeta.chunk and make_iterator, without shuffling).
    """
    share = len(batch) // (ranks * updates)
    runs = [
        [batch.keys[start : start + share] for start in range(update * share, len(batch), updates * share)]
        for update in range(updates)
    ]
    masked = {key for key, tag in zip(batch.keys, batch.tags, strict=True) if tag.get("masked")}
    left_out = {key for run in runs if (keys := set().union(*run)) <= masked for key in keys}
    kept = batch.select_keys([key for key in batch.keys if key not in left_out])
    return kept, len(left_out) // (ranks * share)


def log_probs(actor: Any, batch: KVBatchMeta, rows: int) -> list[dict[str, list]]:
    """The batch's `rows` shortest responses: token ids of prompt and response, the actor's log-probabilities.

    actor: verl's worker group, at temperature 1; rows: rounded up to a multiple of its ranks
    """
    ranks = max(actor._query_dispatch_info("actor")) + 1
    own = {key: tag for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding")}
    keys = sorted(own, key=lambda key: own[key]["seq_len"])[: -(-rows // ranks) * ranks]
    options = {"calculate_entropy": False, "compute_loss": False, "temperature": 1.0}
    actor.compute_log_prob(KVBatchMeta(keys, [own[key] for key in keys], PARTITION, extra_info=options))
    fields = ["prompts", "responses", "response_mask", "log_probs"]
    data = transfer_queue.kv_batch_get(keys=keys, partition_id=PARTITION, select_fields=fields)
    log_probs_R: Any = response_from_nested(data["log_probs"], data["response_mask"])
    columns: list[Any] = [data["prompts"], data["responses"], log_probs_R]
    return [
        {"prompt": prompt.tolist(), "response": response.tolist(), "log_probs": log_probs_T.tolist()}
        for prompt, response, log_probs_T in zip(*(column.unbind() for column in columns), strict=True)
    ]


def row(uid: str, rollout: Rollout, masked_from: int | None) -> dict[str, Any]:
    """One trajectory as verl's workers read it, one-dimensional tensors; the reward is on the last token.

    A masked one still counts in its group's mean: its reward is known, but it carries no loss.
    """
    response = rollout.response
    prompt, tokens = _tensor(rollout.prompt, np.int64), _tensor(response.tokens_T, np.int64)
    whole = torch.cat([prompt, tokens])
    scores = torch.zeros(len(tokens))
    scores[-1] = rollout.reward
    masked = masked_from is not None and len(tokens) >= masked_from
    mask = torch.zeros_like(tokens) if masked else torch.ones_like(tokens)
    # NaN until `forget_other_policies`: a use before it must show.
    log_probs = [float("nan")] * len(tokens) if response.log_probs_T is None else response.log_probs_T
    taught = response.taught
    teacher = {} if taught is None else {"teacher_logprobs": taught.log_probs_SK, "teacher_ids": taught.ids_SK}
    return {
        "uid": uid,
        "prompts": prompt,
        "responses": tokens,
        "input_ids": whole,
        "position_ids": torch.arange(len(whole)),
        "response_mask": mask,
        "loss_mask": mask.clone(),
        "rollout_log_probs": _tensor(log_probs, np.float32),
        "rm_scores": scores,
        "num_turns": torch.tensor(2),
        **teacher,
    }


def _tensor(values: Sequence[int] | Sequence[float], dtype: type) -> torch.Tensor:
    """By numpy, which reads a Python list four times as fast as torch."""
    return torch.from_numpy(np.array(values, dtype=dtype))


def _tag(step: int, rollout: Rollout) -> dict[str, Any]:
    response = rollout.response
    return {
        "status": "success",
        "prompt_len": len(rollout.prompt),
        "response_len": len(response.tokens_T),
        "seq_len": len(rollout.prompt) + len(response.tokens_T),
        "global_steps": step,
        "min_global_steps": response.weights,
        "max_global_steps": response.weights,
        "rescued": response.log_probs_T is None,
    }
