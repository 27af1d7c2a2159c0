"""What an OPD stage refuses while its section is read: signals that are none, and engines that verl cannot place."""

import pytest
from pydantic import ValidationError

from small_rl.opd_settings import OpdTraining
from tests.helpers.opd import training

TOPK = {"loss_mode": "forward_kl_topk", "topk": 8, "use_policy_gradient": False}


def on_gpus(settings: OpdTraining, replicas: int = 1, tensor: int = 1) -> dict:
    engine = {"tensor_parallel_size": tensor, "replicas": replicas}
    return settings.distillation.engine.model_dump() | engine


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distillation": {"use_policy_gradient": False}}, "does not depend on the teacher"),
        ({"distillation": TOPK | {"use_policy_gradient": True}}, "as an advantage it teaches nothing"),
        ({"distillation": TOPK | {"topk": None}}, "topk: must be a number"),
        ({"distillation": {"topk": 8}}, "topk: must be a number for loss_mode: forward_kl_topk, and null"),
        ({"distillation": TOPK | {"reward_scale": 1.5}}, "the target is no distribution; use k1"),
        ({"distillation": {"delta": True, "loss_mode": "k3"}}, "loss_mode: k3, but with reward_scale or delta"),
        ({"temperature": 1.2}, "temperature: must be 1.0 here"),
        ({"rescue": "own"}, "rescue: must be false here"),
        ({"substitution": {"min_informative": 0.3}}, "substitution: must be null here"),
        ({"max_prompt_length": 160}, r"distillation.engine.max_model_len \(256\) must hold"),
    ],
)
def test_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        training(**changes)


def test_every_mode_of_verl_has_its_form():
    assert training(distillation=TOPK).distillation.topk == 8
    for mode in ("k2", "k3", "abs"):
        assert training(distillation={"loss_mode": mode, "use_policy_gradient": False})
    assert training(distillation={"use_task_rewards": True})


def test_who_reads_and_on_how_many_gpus():
    plain, scaled = training(), training(distillation={"reward_scale": 1.25})
    delta = training(distillation={"delta": True})
    assert [list(one.read) for one in (plain, scaled, delta)] == [
        ["teacher"], ["teacher", "base"], ["teacher", "base", "start"]
    ]  # fmt: skip
    assert [one.all_gpus_per_node for one in (plain, scaled, delta)] == [2, 3, 4]
    wide = training(distillation={"engine": on_gpus(plain, replicas=2, tensor=2)})
    assert (wide.teacher_gpus, wide.all_gpus_per_node, wide.all_nodes) == (4, 5, 1)
    apart = training(nodes=2, distillation={"engine": on_gpus(plain, replicas=2, tensor=2), "nodes": 1})
    assert (apart.teacher_gpus_per_node, apart.all_gpus_per_node, apart.all_nodes) == (4, 4, 3)


def test_engines_that_verl_cannot_place():
    engine = on_gpus(training())
    with pytest.raises(ValidationError, match="the same number on each of 2 nodes"):
        training(nodes=2)
    with pytest.raises(ValidationError, match="an engine of 2 GPUs would lie on two nodes, with 3 of each node"):
        training(nodes=2, distillation={"engine": engine | {"tensor_parallel_size": 2, "replicas": 3}})
    with pytest.raises(ValidationError, match="engine.nodes: must be 1 here"):
        training(distillation={"engine": engine | {"nodes": 2, "tensor_parallel_size": 2}})
