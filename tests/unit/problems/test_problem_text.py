"""One spelling for the same text; two for what is not the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.problems.problem_text import tokens, words


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Find $x+y$.", "find X + Y"),
        (r"\left( \frac{1}{2} \right)", r"(\dfrac12 )"),
        ("1,200 apples", r"$1{,}200$ apples"),
        (r"$2\,x$ and $3\;y$", "$2x$ and $3y$"),
        (r"5 \text{ cm}", r"$5\mathrm{cm}$"),
        (r"3 \times 4", "3×4"),
        ("a − b", "$a-b$"),
        ("points P, Q and R", "points $P,Q$ and $R$"),
        ("a 9-kilometer-long walk", "a 9 kilometer long walk"),
        ("x² + 1", "x2 + 1"),
        ("ﬁnd", "FIND"),
        (r"\begin{align*}x=1\end{align*}", "x = 1"),
    ],
)
def test_the_same(a, b):
    assert tokens(a) == tokens(b) != []
    assert words(a) == words(b) != []


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("3+4", "3-4"), (r"\sin x", r"\cos x"), ("5!", "5"), (r"\sqrt{5}", "5"), ("x<y", "x>y"), ("12", "1 2"),
        ("x^2", "x2"), ("ab+c", "a+bc"),
    ],
)  # fmt: skip
def test_not_the_same(a, b):
    assert tokens(a) != tokens(b)


def test_single_letters_are_one_word_however_they_are_spaced():
    assert words("let $x y$ be") == words("let $xy$ be") == ["let", "xy", "be"]
    assert words("Is x prime? A prime y is.") == ["is", "x", "prime", "a", "prime", "y", "is"]
    assert words("Find x. A prime.") == ["find", "x", "a", "prime"]


def test_words_are_letters_and_digits_alone():
    assert words(r"Find $\frac{x+10}{2}$, where $y \le 3$.") == ["find", "x", "10", "2", "where", "y", "3"]


def test_a_script_without_blanks_is_read_by_character():
    assert words("求 x=1 的解") == ["求", "x", "1", "的", "解"]


@given(st.text(max_size=300))
def test_any_text_has_tokens_and_is_stable(text):
    found = tokens(text)
    assert all(token and not token.isspace() for token in found)
    assert tokens(" " + text + " ") == found
    assert [word for word in words(text) if not any(map(str.isalnum, word))] == []
