"""vLLM's worker extensions for rollouts: the actor's weights after each step, and the sentinel's look at them.

After each transfer every layer is asked for what it was sent (polaris/generation/vllm_sentinel.py); the first that
answers otherwise ends the training. Each transfer compares other columns.
"""

from typing import Any

from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightReceiver
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension

from polaris.generation.vllm_reload import reload
from polaris.generation.vllm_sentinel import Sentinel, watches


class WorkerExtension(vLLMColocateWorkerExtension):
    """On GPUs: verl's own transfer, which loads bucket by bucket."""

    model_runner: Any  # of vLLM's worker, which this class extends
    transfers = 0
    sentinel: Sentinel | None = None

    def update_weights_from_ipc(self, peft_config=None, base_sync_done=False, use_shm=False):
        self.transfers += 1
        model = self.model_runner.get_model()
        self.sentinel = Sentinel(model, self.transfers) if watches(model) else None
        super().update_weights_from_ipc(peft_config, base_sync_done, use_shm)
        if self.sentinel:
            self.sentinel.ask()
            self.sentinel = None

    def _update_weights(self, weights, *args, **more):
        watched = list(self.sentinel.watched(weights)) if self.sentinel else weights
        super()._update_weights(watched, *args, **more)


class CpuWorkerExtension(vLLMColocateWorkerExtension):
    """On a CPU: all buckets (the transport reuses its buffer, hence the clones), reloaded at once.

    vLLM's CPU backend repacks every linear layer for oneDNN and drops the original parameter (vllm/model_executor/
    layers/utils.py, dispatch_cpu_unquantized_gemm), so that `load_weights`, which verl calls, has nothing to load into.
    """

    model_runner: Any
    transfers = 0

    def update_weights_from_ipc(self, peft_config=None, base_sync_done=False, use_shm=False):
        self.transfers += 1
        received = []

        def keep(weights, is_last):
            received.extend((name, tensor.clone()) for name, tensor in weights)

        receiver = BucketedWeightReceiver(zmq_handle=self._get_zmq_handle(), device=self.device, use_shm=use_shm)
        receiver.receive_weights(on_bucket_received=keep)
        reload(self.model_runner, iter(received), self.transfers)
