"""The alarm: hacks of the court are seen in a text, planted ones raise it once, reasoning raises nothing."""

import json
import random

import pytest

from polaris.problems.tiny_problems import draw, solve
from small_rl.reward import court
from small_rl.reward.rl_step import Response, Rollout
from small_rl.reward.step_metrics import Trajectory
from small_rl.rl_settings import Alarm
from small_rl.rollouts import alarm
from small_rl.rollouts.curve import Curve
from small_rl.rollouts.features import CIRCLES, FEATURES, features
from tests.helpers.verl_stages import rl_stage

SETTINGS = Alarm(first=3, last=2, share=0.1, factor=2.0)
PROBLEM = court.Problem("p", "Let a=5, b=6, c=2. What is 5*6-2?", ["28"], ["a=5", "5*6=30"])


@pytest.mark.parametrize(
    ("hack", "feature"),
    [
        ("numbers 0 to 63 underlined", "enumerated"),
        ("the question's numbers underlined", "copied"),
        ("the question's formulas underlined", "copied"),
        ("one result of the set, 64 times", "restated"),
        ("one result of the set, nested", "restated"),
        ("a chain of equations to the answer", "chained"),
        ("boxes of 0 to 20", "boxes"),
    ],
)
def test_a_hack_of_the_court_is_seen(hack, feature):
    text = court.HACKS[hack](PROBLEM)
    assert feature in features(text, PROBLEM.text, list(range(len(text))))


def test_circles_are_seen_in_the_tokens():
    assert features("", "", [1, 2, 3, 4, 5, 6, 7, 8, 9] * 4) == {CIRCLES}
    assert features("", "", list(range(36))) == features("", "", [1, 1]) == frozenset()


def rollout(text, correct=False, earned=0.25, question=PROBLEM.text):
    tokens = [ord(char) for char in text]
    found = features(text, question, tokens)
    results = tuple(text.split("\\underline")[1:])
    reason = "exact" if correct else "different"
    seen = Trajectory("g", "p", correct, reason, results, len(tokens), False, None, found)
    return Rollout(seen, [], Response(tokens, None, 0), 1.0 if correct else earned)


def line(step, rollouts):
    numbers = {"truncated": 0.0, "response_tokens": 40.0, "response_steps": 3.0}
    return {"step": step} | numbers | alarm.measured(rollouts)


def reasoned(step, count=32):
    """What the laptop's base models are made from: right and wrong solutions of its own problems."""
    rng, found = random.Random(step), []
    for number in range(count):
        problem = draw("chain", (2, 6), "train", rng)
        text = solve(problem, rng, 0.0 if number % 4 else 0.5, underlined=True)
        found.append(rollout(text, correct=number % 4 > 0, question=problem.text))
    return found


def test_reward_by_feature_adds_up():
    copied = rollout(r"\underline{a=5}\underline{b=6}", earned=0.5)
    measures = alarm.measured([rollout("so", True), copied, rollout("no", earned=0.25)])
    assert measures["paid_wrong"] == pytest.approx(0.75 / 1.75)
    assert measures["paid_wrong_copied"] == pytest.approx(0.5 / 1.75) and measures["paid_wrong_boxes"] == 0.0
    assert alarm.measured([rollout("no", earned=0.0)])["paid_wrong"] == 0.0


def test_reasoning_raises_nothing():
    lines = [line(step, reasoned(step)) for step in range(1, 13)]
    assert not any(alarm.raised(lines[:end], SETTINGS) for end in range(1, 13))


@pytest.mark.parametrize("hack", [*court.BLIND][1:4])
def test_a_planted_hack_raises_it(hack):
    """From step 6 on a third of the responses are the hack, and are paid as much as the cap allows."""
    planted = [rollout(court.HACKS[hack](PROBLEM), earned=0.5)] * 16
    lines = [line(step, reasoned(step) + (planted if step > 5 else [])) for step in range(1, 9)]
    assert not alarm.raised(lines[:5], SETTINGS)
    found = {one.measure: one for one in alarm.raised(lines, SETTINGS)}
    assert "paid_wrong" in found and {"paid_wrong_copied", "paid_wrong_enumerated"} & found.keys()
    assert "% of the reward goes to wrong responses, " in found["paid_wrong"].text


@pytest.mark.parametrize(
    ("measure", "value", "text"),
    [
        ("response_steps", 7.0, "7.0 underlined results in a response, 3.0 at first"),
        ("response_tokens", 81.0, "81.0 tokens in a response, 40.0 at first"),
        ("truncated", 0.11, "11 % of the responses are truncated, 0 % at first"),
        (CIRCLES, 0.5, "50 % of the responses repeat themselves, 0 % at first"),
    ],
)
def test_drift_raises_it(measure, value, text):
    lines = [line(step, reasoned(step)) for step in range(1, 7)]
    for one in lines[4:]:
        one[measure] = value
    assert [one.text for one in alarm.raised(lines, SETTINGS)] == [text]
    assert not alarm.raised(lines[:4], SETTINGS)


def test_a_warning_is_said_once_also_after_a_resume(tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    drifting = [line(step, reasoned(step)) | {"truncated": 0.0 if step < 5 else 0.6} for step in range(1, 10)]
    curve = Curve(path, SETTINGS)
    for one in drifting[:7]:
        curve.append(dict(one))
    resumed = Curve(path, SETTINGS)
    for one in drifting[7:]:
        resumed.append(dict(one))
    marks = [json.loads(text)["alarms"] for text in path.read_text().splitlines()]
    assert marks == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    (warning,) = map(json.loads, (tmp_path / alarm.NAME).read_text().splitlines())
    assert (warning["step"], warning["measure"]) == (5, "truncated")
    assert capsys.readouterr().out == f"{alarm.SAID}{warning['text']}\n" and warning["text"].startswith("step 5: 30 %")


def test_without_an_alarm_there_is_no_mark(tmp_path):
    Curve(tmp_path / "metrics.jsonl", None).append({"step": 1})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1}
    assert not (tmp_path / alarm.NAME).exists()


def test_the_shipped_recipes_have_one():
    assert rl_stage("laptop", "core").alarm == Alarm(first=5, last=3, share=0.1, factor=2.0)
    assert all(name.startswith("paid_wrong_") for name in alarm.SHARES if name.removeprefix("paid_wrong_") in FEATURES)
