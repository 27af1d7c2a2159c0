"""The generalist's training examples: what is taught, to the token."""

import json
import re
from collections import Counter

import pytest

from large_sft.traces import build_sft_data
from large_sft.traces.repetition import repeated_share
from polaris.models.tiny_tokenizer import CHAT_TEMPLATE, build_tokenizer
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.settings import Section
from polaris.stage.stage import Stage
from tests.helpers import tables

SETTINGS = {
    "verify": "gold",
    "instruction": " Underline key results.",
    "max_tokens": 100,
    "repeated_ngram": 8,
    "max_repeated": 0.3,
    "leak_ngram": 13,
    "leak_template": 3,
    "grading": tables.GRADING,
}
TRACE = "\\underline{b=6*4=4}\\underline{c=4*3=2}\n</think>\n\n\\boxed{2}"
TRACES = [
    ("1", TRACE),
    ("1", TRACE),
    ("2", TRACE),
    ("2", "<think>\n" + TRACE.replace("4=4", "4 = 4 \u00e9\u0301 \U0001f600  ")),
    ("1", TRACE.replace("{2}", "{3}")),
    ("1", "\\underline{b=6*4=4}", "length"),
    ("1", "\\boxed{2}"),
    ("1", "x" * 300 + TRACE),
    ("1", "<|im_end|>" + TRACE),
    ("1", "\\underline{b=6*4=4}" * 3 + TRACE),
]


class Model(Section):
    pass


def base(folder, **changes):
    """A base model's manifest, as far as its tokenizer goes."""
    tokenizer = build_tokenizer()
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    with Stage("polaris.stage.manifest", Model(), {}, folder / "checkpoint.json", "test") as stage:
        tokenizer.save_pretrained(stage.partial / "model")
        (stage.partial / "model" / "config.json").write_text("{}")
        stage.publish()
    return folder / "checkpoint.json"


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sft")
    rows = [{"id": "1", "answers": ["2"], "problem": "a=6,b=a*4,c=b*3. Find (c)."}, {"id": "2", "answers": ["2"]}]
    held = [{"id": "h", "problem": "A train leaves at nine. When is it there?"}]
    return {
        "problems": tables.problems(folder / "distill", rows),
        "benchmarks": tables.problems(folder / "aime", held),
        "responses": tables.responses(folder / "traces", TRACES, "distill"),
        "base": base(folder / "base"),
    }


def run(out, given: dict, problems=(), responses=(), **changes) -> manifest.Manifest:
    """problems, responses: of several sets, in the place of the one of `given`."""
    several = {"problems": problems, "responses": responses}
    all_given = {name: [path] for name, path in given.items()} | {
        name: paths for name, paths in several.items() if paths
    }
    words = [word for name, paths in all_given.items() for word in (f"--{name}", *paths)]
    settings = json.dumps(SETTINGS | changes)
    tables.run(build_sft_data.main, "--settings", settings, "--out", out / "data.json", *words)
    return manifest.read(out / "data.json")


def test_worked_solutions_are_traces(tmp_path, given):
    """Without --responses: of two problems one has a solution."""
    rows = [{"id": "1", "answers": ["2"], "solution": TRACE}, {"id": "2", "answers": ["2"]}]
    own = {name: path for name, path in given.items() if name != "responses"}
    done = run(tmp_path / "out", own | {"problems": tables.problems(tmp_path / "own", rows)})
    assert [row["problem_id"] for row in tables.read(done.path, "tokens.parquet")] == ["1"]
    assert done.metrics["dropped"] == {} and done.inputs["responses"]["path"] == ""


def test_every_example_decodes_to_its_trace(tmp_path, given):
    done = run(tmp_path, given)
    rows = tables.read(done.path, "tokens.parquet")
    tokenizer = build_tokenizer()
    prompts = [tokenizer.decode(row["input_ids"][: row["prompt_tokens"]]) for row in rows]
    taught = [tokenizer.decode(row["input_ids"][row["prompt_tokens"] :]) for row in rows]
    question = "<|im_start|>user\n{} Underline key results.<|im_end|>\n<|im_start|>assistant\n<think>\n"
    assert prompts[0] == question.format("a=6,b=a*4,c=b*3. Find (c).") and prompts[1] == question.format("Find 2.")
    traces = [TRACE, TRACE, TRACES[3][1].removeprefix("<think>\n")]
    assert taught == [trace + "<|im_end|>" for trace in traces]
    assert done.metrics["dropped"] == {
        "truncated": 1, "no_think": 1, "duplicate": 1, "different": 1, "too_long": 1, "special_token": 1,
        "repetitive": 1,
    }  # fmt: skip
    fates = [row["reason"] for row in tables.read(done.path, "log/traces.parquet")]
    assert (len(fates), fates.count(None)) == (10, 3) and Counter(filter(None, fates)) == done.metrics["dropped"]
    assert fates[:1] == [None] and fates[3] is None
    assert done.metrics["examples"] == 3 and sum(done.metrics["lengths"].values()) == 3
    assert done.metrics["tokens_with_loss"] == sum(len(r["input_ids"]) - r["prompt_tokens"] for r in rows)
    page = done.file("card.html").read_text()
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page, re.DOTALL)
    mask = [cells[i : i + 3] for i in range(0, len(cells), 3)]
    assert mask[1] == [
        "yes",
        str(len(rows[0]["input_ids"]) - rows[0]["prompt_tokens"]),
        TRACE.replace("<", "&lt;").replace(">", "&gt;") + "&lt;|im_end|&gt;",
    ]
    assert [loss for loss, _, _ in mask[2:]] == ["no"] * 4 + ["yes"] * 4
    assert mask[5][2] == "'\\n'" and mask[6][2] == "'\\\\underline{'"
    assert done.metrics["rewritten"] == 0 and "10 traces were read, 7 dropped, 3 kept" in page


def test_traces_of_several_specialists_lie_together(tmp_path, given):
    """Two sets with the same ids; each response is graded with its own set's problem, and its prompt is that one's."""
    rows = [{"id": "1", "answers": ["7"], "problem": "a=6,b=a+1. Find (b)."}, {"id": "2", "answers": ["7"]}]
    second = tables.problems(tmp_path / "second", rows)
    traces = tables.responses(tmp_path / "traces@other", [("1", TRACE.replace("{2}", "{7}")), ("2", TRACE)], "second")
    done = run(
        tmp_path / "out",
        {name: path for name, path in given.items() if name not in ("problems", "responses")},
        problems=[given["problems"], second],
        responses=[given["responses"], traces],
    )
    kept = tables.read(done.path, "tokens.parquet")
    assert [row["problem_id"] for row in kept] == ["distill/1", "distill/2", "distill/2", "second/1"]
    prompt = build_tokenizer().decode(kept[-1]["input_ids"][: kept[-1]["prompt_tokens"]])
    assert "a=6,b=a+1. Find (b)." in prompt and done.metrics["dropped"]["different"] == 2


def test_responses_to_a_set_that_is_not_given(tmp_path, given):
    second = tables.problems(tmp_path / "second", [{"id": "1", "answers": ["2"]}])
    others = tables.responses(tmp_path / "traces", [("1", TRACE)], "third")
    with pytest.raises(UserError, match="there are responses to the set third, whose problems are not here"):
        run(tmp_path / "out", given, problems=[given["problems"], second], responses=[given["responses"], others])


def test_without_verification_wrong_traces_and_goldless_problems_are_taught(tmp_path, given):
    given = given | {"problems": tables.problems(tmp_path / "distill", [{"id": "1"}, {"id": "2"}])}
    done = run(tmp_path / "out", given, verify="none")
    assert done.metrics["examples"] == 4 and "different" not in done.metrics["dropped"]


def test_an_empty_result_names_what_emptied_it(tmp_path, given):
    with pytest.raises(UserError, match="no trace of 10 is left; dropped: .*'too_long': 5"):
        run(tmp_path, given, max_tokens=20)


def test_the_response_brings_its_think_tag_where_the_template_opens_none(tmp_path, given):
    template = build_tokenizer().chat_template.replace("assistant\\n<think>\\n", "assistant\\n")
    done = run(tmp_path / "out", given | {"base": base(tmp_path / "base", chat_template=template)})
    row = tables.read(done.path, "tokens.parquet")[0]
    assert build_tokenizer().decode(row["input_ids"][row["prompt_tokens"] :]) == "<think>\n" + TRACE + "<|im_end|>"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chat_template": None}, "has no chat template"),
        ({"eos_token": "<|endoftext|>"}, "would not learn to stop"),
        (
            {"chat_template": CHAT_TEMPLATE.replace("loop.index0 < last.question and ", "")},
            "loses or moves the think block",
        ),
        ({"chat_template": CHAT_TEMPLATE.replace("+ content +", "+ content.replace('underline', 'u') +")}, "or a span"),
    ],
)
def test_a_tokenizer_that_cannot_teach_is_refused(tmp_path, given, changes, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path / "out", given | {"base": base(tmp_path / "base", **changes)})


def test_unknown_problems_are_named(tmp_path, given):
    given = given | {"responses": tables.responses(tmp_path / "r", [("7", TRACE)], "distill")}
    for verify in ("gold", "none"):
        with pytest.raises(UserError, match="problem 7"):
            run(tmp_path / "out", given, verify=verify)


def test_a_border_inside_a_token_is_refused(tmp_path, given):
    """Read at once, the prompt's last newline and the response's first letter are one token here."""
    from tokenizers import AddedToken

    tokenizer = build_tokenizer()
    tokenizer.add_tokens([AddedToken("\nLet", normalized=False)])
    with Stage("polaris.stage.manifest", Model(), {}, tmp_path / "base" / "checkpoint.json", "test") as stage:
        tokenizer.save_pretrained(stage.partial / "model")
        (stage.partial / "model" / "config.json").write_text("{}")
        stage.publish()
    with pytest.raises(UserError, match="the loss would not cover exactly the response's tokens"):
        run(tmp_path / "out", given | {"base": tmp_path / "base" / "checkpoint.json"})


def test_what_the_template_would_rewrite_is_taught_as_it_was_generated(tmp_path, given):
    """Qwen3's template writes its own blanks around </think>."""
    rewriting = CHAT_TEMPLATE.replace("+ content +", "+ content.replace(' </think>', '\\n</think>') +")
    trace = TRACE.replace("\n</think>", " </think>")
    changes = {
        "base": base(tmp_path / "base", chat_template=rewriting),
        "responses": tables.responses(tmp_path / "r", [("1", trace)], "distill"),
    }
    done = run(tmp_path / "out", given | changes)
    (row,) = tables.read(done.path, "tokens.parquet")
    assert build_tokenizer().decode(row["input_ids"][row["prompt_tokens"] :]) == trace + "<|im_end|>"
    assert done.metrics["rewritten"] == 1


def test_traces_that_hold_a_benchmark_problem_are_not_taught(tmp_path, given):
    leak = "A train leaves at nine; when is it there?\n" + TRACE
    rows = [("1", TRACE), ("1", leak), ("2", TRACE)]
    done = run(tmp_path / "out", given | {"responses": tables.responses(tmp_path / "r", rows, "distill")})
    assert done.metrics["dropped"] == {"contaminated": 2} and done.metrics["examples"] == 1
    assert [row["problem_id"] for row in tables.read(done.path, "tokens.parquet")] == ["2"]


@pytest.mark.parametrize(
    ("tokens", "share"), [([1, 2, 3, 4, 5], 0.0), ([1, 2, 3] * 4, 0.7), ([7] * 50, 47 / 48), ([1, 2], 0.0)]
)
def test_the_share_of_repeated_runs(tokens, share):
    assert repeated_share(tokens, 3) == pytest.approx(share)
