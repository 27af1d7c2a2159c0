"""Underlined intermediate results: which spans count, and when two are the same."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_rl.reward.results import MAX_LENGTH, MAX_SPANS, parse_results, result_form, underlined

SPANS = [
    (r"so \underline{a=3}, then \underline{b = 4}.", ["a=3", "b = 4"]),
    (r"\underline {a=3}", ["a=3"]),
    (r"\underline{\frac{1}{2}}", [r"\frac{1}{2}"]),
    (r"\underline{a+\underline{b}}", [r"a+\underline{b}"]),
    (r"\underline{\{1,2\}}", [r"\{1,2\}"]),
    (r"\underline{1 \\ 2} }", [r"1 \\ 2"]),
    (r"\underline{unclosed \underline{c=5} more", ["c=5"]),
    (r"\underline{one} {\underline{two}", ["one", "two"]),
    (r"}}\underline{a}", ["a"]),
    (r"\boxed{\underline{5}}", ["5"]),
    (r"\underline{" + "x" * (MAX_LENGTH + 1) + r" \underline{c=5}}", ["c=5"]),
    (r"\underline{" + "x" * MAX_LENGTH + "}", ["x" * MAX_LENGTH]),
    (r"\underline a", []),
    (r"1 \\underline{a} \\\underline{b=2}", ["b=2"]),
    (r"{ \underline{a=1} \{ \underline{b=2} }", ["a=1", "b=2"]),
    (r"\underlined{a}", []),
    ("", []),
]


@pytest.mark.parametrize(("response", "spans"), SPANS)
def test_spans(response, spans):
    assert underlined(response) == spans


@pytest.mark.parametrize(
    ("span", "form"),
    [
        ("c=47+3=50", "c=47+3=50"),
        (" $c = 47 + 3 = 50.$ ", "c=47+3=50"),
        (r"\dfrac{1}{2}", r"\frac{1}{2}"),
        ("n = 1,234", "n=1234"),
        (r"a+\underline{b}", "a+b"),
        (r"\text{Area} = 5", "Area=5"),
        ("No solution", "nosolution"),
        ("x", ""),
        ("7", "7"),
        (r"\text{x}", ""),
        ("  ", ""),
        ("...", ""),
        ("=", ""),
        (r"\Rightarrow", ""),
        (r"\pi", ""),
        (r"2\pi", r"2\pi"),
        (r"\{\}", ""),
        (r"+\,-", ""),
        ("√", ""),
        ("this is a whole sentence about what we shall do next.", ""),
        ("sort=2358", "sort=2358"),
    ],
)
def test_normal_form(span, form):
    assert result_form(span) == form


def test_steps_are_in_order_each_once_and_without_empty_ones():
    response = r"\underline{b = 2}\underline{}\underline{a=1}\underline{ b=2 }\underline{x}</think>\boxed{2}"
    assert parse_results(response) == ("b=2", "a=1")


def test_underlining_everything_does_not_pay():
    spam = "".join(f"\\underline{{x={n}}}" for n in range(1000))
    assert parse_results(spam) == tuple(f"x={n}" for n in range(MAX_SPANS))


pieces = st.sampled_from(
    ["\\underline{", "\\underline {", "{", "}", "\\{", "\\}", "\\\\", "\\", "a=1", " ", "$", "\0", "é"]
)


@given(st.lists(pieces, max_size=40).map("".join))
def test_any_text_is_parsed(text):
    spans = underlined(text)
    assert all(span in text and len(span) <= MAX_LENGTH for span in spans)
    results = parse_results(text)
    assert len(set(results)) == len(results) <= len(spans) and "" not in results


@given(
    st.lists(st.text(alphabet="abc123=+ ", min_size=2, max_size=20), max_size=10),
    st.text(alphabet="xyz ,.", max_size=9),
)
def test_what_was_underlined_is_found(results, between):
    assert underlined(between.join(f"\\underline{{{result}}}" for result in results)) == results


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("\\underline{" * 50_000, 0),
        ("\\underline{" * 20_000 + "x=1" + "}" * 20_000, 1),
        ("{" * 600_000 + "\\underline{a=1}", 1),
        ("\\underline{" + "}" * 600_000, 0),
        ("thinking about it \\underline{x=12} " * 20_000, 1),
    ],
    ids=["unclosed", "nested", "open", "closed", "many"],
)
def test_parsing_is_linear(text, count):
    started = time.process_time()
    assert len(parse_results(text)) == count
    assert time.process_time() - started < 3
