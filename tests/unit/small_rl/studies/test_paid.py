"""paid.json of a small store, as the verb writes it, and what a cut store leaves."""

import json

import pytest

from polaris.stage import manifest
from polaris.stage.manifest import Manifest
from small_rl.rollouts import store
from small_rl.studies import paid
from tests.helpers import tables
from tests.helpers.rollouts import write_store
from tests.helpers.verl_stages import rl_stage


def manifest_in(folder) -> str:
    """A manifest for files that lie there."""
    folder.mkdir(exist_ok=True)
    made = Manifest(folder / "checkpoint.json", folder.name, "made", {}, {}, {}, "", {}, {}, {}, 0.0)
    manifest.write(made)
    return str(made.path)


@pytest.fixture
def stage(tmp_path):
    return write_store(tmp_path / "of", rl_stage("laptop", "core")).parents[1]


def written(stage, tmp_path) -> Manifest:
    """What the verb published."""
    folders = [stage, *(tmp_path / name for name in ("start", "data", "sets"))]
    flags = zip(("--trained", "--start", "--problems", "--sets"), map(manifest_in, folders), strict=True)
    words = [word for pair in flags for word in pair]
    out = tmp_path / "paid" / "core" / "data.json"
    tables.run(paid.main, "--settings", "{}", *words, "--out", str(out))
    return manifest.read(out)


@pytest.mark.slow
def test_the_verb_writes_every_reward_and_the_separation(stage, tmp_path):
    done = written(stage, tmp_path)
    numbers = json.loads(done.file("paid.json").read_text())
    assert numbers == json.loads(json.dumps(paid.paid(stage / "log" / store.FOLDER)))
    recorded, outcome = numbers["rewards"][:2]
    assert (recorded["name"], outcome["name"]) == ("as recorded", "no process reward")
    # p and q of both steps: 3 of 4 groups differ; wrong ones earn .5 .0 .0 .5 .5, right ones 1 each, three of them.
    assert recorded["signal_S"] == [0.5, 1.0] and recorded["process_S"] == pytest.approx([0.5 / 3, 0.5])
    assert recorded["to_wrong"] == pytest.approx(1.5 / 4.5)
    assert done.metrics["signal"] == recorded["signal"]
    assert (numbers["steps"], numbers["missing"]) == ([1, 2], [])
    assert [(row["first"], row["last"]) for row in numbers["quarters"]] == [(1, 1), (2, 2)]


def test_quarters_cover_all_steps():
    assert [list(part) for part in paid.quarters(5)] == [[0], [1], [2], [3, 4]]
    assert [list(part) for part in paid.quarters(2)] == [[0], [1]]


@pytest.mark.slow
def test_a_cut_store_is_used_up_to_the_cut(stage):
    folder = stage / "log" / store.FOLDER
    whole = paid.paid(folder)
    path = store.step_file(folder, 2)
    path.write_bytes(path.read_bytes()[:-100])
    cut = paid.paid(folder)
    assert cut["steps"] == [1]
    assert (
        len(cut["missing"]) == 1 and "step_000002.parquet" in cut["missing"][0] and "is left out" in cut["missing"][0]
    )
    assert cut["rewards"][0]["signal_S"] == whole["rewards"][0]["signal_S"][:1]


def test_a_stage_without_a_store_says_so_and_stops_no_report(tmp_path):
    done = written(tmp_path / "of", tmp_path)
    numbers = json.loads(done.file("paid.json").read_text())
    assert numbers["rewards"] == [] and "there is no rollout store here" in numbers["missing"][0]
