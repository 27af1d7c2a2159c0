"""The detectable difference before a run is what the report computes from verdicts with that spread."""

import math

import numpy as np
import pytest

from polaris.evaluation import significance
from polaris.planning import effects
from polaris.recipe import recipe
from tests.helpers.recipes import ROOT


@pytest.mark.parametrize(("n", "k", "p", "spread"), [(30, 16, 0.85, 0.0), (400, 2, 0.5, 0.2), (100, 4, 0.7, 0.2)])
def test_it_is_the_reports_effect_of_models_that_differ_so(n, k, p, spread):
    rng = np.random.default_rng(7)
    found = []
    for _ in range(300):
        shift_P = spread / 2 * rng.choice([-1, 1], size=n)
        a_PG, b_PG = (rng.random((n, k)) < np.clip(p + sign * shift_P, 0, 1)[:, None] for sign in (1, -1))
        found.append(significance.detectable([significance.differences(a_PG, b_PG)], 0.95, 0.8))
    variance = effects.variances(n, k, p)[effects.SPREADS.index(spread)]
    assert significance.effect([variance], 0.95, 0.8) == pytest.approx(np.mean(found), rel=0.06)


def test_the_table_of_the_audit():
    audit = recipe.load([ROOT / "configs/polaris_v2_audit.yaml"])
    lines = effects.lines(audit)
    cells = {line.split()[0]: line.split() for line in lines if line}
    assert cells["imo_answerbench"][1:4] == ["400", "2", "50.0"] and cells["hmmt_feb26"][1:3] == ["33", "16"]
    assert float(cells["aime25"][3]) == pytest.approx((80.9 + 82.4 + 91.8) / 3, abs=0.05)  # of the V2 blog
    low, high = map(float, cells["imo_answerbench"][4].split("-"))
    assert low == pytest.approx(100 * 2.8016 * math.sqrt(0.25 / 400), abs=0.06) and low < high
    assert len(cells["mean"]) == 2 and "shown in 80 % of evaluations" in lines[-1]


def test_a_file_is_counted_and_one_that_is_not_here_is_not_guessed_at(tmp_path):
    file = tmp_path / "mine.jsonl"
    sets = (
        f"{{models: {{a: {{path: /a}}, b: {{path: /b}}}}, benchmarks: [{{mine: {{file: {file}, gold: every, k: 3}}}}]}}"
    )
    text = f"extends: [evaluation]\nrun: r\ninputs: {sets}"
    (tmp_path / "r.yaml").write_text(text)
    made = recipe.load([tmp_path / "r.yaml"])
    assert effects.lines(made)[3].split() == ["mine", "–", "3", "50.0", "–"]
    file.write_text("".join(f'{{"problem": "{n}?", "answer": {n}}}\n' for n in range(12)))
    assert effects.lines(made)[3].split()[1] == "12"
