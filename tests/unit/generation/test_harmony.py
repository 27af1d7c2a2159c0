"""Answers in the harmony format, from token ids to a row of format data."""

import json

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from polaris.generation.answering import Decoder
from polaris.generation.harmony import MARKERS
from polaris.generation.vllm_engine import Completion
from polaris.stage import manifest
from small_rl.data import build_format_data
from tests.helpers import tables

# As gpt-oss answers a problem of this project: its first message begins after the prompt's `<|start|>assistant`.
THOUGHT = "We need x with 2x = 10. So \\underline{x=5}. Check: \\underline{2*5=10}."
SAID = "Halving gives \\underline{x=5}.\n\n\\boxed{5}"
ANALYSIS, FINAL = "<|channel|>analysis<|message|>", "<|channel|>final<|message|>"
NEXT = "<|end|><|start|>assistant"
WHOLE = f"{ANALYSIS}{THOUGHT}{NEXT}{FINAL}{SAID}<|return|>"


def tokenizer(markers=MARKERS) -> PreTrainedTokenizerFast:
    """A byte-level one with these special tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    core.add_special_tokens([AddedToken(one, special=True) for one in (*markers, "<|endoftext|>")])
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|endoftext|>", pad_token="<|endoftext|>")


def decoded(said: str, reason: str = "stop", of: PreTrainedTokenizerFast | None = None) -> str:
    of = of or tokenizer()
    return Decoder(of).text(Completion(0, of.encode(said, add_special_tokens=False), reason))


@pytest.mark.parametrize(
    ("said", "reason", "expected"),
    [
        (WHOLE, "stop", f"<think>\n{THOUGHT}\n</think>\n\n{SAID}"),
        # Several messages of thought, and what is said before a call; the header names a recipient and a type of data.
        (
            f"{ANALYSIS}One.{NEXT}<|channel|>commentary<|message|>Two.{NEXT}{ANALYSIS}Three.{NEXT}{FINAL}5<|return|>",
            "stop",
            "<think>\nOne.\n\nTwo.\n\nThree.\n</think>\n\n5",
        ),
        (
            f"{ANALYSIS}One.{NEXT}<|channel|>commentary to=functions.f <|constrain|>json<|message|>{{}}<|call|>",
            "stop",
            "<think>\nOne.\n\n{}",
        ),
        (f"{ANALYSIS}One.{NEXT} to=functions.f<|channel|>commentary json<|message|>{{}}<|call|>", "stop",
         "<think>\nOne.\n\n{}"),
        # Cut while it thinks, between two messages, while it answers.
        (f"{ANALYSIS}2x =", "length", "<think>\n2x ="),
        (f"{ANALYSIS}2x = 10.{NEXT}<|channel|>fin", "length", "<think>\n2x = 10."),
        (f"{ANALYSIS}2x = 10.{NEXT}{FINAL}x =", "length", "<think>\n2x = 10.\n</think>\n\nx ="),
        # No thought, and a model that writes its think tags itself: as it is.
        (f"{FINAL}5<|return|>", "stop", "5"),
        ("<think>\n2x = 10.\n</think>\n\n5<|endoftext|>", "stop", "<think>\n2x = 10.\n</think>\n\n5"),
    ],
)  # fmt: skip
def test_channels_become_think_tags(said, reason, expected):
    assert decoded(said, reason) == expected


def test_markers_that_are_quoted_separate_nothing():
    """As text they have other tokens than the markers."""
    of = tokenizer()
    ids = of.encode(f"{ANALYSIS}They write ", add_special_tokens=False)
    ids += [of.convert_tokens_to_ids(letter) for letter in "<|end|>"]
    ids += of.encode(f".{NEXT}{FINAL}5<|return|>", add_special_tokens=False)
    assert Decoder(of).text(Completion(0, ids, "stop")) == "<think>\nThey write <|end|>.\n</think>\n\n5"


def test_another_models_tokenizer_has_no_channels():
    """It may know some of the markers: the words of a header are then words."""
    assert decoded("<|end|>final 5<|endoftext|>", of=tokenizer(MARKERS[:3])) == "<|end|>final 5"


def test_a_harmony_answer_becomes_format_data(tmp_path):
    settings = {"instruction": " Underline.", "keep": "correct", "underlined_only": True, "grading": tables.GRADING}
    cut = f"{ANALYSIS}{THOUGHT}"
    rows = [("1", decoded(WHOLE)), ("1", decoded(cut, "length"), "length"), ("1", decoded(f"{FINAL}{SAID}<|return|>"))]
    given = {
        "problems": tables.problems(tmp_path / "format", [{"id": "1", "answers": ["5"], "problem": "2x = 10. x?"}]),
        "responses": tables.responses(tmp_path / "teacher", rows, "format"),
    }
    words = [word for name, path in given.items() for word in (f"--{name}", path)]
    out = tmp_path / "out/data.json"
    tables.run(build_format_data.main, "--settings", json.dumps(settings), "--out", out, *words)
    (row,) = tables.read(out, "messages.parquet")
    assert row["messages"][1]["content"] == f"<think>\n{THOUGHT}\n</think>\n\n{SAID}"
    assert manifest.read(out).metrics["dropped"] == {"truncated": 1, "no_think": 1}
