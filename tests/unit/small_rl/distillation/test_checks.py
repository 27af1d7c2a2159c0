"""What stops an OPD stage before an engine starts, each with its sentence."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from polaris.models.tiny_tokenizer import CHAT_TEMPLATE, SIZE, build_tokenizer
from polaris.stage import manifest
from polaris.stage.errors import UserError
from small_rl.distillation.checks import check, check_memory
from tests.helpers.models import edit_json
from tests.helpers.opd import training
from tests.helpers.stages import publish

SIZES = {"model_type": "qwen3", "vocab_size": SIZE, "hidden_size": 8, "num_attention_heads": 2, "head_dim": 32}
SIZES |= {"num_hidden_layers": 1, "num_key_value_heads": 1, "intermediate_size": 16, "max_position_embeddings": 512}
PROBLEMS = ["a=6,b=a*4. Find (b)."]


@pytest.fixture
def model(tmp_path):
    def made(name: str, weight: float, template: str = CHAT_TEMPLATE, token: str = "", **config) -> manifest.Manifest:
        folder: Path = tmp_path / name / "model"
        folder.mkdir(parents=True)
        tokenizer = build_tokenizer()
        tokenizer.chat_template = template
        if token:
            tokenizer.add_tokens([token])
        tokenizer.save_pretrained(folder)
        (folder / "config.json").write_text("{}")
        edit_json(folder / "config.json", **(SIZES | config))
        save_file({"w": np.full((4, 4), weight, np.float32)}, folder / "model.safetensors")
        return manifest.read(publish(folder.parent))

    return made


def test_a_teacher_that_can_teach(model):
    start, teacher, base = model("start", 1), model("teacher", 2), model("base", 3)
    assert check(training(), {"start": start, "teacher": teacher}, PROBLEMS) == {"teacher": teacher.model}
    delta = training(distillation={"delta": True})
    read = check(delta, {"start": start, "teacher": teacher, "base": base}, PROBLEMS)
    assert read == {"teacher": teacher.model, "base": base.model, "start": start.model}
    assert check(delta, {"start": base, "teacher": teacher, "base": base}, PROBLEMS)  # one base for both


def test_the_same_weights_under_two_names(model):
    start, teacher = model("start", 1), model("teacher", 1)
    with pytest.raises(UserError, match="a teacher that is the student has nothing to teach"):
        check(training(), {"start": start, "teacher": teacher}, PROBLEMS)
    inputs = {"start": model("other", 4), "teacher": teacher, "base": start}
    with pytest.raises(UserError, match="the teacher's training changed nothing"):
        check(training(distillation={"delta": True}), inputs, PROBLEMS)
    del inputs["base"]
    with pytest.raises(UserError, match="reward_scale and delta need --base"):
        check(training(distillation={"reward_scale": 2.0}), inputs, PROBLEMS)


def test_another_tokenizer_or_template(model):
    start = model("start", 1)
    with pytest.raises(UserError, match="its tokenizer is another .*: 1 tokens differ, as '<new>'"):
        check(training(), {"start": start, "teacher": model("more", 2, token="<new>")}, PROBLEMS)
    other = CHAT_TEMPLATE + "x"
    with pytest.raises(UserError, match="renders a prompt in another way"):
        check(training(), {"start": start, "teacher": model("other", 3, template=other)}, PROBLEMS)


def test_more_than_the_memory(model):
    start, teacher = model("start", 1).model, model("teacher", 2).model
    need = 16 * (16 + 4) + 16 * 4  # of 4 x 4 weights: trained and served in float32, and read
    check_memory(training(), start, {"teacher": teacher}, free=need)
    with pytest.raises(UserError, match="student 0.0 GiB, teacher 0.0: more than"):
        check_memory(training(), start, {"teacher": teacher}, free=need - 1)
    values = training().model_dump(by_alias=True)
    values["engine"] |= {"device": "cuda"}
    values["distillation"]["engine"] |= {"device": "cuda", "gpu_memory_utilization": 0.5}
    on_gpu = type(training()).model_validate(values)
    check_memory(on_gpu, start, {"teacher": teacher}, free=128)
    with pytest.raises(UserError, match="raise its tensor_parallel_size"):
        check_memory(on_gpu, start, {"teacher": teacher}, free=127)


def test_a_context_that_the_teacher_has_not(model):
    short = model("short", 2, max_position_embeddings=128)
    with pytest.raises(UserError, match="max_model_len"):
        check(training(), {"start": model("start", 1), "teacher": short}, PROBLEMS)
