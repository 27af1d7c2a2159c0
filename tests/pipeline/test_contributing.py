"""The worked examples of CONTRIBUTING.md, put where it says and run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import CONFIGS, ROOT, snakemake

WITHOUT = shutil.ignore_patterns(".*", "__pycache__", "runs", "build", "chaos", "tests", "docs", "benchmarks")


def blocks(heading: str, language: str) -> list[str]:
    """The fenced blocks of a language under a heading, in order."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The project's own files, to add to."""
    return Path(shutil.copytree(ROOT, tmp_path / "clone", ignore=WITHOUT))


def run(clone: Path, *arguments: str) -> subprocess.CompletedProcess:
    """`python -m ...` in the clone, with the clone's packages; stdout and stderr together in .stdout."""
    environment = {**os.environ, "PYTHONPATH": str(clone)}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=clone, env=environment, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600,
    )  # fmt: skip


def test_the_stage(clone):
    [module], [rule] = blocks("Add a stage", "python"), blocks("Add a stage", "snakemake")
    (clone / "small_rl/count_sources.py").write_text(module)
    with (clone / "rules/small_rl.smk").open("a") as file:
        file.write(f"\n\n{rule}")
    target = clone / "runs/test/sources/data.json"
    done = run(clone, "snakemake", "--cores", "2", "runs/test/sources/data.json", "--configfile", *CONFIGS)
    assert done.returncode == 0, done.stdout[-4000:]
    counts = json.loads((target.parent / "sources.json").read_text())
    assert set(counts) == {"chain"} and counts["chain"] > 0
    assert json.loads(target.read_text())["metrics"] == counts


def test_the_benchmark(tmp_path):
    [problems], [overlay] = blocks("Add a benchmark", "json"), blocks("Add a benchmark", "yaml")
    (tmp_path / "mine.jsonl").write_text(problems)
    (tmp_path / "mine.yaml").write_text(overlay)
    configs = [str(ROOT / "configs/laptop.yaml"), "mine.yaml"]
    target = "runs/mine/benchmarks/mine/data.json"
    done = snakemake(tmp_path, target, configs=configs, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout[-4000:]
    assert json.loads((tmp_path / target).read_text())["metrics"]["problems"] == 2
    done = snakemake(tmp_path, "-n", configs=configs)
    assert done.returncode == 0 and "runs/mine/scores/core/data.json" in done.stdout, done.stdout[-4000:]


def test_the_reward(clone):
    module, test = blocks("Add a reward", "python")
    (clone / "small_rl/shown.py").write_text(module)
    (clone / "test_shown.py").write_text(test)
    done = run(clone, "pytest", "-q", "test_shown.py")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
