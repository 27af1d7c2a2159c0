"""What one GPU can prove in under ten minutes and without a network: `make gpu`. Elsewhere every test says why it is
skipped.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from polaris.stage import cuda

FIGURES = pytest.StashKey[dict]()
ROOM = 60e9  # bytes of scratch for a model of 2.5 B parameters, its checkpoint and its export


def refused() -> str | None:
    """Why there is no GPU to test here."""
    torch = pytest.importorskip("torch")
    visible = torch.cuda.device_count() if torch.version.cuda else 0
    return cuda.refusal(torch.__version__, torch.version.cuda, cuda.driver_version(), visible)


@pytest.fixture(scope="session", autouse=True)
def gpu() -> str:
    """The card's name."""
    if reason := refused():
        pytest.skip(f"no GPU: {reason}")
    import torch

    return torch.cuda.get_device_name(0)


@pytest.fixture(scope="session")
def figures(request, gpu) -> Iterator[dict]:
    """What the tests measure, by test; printed at the end, and written to the file that POLARIS_GPU_FIGURES names."""
    import torch

    found = {"card": gpu, "torch": torch.__version__, "driver": cuda.driver_version()}
    request.config.stash[FIGURES] = found
    yield found
    if path := os.environ.get("POLARIS_GPU_FIGURES"):
        Path(path).write_text(json.dumps(found, indent=1) + "\n")


def pytest_terminal_summary(terminalreporter, config) -> None:
    if found := config.stash.get(FIGURES, None):
        terminalreporter.write_line(json.dumps(found, indent=1))


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder on the roomier of the temporary file systems, in memory where that is it."""
    roots = [root for root in (Path(tempfile.gettempdir()), Path("/dev/shm")) if root.is_dir()]
    root = max(roots, key=lambda one: shutil.disk_usage(one).free)
    if (free := shutil.disk_usage(root).free) < ROOM:
        pytest.skip(f"{root}: {free / 1e9:.0f} GB free, {ROOM / 1e9:.0f} GB needed")
    folder = Path(tempfile.mkdtemp(prefix="polaris-gpu-", dir=root))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
