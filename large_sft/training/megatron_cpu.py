"""Megatron-core without CUDA: inside this process "cuda" means "cpu".

megatron-core 0.16.1 asks for CUDA by name although gloo and CPU tensors would do. `install()` is called before the
first import of megatron, and hides a card that is there. Two parts: functions of torch.cuda that answer for the CPU,
and one TorchFunctionMode that redirects devices. SITES names for each the lines that need it; a patch whose lines are
gone in a newer megatron-core is stale (`stale()`), and the two patches of single functions look whether their defect is
there.
"""

import contextlib
import functools
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

CPU = torch.device("cpu")
# What the optimizer compares tensor types with (optimizer/distrib_optimizer.py:383,587, clip_grads.py:167).
CUDA_TYPES = {
    f"torch.{name}": f"torch.cuda.{name}" for name in ("FloatTensor", "BFloat16Tensor", "HalfTensor", "DoubleTensor")
}
# What megatron-core uses without a look at the device where it is installed.
CUDA_PACKAGES = ("transformer_engine", "apex", "amp_C")
# patch -> (file of megatron-core, text that needs it)
SITES = {
    "rng state": ("tensor_parallel/random.py", "orig_rng_state = torch.cuda.get_rng_state()"),
    "rng state setter": ("tensor_parallel/random.py", "_lazy_call(cb)"),
    "current_device": ("distributed/param_and_grad_buffer.py", "device=torch.cuda.current_device()"),
    "streams": ("transformer/moe/token_dispatcher.py", "torch.cuda.Stream()"),
    "synchronize": ("dist_checkpointing/strategies/filesystem_async.py", "torch.cuda.synchronize()"),
    "device='cuda'": ("pipeline_parallel/schedules.py", 'device="cuda"'),
    "Tensor.type": ("optimizer/distrib_optimizer.py", "'torch.cuda.BFloat16Tensor'"),
    "fuser": ("jit.py", "jit_fuser = torch.compile"),
    "counts": ("transformer/moe/token_dispatcher.py", "as_numpy=True"),
}


class NoStream:
    """Stands for a CUDA stream or event: CPU work is done when its call returns."""

    def __init__(self, *args: Any, **kwargs: Any):
        self.device = CPU

    def wait_stream(self, *args: Any) -> None: ...

    def wait_event(self, *args: Any) -> None: ...

    def wait(self, *args: Any) -> None: ...

    def record(self, *args: Any) -> None: ...

    def synchronize(self) -> None: ...

    def record_event(self, *args: Any) -> "NoStream":
        return self

    def query(self) -> bool:
        return True


class CudaIsCpu(TorchFunctionMode):
    """Redirects device="cuda" to the CPU and makes the calls that move to CUDA do nothing."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.cuda:
            return args[0]
        if func is torch.Tensor.record_stream:
            return None
        if func is torch.Tensor.type and len(args) == 1 and not kwargs:
            name = func(*args)
            return CUDA_TYPES.get(name, name)
        if kwargs:
            if _is_cuda(kwargs.get("device")):
                kwargs = {**kwargs, "device": CPU}
            if kwargs.get("pin_memory"):
                kwargs = {**kwargs, "pin_memory": False}
        if func is torch.Tensor.to and len(args) > 1 and _is_cuda(args[1]):
            args = (args[0], CPU, *args[2:])
        return func(*args, **kwargs)


def _is_cuda(device: Any) -> bool:
    if isinstance(device, torch.device):
        return device.type == "cuda"
    return isinstance(device, str) and device.split(":")[0] == "cuda"


def stale() -> list[str]:
    """Patches whose reason is no longer in the installed megatron-core: to be dropped."""
    spec = importlib.util.find_spec("megatron.core")
    assert spec and spec.submodule_search_locations, "megatron.core is a package"
    folder = Path(spec.submodule_search_locations[0])
    return [name for name, (file, text) in SITES.items() if text not in (folder / file).read_text()]


@functools.cache
def install() -> None:
    """Patch this process, once. Raises RuntimeError where it has a GPU open already, or where a patch is stale."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if torch.cuda.is_available():
        raise RuntimeError("this process has opened a GPU: the CPU shim comes too late")
    blocked: Any = dict.fromkeys(CUDA_PACKAGES)  # None: importing them is an ImportError from now on
    sys.modules.update(blocked)
    if gone := stale():
        raise RuntimeError(
            f"megatron-core has changed: drop from large_sft/training/megatron_cpu.py: {', '.join(gone)}"
        )
    _patch_torch_cuda(torch.cuda)
    CudaIsCpu().__enter__()
    # jit.py:23 makes torch.compile the fuser: on a CPU that means seconds in a C++ compiler, if there is one.
    compile, torch.compile = torch.compile, lambda function: function
    import megatron.core.tensor_parallel.random as megatron_random
    from megatron.core.transformer.moe import token_dispatcher

    torch.compile = compile

    # tensor_parallel/random.py:43,75: the tracker's accessors go through CUDA's lazy initialisation.
    megatron_random._get_cuda_rng_state = lambda *args, **kwargs: torch.get_rng_state()
    megatron_random._set_cuda_rng_state = lambda state, *args, **kwargs: torch.set_rng_state(state)
    _patch_counts(token_dispatcher)


def _patch_torch_cuda(cuda: Any) -> None:
    """tensor_parallel/random.py:235-242, param_and_grad_buffer.py:783-806, optimizer.py:473-485,
    token_dispatcher.py:445, rotary_pos_embedding.py:162, fully_parallel.py:272, filesystem_async.py:230,
    state_dict_saver.py:204.
    """

    cuda.is_available = lambda: False  # whatever it counts by: torch's Adam would ask a CUDA build's GPU for its stream
    cuda.current_device = lambda: CPU
    cuda.device_count = lambda: 1
    cuda.set_device = lambda device: None
    cuda.synchronize = lambda device=None: None
    cuda.empty_cache = lambda: None
    cuda.Stream = cuda.Event = NoStream
    cuda.current_stream = lambda device=None: NoStream()
    cuda.default_stream = lambda device=None: NoStream()
    cuda.stream = lambda stream: contextlib.nullcontext()
    cuda.nvtx.range_push = lambda message: None
    cuda.nvtx.range_pop = lambda: None
    # Not torch.manual_seed: it calls torch.cuda.manual_seed_all, which is this function.
    cuda.manual_seed = lambda seed: torch.default_generator.manual_seed(int(seed))
    cuda.manual_seed_all = lambda seed: torch.default_generator.manual_seed(int(seed))
    cuda.get_rng_state = lambda device=None: torch.get_rng_state()
    cuda.set_rng_state = lambda state, device=None: torch.set_rng_state(state)
    cuda.random.get_rng_state = lambda device=None: torch.get_rng_state()
    cuda.random.set_rng_state = lambda state, device=None: torch.set_rng_state(state)


def _patch_counts(token_dispatcher: Any) -> None:
    """transformer/moe/moe_utils.py:1096 turns only CUDA tensors into the numpy counts that all_to_all_single needs."""
    if torch.is_tensor(token_dispatcher.maybe_move_tensor_to_cpu(torch.zeros(1), as_numpy=True)):
        token_dispatcher.maybe_move_tensor_to_cpu = lambda tensor, as_numpy=False, record_stream=False: (
            tensor.numpy() if as_numpy and torch.is_tensor(tensor) else tensor
        )
