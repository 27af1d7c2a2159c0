"""Run by test_distillation.py in a process of its own: VERL_PLATFORM must be set before verl is imported.

verl's loss of rows as we write them, and its gradient for the student's logits, by overrides as we write them.
"""

import json
import sys
from functools import partial
from pathlib import Path

import torch
from hydra import compose, initialize_config_module
from verl.trainer.distillation import distillation_ppo_loss
from verl.utils import tensordict_utils
from verl.utils.config import omega_conf_to_dataclass

from small_rl.reward.rl_step import Response, Rollout
from small_rl.reward.step_metrics import Trajectory
from small_rl.teachers.target import Taught
from small_rl.training.verl_batch import row


def checked(overrides: list[str], responses: list[dict]) -> dict:
    """responses: prompt, response, student's logits [S][V], the target's log_probs and ids [S][K]"""
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose("ppo_trainer", overrides=overrides)
    actor, distillation = (
        omega_conf_to_dataclass(part) for part in (config.actor_rollout_ref.actor, config.distillation)
    )
    data = tensordict_utils.list_of_dict_to_tensordict([_row(one) for one in responses])
    sizes = [len(one["prompt"]) + len(one["response"]) for one in responses]
    logits = torch.cat([torch.tensor(one["logits"]) for one in responses]).requires_grad_()
    following = torch.cat([torch.tensor([*one["prompt"], *one["response"]]).roll(-1) for one in responses])
    log_probs = logits.log_softmax(-1).gather(-1, following[:, None])[:, 0]
    offsets = torch.tensor([0, *sizes]).cumsum(0)
    nested = partial(torch.nested.nested_tensor_from_jagged, offsets=offsets)
    old = torch.nested.as_nested_tensor(
        [one[len(r["prompt"]) - 1 : -1] for one, r in zip(log_probs.detach().split(sizes), responses, strict=True)],
        layout=torch.jagged,
    )
    data["old_log_probs"] = old
    data["advantages"] = torch.nested.as_nested_tensor(
        [torch.zeros_like(one) for one in old.unbind()], layout=torch.jagged
    )
    tokens = sum(len(one["response"]) for one in responses)
    for name, value in {"dp_size": 1, "batch_num_tokens": tokens, "global_batch_size": len(responses)}.items():
        tensordict_utils.assign_non_tensor_data(data, name, value)
    loss_of, output = partial(distillation_ppo_loss, actor, distillation), {"log_probs": nested(log_probs)}
    if distillation.distillation_loss.loss_settings.use_topk:
        parts = loss_of(data=data, student_logits=logits[None])
        output |= {name: nested(value[0]) for name, value in parts.items()}
    loss, _ = loss_of(model_output=output, data=data)
    loss.backward()
    assert logits.grad is not None
    return {"loss": loss.item(), "gradient": logits.grad.tolist(), "teachers": list(distillation.teacher_models)}


def _row(one: dict) -> dict:
    taught = Taught(torch.tensor(one["log_probs"]), torch.tensor(one["ids"]), None)
    trajectory = Trajectory("g", "p", False, "different", (), len(one["response"]), False)
    response = Response(one["response"], [-1.0] * len(one["response"]), 0, taught)
    return row("g", Rollout(trajectory, one["prompt"], response), None)


if __name__ == "__main__":
    request = json.loads(sys.stdin.read())
    Path(sys.argv[1]).write_text(
        json.dumps([checked(one, request["responses"][name]) for name, one in request["overrides"]])
    )
