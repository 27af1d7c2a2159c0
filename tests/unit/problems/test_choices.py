"""Choices are seen in every form, and letters that name points, drawings, towns and parts are none."""

import time

import pytest

from polaris.problems.choices import multiple_choice

ASY = "What is the area of the square $ABCD$?\n[asy]\ndraw(A--B--C--D--A);\ndot(A); dot(B);\ndot(C);dot(D);\n{}[/asy]"


@pytest.mark.parametrize(
    ("text", "golds"),
    [
        ("Which number is even?\nA: 3\nB: 4", ["B"]),
        ("Which number is even?\nA: 3\nB: 4", ["4"]),
        ("Which number is even?\nA: 3\nB: 4\nC: 5\nD: 7", ["4"]),
        ("What is 2+3? A. 5 B. 6", ["A"]),
        ("What is 2+3? A. 5 B. 6", ["5"]),
        ("What is 2+3? A. 5 B. 6 C. 7 D. 8", ["$5$"]),
        ("What is 2+3? A) 5 B) 6 C) 7 D) 8", ["A. 5"]),
        ("哪个数是偶数？（A）3 （B）4", ["B"]),
        ("哪个数是偶数？（Ａ）3 （Ｂ）4", ["4"]),
        ("下列数中，偶数是（ ）\nA．3  B．4  C．5  D．7", ["4"]),
        ("下列哪个数是偶数？（1）3（2）4", ["(2)"]),
        ("下列哪个数是偶数？（1）3（2）4", ["（2）"]),
        ("下列哪个数是偶数？（1）3（2）4（3）5（4）7", ["2"]),
        ("Which number is even? (1) 3 (2) 14 (3) 5", ["14"]),
        ("Enter the letter.\n(A) Line\n(B) Circle\n(C) Plane\n(D) Sphere", [r"\text{(B)}"]),
        ("How many are red? I see (A) 1 (B) 2 (C) 3 (D) 4 of them. What is it?", ["1"]),
        (ASY.format('label("(A) $1$", y);\nlabel("(B) $2$", y);\nlabel("(C) $3$", y);\nlabel("(D) 4", y);\n'), ["B"]),
    ],
)
def test_choices(text, golds):
    assert multiple_choice(text, golds)
    assert multiple_choice(text, golds) in text


@pytest.mark.parametrize(
    ("text", "golds"),
    [
        (ASY.format(""), ["16"]),
        (ASY.format('label("$A$", A);\nlabel("$B$", B); label("C", C); label("D", D);\n'), ["16"]),
        (ASY.removesuffix("[/asy]"), ["16"]),
        ("Point (A) lies on (B).", ["A"]),
        ("Town A: 3 km away. Town B: 4 km away. Which is closer?", ["A"]),
        ("What do we know? Town A: 3 km away. Town B: 4 km away. Which is closer?", ["A"]),
        ("Which integer is largest, where (1) it is even and (2) it divides 6.", ["2"]),
        ("How far is it from town A. B. Smith asks.", ["3"]),
        ("Let f satisfy: (1) f(1)=1; (2) f is odd; (3) f(2)=3; (4) f(3)=4. Find f(4).", ["4"]),
        ("Find f(3), where (1) f(1)=1; (2) f is odd; (3) f(2)=3; (4) f(x+1)=f(x)+2.", ["3"]),
        ("求：（1）最大值；（2）最小值。", ["2"]),
        ("Pumps work alone A: 1 h, B: 2 h, C: 3 h, D: 4 h. How long do they take together?", ["12/25"]),
        ("Which of $f(A), f(B), f(C)$ is largest?", ["7"]),
    ],
)
def test_no_choices(text, golds):
    assert multiple_choice(text, golds) is None


@pytest.mark.parametrize(
    "part",
    ["(A)", "A. ", "A: 1 B: 2 ", "\nA)", "[asy]", '[asy]"', "（1）", "(1)(2)(3)", "? (1) ", "\\quad (", "A. ? B. "],
)
def test_odd_texts_take_linear_time(part):
    started = time.process_time()
    multiple_choice(part * (100_000 // len(part)), ["A", "5"])
    assert time.process_time() - started < 5
