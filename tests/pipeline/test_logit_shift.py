"""A specialist's logit shift on a larger model's: what vLLM samples is what the definition says, token by token."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from polaris.models import make_model
from polaris.problems import make_problems
from polaris.stage import manifest
from polaris.stage.records import RESPONSES, read_rows
from tests.helpers.generation_run import MODEL, SETTINGS
from tests.helpers.stages import command
from tests.helpers.tables import run

pytest.importorskip("vllm")

SET = {"family": "chain", "pool": "train", "count": 6, "depth": [1, 2], "error_rate": 0.0, "seed": 5}
GREEDY = {"temperature": 0.0, "top_p": 1.0, "top_k": -1, "max_tokens": 24, "seed": 1}
SHIFT = {"specialist": "specialist", "base": "base", "scale": 1.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A mixture (`large`), a small model (`base`) and the same trained on (`specialist`), and a few problems."""
    folder = tmp_path_factory.mktemp("shift")
    mixture = {"tiny": "qwen3_moe", "intermediate_size": 64, "experts": 4, "experts_per_token": 2, "seed": 8}
    for name, kind, steps in (("large", mixture, 6), ("base", {}, 6), ("specialist", {}, 40)):
        settings = MODEL | kind | {"pretraining": MODEL["pretraining"] | {"steps": steps}}
        run(make_model.main, "--settings", json.dumps(settings), "--out", folder / name / "checkpoint.json")
    run(make_problems.main, "--settings", json.dumps(SET), "--out", folder / "chain/data.json")
    return folder


def generated(folder: Path, out: str, shift: dict[str, Any] | None, **more: Path) -> subprocess.CompletedProcess:
    settings = SETTINGS | {"k": {"chain": 1}, "sampling": GREEDY, "shift": shift}
    inputs = {"model": folder / "large/checkpoint.json", "problems": folder / "chain/data.json", **more}
    words = command("polaris.generation.generate", settings, folder / out / "data.json", **inputs)
    return subprocess.run(words, check=False, capture_output=True, text=True)


def texts(folder: Path, out: str) -> list[str]:
    return [row["response"] for row in read_rows(folder / out / "responses.parquet", RESPONSES)]


def by_definition(folder: Path, prompts: list[str]) -> list[str]:
    """Greedy decoding in transformers, the three models' logits added at every token, without a cache."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    paths = [manifest.read(folder / name / "checkpoint.json").model for name in ("large", "specialist", "base")]
    models: list[Any] = [AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval() for path in paths]
    tokenizer, found = AutoTokenizer.from_pretrained(paths[0]), []
    for prompt in prompts:
        message = [{"role": "user", "content": prompt + SETTINGS["instruction"]}]
        ids = tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False)
        begin = len(ids)
        while len(ids) < begin + GREEDY["max_tokens"] and (len(ids) == begin or ids[-1] != tokenizer.eos_token_id):
            with torch.inference_mode():
                large, specialist, base = (model(torch.tensor([ids])).logits[0, -1] for model in models)
            ids.append(int((large + SHIFT["scale"] * (specialist - base)).argmax()))
        found.append(tokenizer.decode(ids[begin:], skip_special_tokens=True).strip())
    return found


def test_each_token_is_the_definitions(folder):
    small = {name: folder / name / "checkpoint.json" for name in ("specialist", "base")}
    for out, shift, given in (("shifted", SHIFT, small), ("plain", None, {})):
        done = generated(folder, out, shift, **given)
        assert done.returncode == 0, done.stdout + done.stderr
    from polaris.stage.records import read_problems

    problems = [row["problem"] for row in read_problems(folder / "chain/problems.parquet").values()]
    expected, shifted = by_definition(folder, problems), texts(folder, "shifted")
    plain = [text.replace("<think>", "").strip() for text in texts(folder, "plain")]
    assert [text.strip() for text in shifted] == expected
    assert plain != expected


def test_a_shift_without_its_models_is_refused(folder):
    done = generated(folder, "refused", SHIFT)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("shift: needs --specialist, the checkpoint of specialist")
