"""Intermediate results: which underlined results state the final answer."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_rl.reward.intermediate import intermediate, states
from small_rl.reward.results import parse_results, result_form

STATED = {
    "12": [
        # as results of real models
        "12", "(12)", "12 cm", r"\boxed{12}", "Answer: 12", "c=12", r"1200\%", "12%", "12.0", "+12", r"\frac{24}{2}",
        r"\text{The answer is } 12", "The final answer is 12.", "so there are 12 ways", r"12\text{ apples}",
        r"12^\circ", "$12$", r"\mathbf{12}",
        r"\{12\}", r"x\in\{12\}", "[12]", "((12))", r"\left(12\right)", "(c=12)", r"\boxed{c=12}",
        r"c=3\cdot4\approx 12", r"\therefore c=12", r"n = 12 \Rightarrow 12", "c:=12", "&=12", "12=c", "a=5,c=12",
        r"12 \text{ cm}^2", r"12 \mathrm{~m/s}", "12 m", r"\$12", r"x=12 \text{ cm}", "Total = 3 + 9 = 12 apples",
        r"c\equiv 12\pmod{50}", "c = 12 (mod 50)", r"\textcolor{red}{12}", "**12**", r"12\checkmark", "f(3) = 12",
        r"\boxed{12}\text{ is the answer}", r"\overline{AB}=12", "e=2*6=12", "a=12,b=5",
    ],
    "0": ["e=2*5=0", "0"],
    "2358": ["sort=2358"],
    r"\frac{1}{2}": ["p=0.5", "1/2", r"50\%"],
    r"\sqrt{2}": [r"x=\sqrt{2}", r"\left(\sqrt{2}\right)"],
    "(1,2)": ["(x,y)=(1,2)", "(1, 2)"],
    "12 cm": ["12", "c=12", r"12\text{ cm}"],
    "x=12": ["12", "y=12", "x=12"],
    "x+1": ["f=x+1", "x+1=5"],
    "1{,}234": ["n=1,234"],
    "3,12": ["x=3,12"],
    r"\{1,2\}": [r"S=\{1,2\}"],
    "no solution": [r"\text{No solution}"],
}  # fmt: skip
INTERMEDIATE = {
    "12": [
        "c=3*4", r"x\le12", "x<=12", r"x\neq12", "x!=12", "12x", "c=12x", r"\frac{12}{5}", "(3,12)", r"\{3,12\}",
        "2,3,12", "f(12)=5", "12+1=13", "12-c=5", "c=13", "112", "c=120", "-12", "c=-12", "x^{12}=1", "c_{12}=7",
        "12:5", "c=12!", r"\sin12=0.2", r"\frac{c}{12}=2", "e=2*5=0",
    ],
    "5": ["x_5=3", "sin5=0.1"],
    "a": ["a=2"],  # a name, no claim
    "C": ["C=5"],
    "x=12": ["x=13"],
    "(1,2)": ["x=1"],
    "2": ["a=2x+1"],
    "": ["x=1"],
}  # fmt: skip


def pairs(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(answer, span) for answer, spans in table.items() for span in spans]


@pytest.mark.parametrize(("answer", "span"), pairs(STATED))
def test_a_result_that_states_the_answer(answer, span):
    assert states(result_form(span), answer)


@pytest.mark.parametrize(("answer", "span"), pairs(INTERMEDIATE))
def test_a_result_on_the_way_to_the_answer(answer, span):
    assert not states(result_form(span), answer)


def test_what_states_none_of_the_answers_is_left_in_its_order():
    assert intermediate(["b=2", "c=5", "a=1", "7"], ["5", "7"]) == ("b=2", "a=1")
    assert intermediate(["b=2"], []) == ("b=2",)


DRESSINGS = [
    "({})", "[{}]", r"\boxed{{{}}}", r"\{{{}\}}", "x={}", "{}=x", "Answer: {}", r"{}\text{{ cm}}", r"\therefore {}",
    "(x={})", "a=1,b={}",
]  # fmt: skip


@given(st.integers(2, 10**6), st.lists(st.sampled_from(DRESSINGS[:4]), max_size=3), st.sampled_from(DRESSINGS))
def test_dressing_hides_no_answer_and_makes_none(number, inner, outer):
    span = str(number)
    for dressing in (*inner, outer):
        span = dressing.format(span)
    assert states(result_form(span), str(number))
    assert not states(result_form(span), str(number + 1))


@given(st.text(alphabet="a1=,(){}[]\\<!%:~ \u2248", max_size=60), st.text(alphabet="a1=,(){}\\%", max_size=8))
def test_any_text_is_read(result, answer):
    states(result, answer)


@pytest.mark.parametrize("text", ["=" * 256, "(" * 127 + "1" + ")" * 127, "(" + "1=2," * 60 + ")", "a=(b," * 50])
def test_no_result_takes_long(text):
    started = time.process_time()
    states(text, "12")
    assert time.process_time() - started < 0.5


@pytest.mark.skipif("POLARIS_DATA" not in os.environ, reason="POLARIS_DATA: the folder with qwen3_tokenizer")
@pytest.mark.slow
def test_results_as_a_real_tokenizer_decodes_them():
    """A response as the rollouts read it: from token ids, special tokens included."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(Path(os.environ["POLARIS_DATA"]) / "qwen3_tokenizer")
    for spans, left in ((STATED["12"], []), (INTERMEDIATE["12"], INTERMEDIATE["12"])):
        text = "<think>" + " so ".join(rf"\underline{{{span}}}" for span in spans) + r"</think>\boxed{12}<|im_end|>"
        results = parse_results(tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]))
        assert results == tuple(dict.fromkeys(map(result_form, spans)))
        assert intermediate(results, ["12"]) == tuple(map(result_form, left))


def test_a_bracket_that_is_never_closed_hides_no_answer():
    assert intermediate(["e=0*(=0", "f=(3+1=4", "g=(2)=5"], ["0"]) == ("f=(3+1=4", "g=(2)=5")
