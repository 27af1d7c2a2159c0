"""Which sets a model cannot have seen: only what certainly lies after it counts as newer."""

import pytest

from polaris.evaluation.dates import date_rows, is_newer, latest, on_seen_sets


@pytest.mark.parametrize(
    ("benchmark", "model", "newer"),
    [
        ("2026-02-14", "2025-08", True),
        ("2025-08", "2025-08", False),  # within the same month nobody knows
        ("2025-09", "2025-08-31", True),
        ("2025", "2025-01", False),
        ("2026", "2025", True),
        ("2025-02", "2025", False),
        (None, "2025", None),
        ("2025", None, None),
    ],
)
def test_only_what_is_certainly_later_is_newer(benchmark, model, newer):
    assert is_newer(benchmark, model) is newer


def test_what_was_made_of_several_things_has_the_latest_date():
    assert latest(["2025-03", "2025-08", "2024"]) == "2025-08"
    assert latest(["2025-03-31", "2025"]) == "2025"  # which may be December
    assert latest(["2025-03", None]) is None and latest([]) is None


def pair(a: str, b: str, benchmark: str, **values: object) -> dict:
    return {"a": a, "b": b, "benchmark": benchmark, "interval": [0.1, 0.2], "p_holm": 0.001} | values


def test_verdicts_that_rest_on_sets_that_a_model_may_have_seen():
    models, sets = {"old": "2025-01", "new": "2025-06"}, {"early": "2024", "between": "2025-03", "late": "2026"}
    rows = date_rows(models, sets, ["early", "between", "late", "undated"])
    assert rows[0] == {
        "name": "old", "date": "2025-01", "newer": ["between", "late"], "seen": ["early"], "unknown": ["undated"],
    }  # fmt: skip
    pairs = [pair("new", "old", name) for name in ("early", "between", "late", "undated", "average")]
    found = on_seen_sets(pairs, rows, ["early", "between", "late"], 0.95)
    assert [(row["benchmark"], row["seen_by"]) for row in found] == [("early", ["new", "old"]), ("between", ["new"])]
    # The mean rests on them where all of its sets are such ones; an extra evaluation is the same model.
    mean = on_seen_sets([pair("new@card", "old", "average")], rows, ["early", "between"], 0.95)
    assert [row["seen_by"] for row in mean] == [["new@card"]]
    nothing = pair("new", "old", "early", interval=[-0.1, 0.2])
    assert not on_seen_sets([nothing, nothing | {"judgement": "cannot be told"}], rows, ["early"], 0.95)
    assert on_seen_sets([nothing | {"judgement": "consistent"}], rows, ["early"], 0.95)
