"""The tiny models' tokenizer: nothing is lost, nothing merges over the border of prompt and response."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris.models.tiny_tokenizer import ADDED, SIZE, SPECIAL, build_tokenizer
from polaris.problems.tiny_problems import NOTATIONS, draw, solve

OPENED = "<think>\n"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """As a stage gets it: saved beside a model's config.json and loaded by AutoTokenizer."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("model")
    build_tokenizer().save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3"}))
    return AutoTokenizer.from_pretrained(folder)


def test_size_and_special_tokens(tokenizer: Any) -> None:
    assert len(tokenizer) == SIZE == max(tokenizer.get_vocab().values()) + 1
    assert tokenizer.is_fast and tokenizer.eos_token == "<|im_end|>" and tokenizer.pad_token == "<|endoftext|>"
    for text in SPECIAL + ADDED:
        assert len(tokenizer.encode(text)) == 1, text
    kept = tokenizer.decode(tokenizer.encode("<think>\\boxed{4}<|im_end|>"), skip_special_tokens=True)
    assert kept == "<think>\\boxed{4}", "tags and boxes are text, as in the real models"
    for word in ["sort", "reverse", "rotate", " Underline", " key", " results", " Find", "assistant"]:
        assert len(tokenizer.encode(word)) == 1, word
    assert tokenizer.tokenize("b=64*-3") == list("b=64*-3")


def test_the_same_every_time(tmp_path: Path) -> None:
    texts = [build_tokenizer().backend_tokenizer.to_str() for _ in range(3)]
    assert len(set(texts)) == 1


@settings(max_examples=300)
@given(text=TEXT)
def test_any_text_comes_back(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(max_examples=300)
@given(question=TEXT, response=TEXT)
def test_prompt_and_response_tokenize_apart_as_together(tokenizer: Any, question: str, response: str) -> None:
    message = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    assert prompt.endswith("<|im_end|>\n<|im_start|>assistant\n<think>\n")
    assert tokenizer.encode(prompt) + tokenizer.encode(response) == tokenizer.encode(prompt + response)


@pytest.mark.parametrize("family", NOTATIONS)
def test_a_solution_as_a_message_is_what_would_be_generated(tokenizer: Any, family: str) -> None:
    rng = random.Random(0)
    for _ in range(50):
        problem = draw(family, (1, 6), "train", rng)
        solution = solve(problem, rng, error_rate=0.1, underlined=rng.random() < 0.5)
        user = {"role": "user", "content": problem.text}
        prompt = tokenizer.apply_chat_template([user], add_generation_prompt=True, return_dict=False)
        whole = tokenizer.apply_chat_template([user, {"role": "assistant", "content": solution}], return_dict=False)
        generated = tokenizer.encode(solution.removeprefix(OPENED)) + [tokenizer.eos_token_id]
        assert whole == prompt + generated + tokenizer.encode("\n")


def test_template_drops_the_thoughts_of_earlier_answers(tokenizer: Any) -> None:
    conversation = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "q1"},
        {"role": "assistant", "content": "<think>\nt1\n</think>\n\na1"},
        {"role": "user", "content": "q2"},
        {"role": "assistant", "content": "<think>\nt2\n</think>\n\na2"},
    ]
    assert tokenizer.apply_chat_template(conversation, tokenize=False) == (
        "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nq1<|im_end|>\n<|im_start|>assistant\na1<|im_end|>\n"
        "<|im_start|>user\nq2<|im_end|>\n<|im_start|>assistant\n<think>\nt2\n</think>\n\na2<|im_end|>\n"
    )
