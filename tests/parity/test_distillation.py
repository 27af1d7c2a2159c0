"""verl's distillation losses on our rows and overrides against a few lines of torch on the same tokens."""

from dataclasses import replace
from pathlib import Path

import pytest

from small_rl.training import verl_config
from tests.helpers.opd import training
from tests.helpers.verl_stages import FILES, answered

pytest.importorskip("verl")
import torch

VOCABULARY, K = 7, 3
CLAMP = 10.0  # loss_max_clamp of the preset, which one token of k3 exceeds
SHAPES = [(2, 3), (1, 4), (3, 1)]  # tokens of prompt and response
MODES = {
    "k1": {},
    "k2": {"loss_mode": "k2", "use_policy_gradient": False},
    "k3": {"loss_mode": "k3", "use_policy_gradient": False},
    "abs": {"loss_mode": "abs", "use_policy_gradient": False},
    "forward_kl_topk": {"loss_mode": "forward_kl_topk", "topk": K, "use_policy_gradient": False},
    "delta": {"delta": True},
}


def responses(top: bool) -> list[dict]:
    """Random logits of student and teacher; the teacher's log-probabilities of the next tokens, or of its likeliest."""
    random = torch.Generator().manual_seed(5)
    made = []
    for prompt, response in SHAPES:
        tokens = torch.randint(VOCABULARY, (prompt + response,), generator=random)
        student, teacher = (torch.randn(len(tokens), VOCABULARY, generator=random) for _ in range(2))
        said = teacher.log_softmax(-1)
        ids = said.topk(K).indices if top else tokens.roll(-1)[:, None]
        one = {"prompt": tokens[:prompt], "response": tokens[prompt:], "logits": student, "ids": ids}
        made.append(one | {"log_probs": said.gather(-1, ids)})
    return [{key: value.tolist() for key, value in one.items()} for one in made]


def plain(mode: str, rows: list[dict]) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss: the mean over the response's tokens, each at most CLAMP; its gradient for all logits."""
    logits = [torch.tensor(one["logits"]).requires_grad_() for one in rows]
    losses = []
    for one, of_one in zip(rows, logits, strict=True):
        places = slice(len(one["prompt"]) - 1, len(one["prompt"]) + len(one["response"]) - 1)
        student, target = of_one.log_softmax(-1)[places], torch.tensor(one["log_probs"])[places]
        if mode == "forward_kl_topk":
            among = student.gather(-1, torch.tensor(one["ids"])[places])
            losses.append((target.exp() * (target - among)).sum(-1).clamp_min(0))
            continue
        sampled = student.gather(-1, torch.tensor(one["response"])[:, None])[:, 0]
        ratio = target[:, 0] - sampled
        if mode in ("k1", "delta"):  # a policy gradient whose advantage is the distance: d loss = -advantage d log p
            losses.append(-ratio.detach() * (1 + sampled - sampled.detach()))
        elif mode == "k3":
            losses.append((ratio.exp() - 1 - ratio).clamp(max=CLAMP))
        else:
            losses.append(ratio**2 / 2 if mode == "k2" else ratio.abs())
    loss = torch.cat(losses).mean()
    loss.backward()
    return loss.detach(), torch.cat([one.grad for one in logits])


@pytest.fixture(scope="module")
def verl(tmp_path_factory) -> dict[str, dict]:
    """verl's loss and gradient by mode, from one process."""
    names = ("teacher", "base", "start")
    files = replace(FILES, teachers={name: Path("/a folder") / name for name in names})
    overrides = [(mode, verl_config.rl_overrides(training(distillation=own), files)) for mode, own in MODES.items()]
    request = {"overrides": overrides, "responses": {mode: responses(mode == "forward_kl_topk") for mode in MODES}}
    script, answer = Path(__file__).with_name("distillation_checks.py"), tmp_path_factory.mktemp("verl") / "answer.json"
    return dict(zip(MODES, answered(script, request, answer), strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_the_loss_is_the_plain_one(verl, mode):
    loss, gradient = plain(mode, responses(mode == "forward_kl_topk"))
    assert verl[mode]["loss"] == pytest.approx(loss.item(), abs=1e-6)
    assert torch.allclose(torch.tensor(verl[mode]["gradient"]), gradient, atol=1e-6)
    assert gradient.abs().max() > 1e-3


def test_verl_reads_every_teacher(verl):
    assert verl["k1"]["teachers"] == ["teacher"] and verl["delta"]["teachers"] == ["teacher", "base", "start"]
