"""CUDA or nothing: what `device: cuda` asks of a machine, so that no stage falls back on the processor unnoticed."""

import os
import subprocess

from polaris.stage.errors import UserError

# Driver branch that a CUDA toolkit's programs need at least (NVIDIA, CUDA Compatibility, minor version compatibility).
DRIVERS = {"12": 525, "13": 580}


def require_cuda(engine: str) -> None:
    """Import torch and make sure that it finds a GPU. Raises UserError naming driver and torch build where it does not.

    engine: who asks, for the message. CUDA stays uninitialised in this process, so that it may still fork: with NVML
    torch counts GPUs instead of opening them (docs of torch.cuda.is_available).
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    import torch

    visible = torch.cuda.device_count() if torch.version.cuda else 0
    if reason := refusal(torch.__version__, torch.version.cuda, driver_version(), visible):
        raise UserError(f"device: cuda, but {engine} cannot use a GPU here: {reason}")


def refusal(torch: str, cuda: str | None, driver: str | None, visible: int) -> str | None:
    """Why a torch cannot use this machine's GPUs; None: it can.

    torch: its version; cuda: version that it was built for, None for a CPU build; driver: NVIDIA's, None: there is
        none;
    visible: GPUs that this process may use
    """
    if cuda is None:
        return f"torch {torch} is built for CPUs; install the environment of `make install-gpu`"
    built = f"torch {torch} is built for CUDA {cuda}"
    if driver is None:
        return f"{built}, and there is no NVIDIA driver (nvidia-smi does not answer)"
    if int(driver.split(".")[0]) < (least := DRIVERS.get(cuda.split(".")[0], 0)):
        return f"{built}, which needs NVIDIA driver {least} or newer; this machine has {driver}"
    if not visible:
        return (
            f"{built}, driver {driver}, but no GPU is visible "
            f"(CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES')!r})"
        )
    return None


def driver_version() -> str | None:
    """Version of this machine's NVIDIA driver; None where there is none."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.split("\n")[0].strip() or None
