"""Golds of today's benchmarks, in the columns that the presets read: each is right for itself, no other answer is.

The rows are ours, in the layouts that the sets' cards and makers' code show; real files: tests/parity.
"""

import json

import pytest

from polaris.grading.answers import golds_from
from polaris.grading.grading_pool import GradingPool
from polaris.problems.read_problems import read_problems
from polaris.problems.settings import HubProblems
from polaris.recipe.layers import catalogue
from polaris.recipe.recipe_files import ASKED
from polaris.stage.errors import UserError

MATHARENA = {"problem_idx": 1, "problem": "Find it.", "problem_type": ["Algebra"]}
# preset -> a row but for its answer, the answer's column
LAYOUTS = {
    "aime26": (MATHARENA, "answer"),
    "hmmt_feb26": (MATHARENA, "answer"),
    "apex_shortlist": (MATHARENA | {"source": "x"}, "answer"),
    "beyond_aime": ({"problem": "Find it."}, "answer"),
    "amo_bench": ({"question_id": 7, "prompt": "Find it.", "solution": "So.", "answer_type": "number"}, "answer"),
    "imo_answerbench": (
        {"Problem ID": "imo-bench-algebra-001", "Problem": "Find it.", "Category": "Algebra", "Source": "x"},
        "Short Answer",
    ),
    "olympiad": ({"id": 3, "context": None, "question": "Find it.", "solution": ["So."]}, "final_answer"),
}
# gold, the same in another spelling, another answer
GOLDS = [
    (277, "277", "278"),
    ("98765432109876543210", "98765432109876543210", "98765432109876543211"),
    ("2^{2026}-1", "2^{2026} - 1", "2^{2025}-1"),
    ("12,345,678,901", "12345678901", "12345678902"),
    ("\\frac{9+\\sqrt{17}}{2}", "\\dfrac{9 + \\sqrt{17}}{2}", "\\frac{9-\\sqrt{17}}{2}"),
    ("\\{1, 2, 4\\}", "\\{4, 1, 2\\}", "\\{1, 2, 3\\}"),
    ("(2, 3, 5)", "(2,3,5)", "(3, 2, 5)"),
    ("(1, 2), (2, 1)", "(2,1), (1,2)", "(1, 2), (2, 2)"),
    ("a+b+c", "c + b + a", "a+b-c"),
    ("f(x) = x + 1", "f(x)=x+1", "f(x) = x - 1"),
    ("f(n)=n", "f(n) = n", "f(n)=2n"),
    ("\\binom{2n}{n}", "\\dbinom{2n}{n}", "\\binom{2n}{n-1}"),
    ("n \\equiv 1 \\pmod 4", "$n \\equiv 1 \\pmod 4$", "n \\equiv 3 \\pmod 4"),
    ("all n such that n is odd", "all n such that n is odd", "all n such that n is even"),
    ("n = 2^k for all integers k \\ge 1", "n=2^k for all integers k \\geq 1", "n = 3^k for all integers k \\ge 1"),
    ("(0, 1] \\cup \\{2\\}", "(0,1]\\cup\\{2\\}", "(0, 1) \\cup \\{2\\}"),
]


def preset(name: str) -> HubProblems:
    entry = catalogue().values["problem_sets"][name]
    own = {key: value for key, value in entry.items() if key not in ASKED}
    return HubProblems.model_validate(own | {"count": None})


@pytest.fixture(scope="module")
def pool():
    with GradingPool(20.0, 1) as pool:
        yield pool


@pytest.mark.parametrize("name", LAYOUTS)
def test_golds_of_every_kind_are_right_for_themselves_and_no_other_answer_is(tmp_path, pool, name):
    row, column = LAYOUTS[name]
    key = next((key for key in ("problem_idx", "question_id", "Problem ID", "id") if key in row), None)
    lines = [row | {column: gold} | ({key: f"{n}"} if key else {}) for n, (gold, _, _) in enumerate(GOLDS)]
    file = tmp_path / "set.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    golds = [one["answers"] for one in read_problems(preset(name), [file], name, str(file))]
    assert len(golds) == len(GOLDS) and [len(one) for one in golds] == [1] * len(GOLDS)
    for answers, right in (
        ([one[0] for one in golds], True),
        ([a for _, a, _ in GOLDS], True),
        ([b for *_, b in GOLDS], False),
    ):
        pairs = [(gold, f"So it is $\\boxed{{{answer}}}$.") for gold, answer in zip(golds, answers, strict=True)]
        verdicts = zip(pairs, pool.grade(pairs, "none"), strict=True)
        assert not [pair for pair, verdict in verdicts if verdict.correct != right]


@pytest.mark.parametrize("name", ["hmmt_feb26", "amo_bench", "imo_answerbench"])
@pytest.mark.parametrize("gold", ["proof", "", None])
def test_a_proof_has_no_answer_and_a_benchmark_needs_one(tmp_path, name, gold):
    row, column = LAYOUTS[name]
    (tmp_path / "set.jsonl").write_text(json.dumps(row | {column: gold}) + "\n")
    with pytest.raises(UserError, match="line 1 has no gold answer"):
        read_problems(preset(name), [tmp_path / "set.jsonl"], name, str(tmp_path / "set.jsonl"))
    assert golds_from(gold) == []


def test_a_set_of_another_size_than_its_preset_is_a_sentence(tmp_path):
    (tmp_path / "set.jsonl").write_text(json.dumps(MATHARENA | {"answer": 1}) + "\n")
    sized = preset("hmmt_feb26").model_copy(update={"count": 33})
    with pytest.raises(
        UserError, match=r"1 problems are read, 33 were expected \(count: 33\); is this the set"
    ) as error:
        read_problems(sized, [tmp_path / "set.jsonl"], "hmmt_feb26", "MathArena/hmmt_feb_2026")
    assert len(str(error.value).splitlines()) == 1
