"""Published results that were changed, cut, or made to harm: each fault is named in a sentence."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polaris.commands.record import layout
from polaris.commands.record.layout import RECORD, ROWS
from polaris.commands.record.verifying import verify
from polaris.stage.errors import UserError
from polaris.stage.manifest import file_digest
from tests.helpers import published_run

STRONG = layout.responses_file("strong", "open")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        published_run.published(published_run.make(folder), folder / "out", ("strong",))
    return folder / "out"


@pytest.fixture
def out(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "out"))


def rewrite(out: Path, change, sealed: bool = True) -> None:
    """Other rows in the strong model's file; sealed: with the digest that belongs to them."""
    rows = pq.read_table(out / STRONG).to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=ROWS), out / STRONG)
    if sealed:
        edit(out, lambda record: record["files"].update({STRONG: described(out / STRONG)}))


def described(path: Path) -> dict:
    return {"size": path.stat().st_size, "xxh3": file_digest(path)}


def edit(out: Path, change) -> None:
    record = json.loads((out / RECORD).read_text())
    change(record)
    (out / RECORD).write_text(json.dumps(record))


def flip(rows):
    rows[1] |= {"correct": False, "reason": "different"}


def reword(rows):
    rows[0]["response"] = rows[0]["response"].replace("Anna", "Emma")


def answer_again(rows):
    """The wrong response made right, with its digest and verdict: only the score does not follow."""
    text = "Well: \\boxed{180}"
    rows[5] |= {"response": text, "digest": layout.digest(text), "correct": True, "reason": "exact", "answer": "180"}


def drop(rows):
    del rows[6]


def repeat(rows):
    rows[6] = dict(rows[7])


def contradict(rows):
    rows[5]["reason"] = "exact"


def empty(rows):
    rows[0]["response"] = None


def test_as_it_was_published(out):
    found = verify(out, {})
    assert found.said == [] and found.graded == 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            flip,
            "problem q1, sample 1: it is stored as wrong (different, answer '60'), and graded again it is right (exact",
        ),
        (reword, "problem q1, sample 0: this is not the response that was graded: its digest differs"),
        (drop, "problem q4, sample 0: the response is missing"),
        (repeat, "1 responses stand there twice"),
        (contradict, "problem q3, sample 1: it is stored as wrong, for the reason 'exact'"),
        (empty, "problem q1, sample 0: its text is left out, which the licence of open does not ask for"),
    ],
)
@pytest.mark.parametrize("sealed", [True, False])
def test_what_was_changed_in_a_response_file_is_named(out, change, words, sealed):
    rewrite(out, change, sealed)
    said = verify(out, {}).said
    assert any(sentence.startswith(STRONG) and words in sentence for sentence in said)
    assert sealed == (not any("it was changed or cut" in one or "its digest is not" in one for one in said))
    assert all(len(sentence.splitlines()) == 1 for sentence in said)


def test_a_score_that_the_responses_do_not_give(out):
    rewrite(out, answer_again)
    said = verify(out, {}).said
    assert f"{RECORD}: scores, strong on open: avg is 0.875, and the responses give 1.0" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["scores"][0].update(avg=0.9), "scores, strong on open: avg is 0.9, and the responses give 0.875"),
        (lambda r: r["scores"][0]["interval"].reverse(), "scores, strong on open: interval is"),
        (lambda r: r["scores"].pop(), "scores: there are 2 rows, and the responses give 3"),
        (lambda r: r["files"][STRONG].update(xxh3="0" * 32), f"{STRONG}: its digest is not the one in {RECORD}"),
        (lambda r: r["files"].pop(STRONG), f"{STRONG}: {RECORD} does not name this file"),
        (lambda r: r["evaluations"]["strong"]["k"].update(open=3), "problem q1, sample 2: the response is missing"),
        (lambda r: r["evaluations"]["strong"].pop("k"), "does not say how many responses to a problem there are"),
        (lambda r: r["scores"][0].update(n=5), "there are 4 problems, and results/results.json says 5"),
    ],
)  # fmt: skip
def test_what_was_changed_in_the_record_is_named(out, change, words):
    edit(out, change)
    assert any(words in sentence for sentence in verify(out, {}).said)


def test_a_file_that_was_cut_in_the_middle_and_one_that_is_gone(out):
    data = (out / STRONG).read_bytes()
    (out / STRONG).write_bytes(data[: len(data) // 2])
    found = verify(out, {})
    assert any(
        f"{STRONG}: it has {len(data) // 2} bytes, not {len(data)}: it was changed or cut" in one for one in found.said
    )
    assert any("reading it as parquet" in one or "parquet" in one.lower() for one in found.said)
    assert found.notes[-1] == "no number was computed again: responses are missing or cannot be read"
    (out / STRONG).unlink()
    assert sum(f"{STRONG}: the file is missing" in one for one in verify(out, {}).said) == 2  # by digest, by reading


@pytest.mark.slow
def test_the_hubs_files_say_what_the_record_says(out):
    path = out / ".eval_results/open.yaml"
    path.write_text(path.read_text().replace("value: 87.5", "value: 97.5"))
    said = verify(out, {}).said
    assert ".eval_results/open.yaml: value is 97.5, and the responses give 87.5" in said
    path.write_text("[" * 9000)
    assert ".eval_results/open.yaml: this is not one result in the hub's format" in verify(out, {}).said


def test_another_version_of_the_grader_is_said_and_its_flips_are_named(out):
    edit(out, lambda record: record.update(graded_by="0" * 16))
    found = verify(out, {})
    assert not found.said and "graded by another version of the grader (0000000000000000, here" in found.notes[-1]
    rewrite(out, flip)
    assert any("graded again it is right" in one for one in verify(out, {}).said)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.update(format=2), "format: Input should be 1"),
        (lambda r: r["evaluations"].update({"../x": {}}), "'../x' is no name"),
        (lambda r: r["benchmarks"].update({".": r["benchmarks"]["open"]}), "'.' is no name"),
        (
            lambda r: r["resampling"].update(resamples=10**12),
            "resampling.resamples: 1000000000000 is more than 100000",
        ),
        (lambda r: r["grading"].update(timeout=1e9), "grading.timeout: 1e+09 is more than 120"),
        (lambda r: r.update(select_on=["open", "bound"]), "select_on: it must name some of open, bound, and not all"),
        (lambda r: r.update(pairs=[{"a": ["x"], "b": "strong"}]), "pairs: a row is not of two of strong"),
        (lambda r: r["files"].update({"../../etc/passwd": {"size": 1, "xxh3": "0"}}), "leads out of the folder"),
        (lambda r: r["files"].update({"/dev/zero": {"size": 1, "xxh3": "0"}}), "leads out of the folder"),
        (lambda r: r["files"].update({"a\0b": {"size": 1, "xxh3": "0"}}), "'a\\x00b' is no name of a file"),
        (lambda r: r["evaluations"]["strong"].update(sampling=3), "evaluations.strong.sampling: it must be a mapping"),
        (lambda r: r.pop("scores"), "scores: this key is missing"),
    ],
)
def test_a_record_that_would_harm_is_refused(out, change, words):
    edit(out, change)
    with pytest.raises(UserError) as error:
        verify(out, {})
    assert words in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("rows", [[{}], [{"name": [], "avg": {}}], [{"name": "strong", "benchmark": "open"}] * 3])
def test_scores_that_are_none_are_named_and_harm_nobody(out, rows):
    edit(out, lambda record: record.update(scores=rows))
    assert any("scores" in sentence for sentence in verify(out, {}).said)


@pytest.mark.parametrize("name", [STRONG, RECORD, "results/responses"])
def test_no_link_is_followed(out, tmp_path, name):
    (out / name).rename(tmp_path / "elsewhere")
    (out / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="leads out of the folder, or is no file"):
        verify(out, {})


def test_other_values_than_ours_and_no_results_at_all(out, tmp_path):
    table = pq.read_table(out / STRONG)
    pq.write_table(table.set_column(1, "sample", pa.array(["x"] * len(table))), out / STRONG)
    assert any("row 1: sample is 'x', which is no int of ours" in one for one in verify(out, {}).said)
    pq.write_table(table.drop_columns("digest"), out / STRONG)
    assert any("row 1: the column digest is missing" in one for one in verify(out, {}).said)
    with pytest.raises(UserError, match="there is no results/results.json in it"):
        verify(tmp_path, {})
    (out / "results/more.bin").write_bytes(b"")
    assert f"results/more.bin: {RECORD} does not name this file" in verify(out, {}).said
