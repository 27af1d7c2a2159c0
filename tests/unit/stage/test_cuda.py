"""`device: cuda` on a machine that cannot is one sentence, which names what stands in the way."""

import re

import pytest

from polaris.stage import cuda
from polaris.stage.errors import UserError

TORCH = ("2.11.0+cu130", "13.0")


@pytest.mark.parametrize(
    ("torch", "built", "driver", "visible", "words"),
    [
        ("2.13.0+cpu", None, "580.1", 0, "torch 2.13.0[+]cpu is built for CPUs"),
        (*TORCH, None, 0, "built for CUDA 13.0, and there is no NVIDIA driver"),
        (*TORCH, "575.57.08", 8, "needs NVIDIA driver 580 or newer; this machine has 575.57.08"),
        ("2.9.0+cu128", "12.8", "470.1", 8, "needs NVIDIA driver 525 or newer"),
        (*TORCH, "580.159.04", 0, "driver 580.159.04, but no GPU is visible .CUDA_VISIBLE_DEVICES=''"),
        (*TORCH, "580.159.04", 1, None),
        ("2.9.0+cu128", "12.8", "535.1", 8, None),
    ],
)
def test_what_stands_in_the_way(torch, built, driver, visible, words, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = cuda.refusal(torch, built, driver, visible)
    assert found is None if words is None else re.search(words, found), found


def test_this_machine_is_asked():
    """On a machine without a GPU the engine is refused by name; with one it is not."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        cuda.require_cuda("vLLM")
        return
    with pytest.raises(
        UserError, match=f"device: cuda, but vLLM cannot use a GPU here: torch {torch.__version__}".replace("+", "[+]")
    ):
        cuda.require_cuda("vLLM")
