"""What happens before an engine runs: what the interpreter says of itself, and that asking for a GPU leaves forks
alone.
"""

import subprocess
import sys

import pytest

from polaris.planning import tool_check

CHILD = """
import multiprocessing, sys
{ask}
import torch

def use():
    torch.zeros(1, device="cuda")

child = multiprocessing.get_context("fork").Process(target=use)
child.start()
child.join()
sys.exit(child.exitcode)
"""


def test_the_interpreter_finds_its_gpus(figures):
    seen = tool_check.look(("torch",))
    assert seen.refusal is None and seen.gpus >= 1 and seen.covered and not seen.missing
    figures["interpreter"] = {name: getattr(seen, name) for name in ("python", "glibc", "cuda", "memory", "capability")}


@pytest.mark.parametrize(
    ("ask", "works"),
    [
        ("from polaris.stage.cuda import require_cuda; require_cuda('vLLM')", True),
        ("import torch; torch.zeros(1, device='cuda')", False),
    ],
    ids=["asked as we do", "asked by using it"],
)
def test_a_forked_child_can_use_the_gpu(ask, works):
    """vLLM may fork its engine's process; one that has CUDA from its parent cannot use it."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(ask=ask)], check=False, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode == 0) == works, done.stderr[-2000:]
    if not works:
        assert "Cannot re-initialize CUDA in forked subprocess" in done.stderr
