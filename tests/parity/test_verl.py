"""verl's own reading of our examples and settings against ours."""

from pathlib import Path

import pytest

from polaris.models.tiny_tokenizer import CHAT_TEMPLATE, build_tokenizer
from polaris.stage.records import MESSAGES, read_rows, write_rows
from small_rl.training import train_format, verl_config
from tests.helpers.verl_stages import FILES, answered, rl_stage

pytest.importorskip("verl")

ANSWERS = ["<think>\n\\underline{b=6*4=4}\n</think>\n\n\\boxed{4}", "<think>\nüñ 5 </think>\\boxed{1}"]
ROWS = [
    {
        "problem_id": str(i),
        "messages": [{"role": "user", "content": "a=6,b=a*4. Find (b)."}, {"role": "assistant", "content": answer}],
    }
    for i, answer in enumerate(ANSWERS)
]
# Qwen3's thinking models: an answer that does not follow a question in the same rendering loses its thoughts.
AS_QWEN3 = CHAT_TEMPLATE.replace("loop.index0 < last.question", "loop.index0 <= [last.question, 0] | max")


@pytest.fixture(scope="module")
def verl(tmp_path_factory):
    """verl's answers, from one process."""
    folder = tmp_path_factory.mktemp("verl")
    write_rows(folder / "messages.parquet", ROWS, MESSAGES)
    for name, template in (("tiny", CHAT_TEMPLATE), ("qwen3", AS_QWEN3)):
        tokenizer = build_tokenizer()
        tokenizer.chat_template = template
        tokenizer.save_pretrained(folder / name)
    rl = [
        verl_config.rl_overrides(rl_stage("laptop", "core"), FILES),
        verl_config.rl_overrides(rl_stage("polaris_v2", "grpo"), FILES),
    ]
    data = str(folder / "messages.parquet")
    request = {"examples": [(str(folder / name), data) for name in ("tiny", "qwen3")], "overrides": rl}
    script, answer = Path(__file__).with_name("verl_checks.py"), folder / "answer.json"
    return answered(script, request, answer) | {"folder": folder}


def ours(verl, name):
    rows = read_rows(verl["folder"] / "messages.parquet", MESSAGES)
    return train_format.tokenised(rows, verl["folder"] / name, limit=200)


def test_examples_are_those_of_verl(verl):
    """The same tokens and the same loss, but for the line end after the answer, which verl also trains."""
    newline = build_tokenizer()("\n")["input_ids"]
    for row, theirs in zip(ours(verl, "tiny"), verl["examples"][0], strict=True):
        assert row["input_ids"] + newline == theirs["input_ids"]
        assert theirs["loss_mask"] == [int(i >= row["prompt_tokens"]) for i in range(len(theirs["input_ids"]))]


def test_verl_refuses_the_template_of_thinking_models(verl):
    """Why small_rl.training.verl_chat_data exists: once verl accepts these, it can go."""
    assert all("error" in theirs for theirs in verl["examples"][1])
    assert [row["input_ids"] for row in ours(verl, "qwen3")] == [row["input_ids"] for row in ours(verl, "tiny")]


def test_verl_knows_every_field(verl):
    assert verl["dataclasses"] == [["FSDPActorConfig", "RolloutConfig", "AlgoConfig"]] * 2
