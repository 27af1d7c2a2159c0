"""The search for a temperature on small real tables: what is compared, what is refused, what comes out."""

import json
from pathlib import Path

import pytest

from polaris.generation.settings import Generate
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.records import RESPONSES, write_rows
from polaris.stage.stage import Stage
from small_rl.studies import search_temperature
from tests.helpers import tables

ENGINE = tables.ENGINE | {"max_num_seqs": 8}
SETTINGS = {"grading": tables.GRADING, "tolerance": 0.2, "collapse": 0.5, "reset": None, "confidence": 0.95,
            "resamples": 200, "seed": 0}  # fmt: skip
RESET = {"slight_fall": 0.2, "fine_step": 0.05, "wide_step": 0.1}
NAMES = ("p", "q", "r", "s")
K = 4


def model(folder: Path, entropies: list[float]) -> Path:
    """A trained model's manifest with its curve (the weights do not matter here)."""
    with Stage("polaris.stage.manifest", tables.Given(), {}, folder / "checkpoint.json", "test") as stage:
        (stage.partial / "weights").write_text(str(entropies))
        lines = [json.dumps({"step": i, "entropy": e} if e else {"step": i}) for i, e in enumerate(entropies, 1)]
        (stage.log / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        stage.publish()
    return folder / "checkpoint.json"


def response(right: int, words: int, sample: int) -> str:
    """Right for the first `right` samples; the first `words` words differ from sample to sample, the rest does not."""
    said = " ".join(f"w{i}s{sample}" if i < words else "same" for i in range(12))
    return f"{said}\n</think>\n\n\\boxed{{{5 if sample < right else 6}}}"


def responses(run: Path, at: float, right: int, words: int, problems: Path, of: Path, **changes) -> Path:
    """What polaris.generation.generate would have published at one temperature."""
    sampling = {"temperature": at, "top_p": 1.0, "top_k": -1, "max_tokens": changes.get("max_tokens", 32), "seed": 1}
    k = changes.get("k", K)
    asked = Generate(k={problems.parent.name: k}, instruction="", sampling=sampling, engine=ENGINE)
    inputs = {"model": manifest.read(of), "problems": [manifest.read(problems)]}
    rows = [
        {"set": problems.parent.name, "problem_id": name, "sample": s, "seed": s, "response": response(right, words, s),
         "tokens": 20, "finish_reason": "stop"}
        for name in NAMES
        for s in range(changes.get("written", k))
    ]  # fmt: skip
    out = run / f"T={at}" / "data.json"
    with Stage("polaris.generation.generate", asked, inputs, out, "test") as stage:
        write_rows(stage.partial / "responses.parquet", rows, RESPONSES)
        stage.publish()
    return out


@pytest.fixture
def problems(tmp_path):
    return tables.problems(tmp_path / "held", [{"id": name, "answers": ["5"]} for name in NAMES])


@pytest.fixture
def start(tmp_path):
    return model(tmp_path / "start", [])


def search(out: Path, problems: Path, given: list[Path], settings=SETTINGS, **flags) -> dict:
    words = [word for name, path in flags.items() for word in (f"--{name}", path)]
    words += ["--settings", json.dumps(settings), "--problems", problems, "--responses", *given]
    tables.run(search_temperature.main, *words, "--out", out / "data.json")
    return json.loads(manifest.read(out / "data.json").file("temperature.json").read_text())


def grid(run: Path, rows, problems: Path, of: Path, **changes) -> list[Path]:
    return [responses(run, at, right, words, problems, of, **changes) for at, right, words in rows]


FIRST = [(0.6, 4, 2), (1.0, 4, 4), (1.4, 4, 6), (1.6, 3, 8), (1.8, 1, 12)]


def test_a_first_choice(tmp_path, problems, start):
    found = search(tmp_path / "first", problems, list(reversed(grid(tmp_path, FIRST, problems, start))))
    assert (found["temperature"], found["rule"], found["notes"]) == (1.4, "first", [])
    rows = found["grid"]
    assert [row["temperature"] for row in rows] == [0.6, 1.0, 1.4, 1.6, 1.8]
    assert [row["accuracy"] for row in rows] == [1.0, 1.0, 1.0, 0.75, 0.25]
    assert [row["zone"] for row in rows] == ["robust generation"] * 3 + [
        "controlled exploration",
        "performance collapse",
    ]
    assert rows[-1]["to_best"] == -0.75 and rows[-1]["to_best_interval"] == [-0.75, -0.75]
    diversities = [row["diversity"] for row in rows]
    assert diversities == sorted(diversities) and found["target_diversity"] == diversities[2]
    # 14 words and so 11 grams a response; with w words of its own w grams are its own, 3 are shared
    assert diversities[2] == pytest.approx((4 * 6 + 3) / 44)
    done = manifest.read(tmp_path / "first" / "data.json")
    assert done.metrics["temperature"] == 1.4 and "<svg" in done.file("index.html").read_text()


RESETS = [(1.4, 4, 4), (1.45, 4, 5), (1.5, 4, 6), (1.6, 3, 12)]


def test_a_reset_goes_back_to_the_first_diversity(tmp_path, problems, start):
    search(tmp_path / "first", problems, grid(tmp_path, FIRST, problems, start))
    core = model(tmp_path / "core", [1.0] * 10 + [0.9] * 10)
    given = grid(tmp_path / "core", RESETS, problems, core)
    flags = {"last": tmp_path / "first" / "data.json", "trained": core}
    found = search(tmp_path / "second", problems, given, SETTINGS | {"reset": RESET}, **flags)
    assert (found["temperature"], found["rule"], found["last"]) == (1.5, "reset", 1.4)
    assert found["entropy"]["fall"] == pytest.approx(0.1) and found["entropy"]["wanted_step"] == 0.05
    assert found["entropy"]["too_coarse"] and "asks for steps of 0.05; the grid has one of 0.1" in found["notes"][0]
    with pytest.raises(UserError, match="no temperature from 1.5"):
        third = grid(tmp_path / "third", [(1.0, 4, 6), (1.6, 1, 8)], problems, core)
        flags = {"last": tmp_path / "second" / "data.json"}
        search(tmp_path / "third", problems, third, SETTINGS | {"reset": RESET}, **flags)


def test_a_curve_without_entropy_is_no_rl_stage(tmp_path, problems, start):
    search(tmp_path / "first", problems, grid(tmp_path, FIRST, problems, start))
    core = model(tmp_path / "core", [0, 0])
    given = grid(tmp_path / "core", RESETS, problems, core)
    with pytest.raises(UserError, match="has no entropy: it is no RL stage"):
        flags = {"last": tmp_path / "first" / "data.json", "trained": core}
        search(tmp_path / "second", problems, given, SETTINGS | {"reset": RESET}, **flags)


def test_responses_too_short_for_diversity_still_have_an_accuracy(tmp_path, problems, start):
    given = grid(tmp_path, [(0.5, 4, 1), (1.0, 1, 1)], problems, start)
    for path in given:
        table = path.parent / "responses.parquet"
        rows = [row | {"response": "\\boxed{5}</think>\\boxed{5}"} for row in tables.read(path, "responses.parquet")]
        record = json.loads(path.read_text())
        write_rows(table, rows, RESPONSES)
        record["files"]["responses.parquet"] = {"size": table.stat().st_size, "xxh3": manifest.file_digest(table)}
        path.write_text(json.dumps(record))
    found = search(tmp_path / "first", problems, given)
    assert found["temperature"] == 1.0 and found["target_diversity"] is None
    assert found["problems_without_ngrams"] == 4 and "The choice is the hottest" in found["notes"][0]
    core = grid(tmp_path / "more", RESETS, problems, start)
    with pytest.raises(UserError, match="diversity is not defined"):
        search(tmp_path / "2", problems, core, SETTINGS | {"reset": RESET}, last=tmp_path / "first" / "data.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 3}, "its k is 3, but .* has 4; they must be equal"),
        ({"max_tokens": 31}, "its max_tokens is 31, but .* has 32"),
        ({"written": 3}, "problem p has 3 responses, not 4"),
    ],
)
def test_unequal_temperatures_are_refused(tmp_path, problems, start, changes, message):
    given = [
        responses(tmp_path, 0.5, 4, 4, problems, start),
        responses(tmp_path, 1.0, 4, 4, problems, start, **changes),
    ]
    with pytest.raises(UserError, match=message):
        search(tmp_path / "first", problems, given)


def test_other_problems_models_and_repeated_temperatures_are_refused(tmp_path, problems, start):
    one = responses(tmp_path, 0.5, 4, 4, problems, start)
    harder = tables.problems(
        tmp_path / "else" / "held", [{"id": n, "answers": ["5"], "problem": "other"} for n in NAMES]
    )
    for other, message in [
        (responses(tmp_path / "a", 1.0, 4, 4, harder, start), "its problems is"),
        (responses(tmp_path / "b", 1.0, 4, 4, problems, model(tmp_path / "m", [0.5])), "its model is"),
        (responses(tmp_path / "c", 0.5, 4, 4, problems, start), "temperature 0.5 is that of"),
    ]:
        with pytest.raises(UserError, match=message):
            search(tmp_path / "first", problems, [one, other])
    with pytest.raises(UserError, match="needs two temperatures"):
        search(tmp_path / "first", problems, [one])
    with pytest.raises(UserError, match="polaris.stage.manifest wrote it, not polaris.generation.generate"):
        search(tmp_path / "first", problems, [one, start])
    with pytest.raises(UserError, match="--last and the key `reset` belong together"):
        search(tmp_path / "first", problems, [one], SETTINGS | {"reset": RESET})
