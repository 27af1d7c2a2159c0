"""The locked lists against the package index: `make network`. Metadata only; no package is fetched."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from envs.install_gpu import ENGINES, lines_of

ROOT = Path(__file__).resolve().parents[2]
UV = os.environ.get("POLARIS_UV")
pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(UV is None, reason="asks the package index: run `make network`, which names uv in POLARIS_UV"),
]
SOURCES = ("antlr4-python3-runtime", "connection-pool")  # published without a wheel, pure Python


def test_make_envs_gives_the_lists_again(tmp_path):
    shutil.copytree(ROOT / "envs", tmp_path / "envs")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for path in (tmp_path / "envs").glob("*.txt"):
        path.unlink()
    done = subprocess.run(["make", "envs", f"UV={UV}"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for path in sorted((ROOT / "envs").glob("*.txt")):
        assert (tmp_path / "envs" / path.name).read_text() == path.read_text(), path.name


@pytest.mark.parametrize("engine", ENGINES)
def test_every_wheel_exists_for_the_gpu_machines(engine, tmp_path):
    wheels, _ = lines_of(engine)
    (tmp_path / "list.txt").write_text("\n".join(wheels))
    done = subprocess.run(
        [
            *(UV, "pip", "install", "--dry-run", "--no-deps", "--only-binary=:all:"),
            *(f"--no-binary={name}" for name in SOURCES),
            *("--python-version=3.12", "--python-platform=x86_64-manylinux_2_31"),
            *("--target", str(tmp_path / "nowhere"), "-r", str(tmp_path / "list.txt")),
        ],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and f"Would install {len(wheels)} packages" in done.stderr, done.stderr
