"""vLLM worker extension for rollouts on a CPU: takes over the actor's weights after each step.

vLLM's CPU backend repacks every linear layer for oneDNN and drops the original parameter
(vllm/model_executor/layers/utils.py, dispatch_cpu_unquantized_gemm), so that `load_weights`, which verl calls on a GPU,
has nothing to load into. vLLM's own `reload_weights` rebuilds the layers. It was measured right for dense models and
wrong for mixtures of experts, which is why the latter are refused.
"""

from collections.abc import Callable
from typing import Any

from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightReceiver
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension


class CpuWorkerExtension(vLLMColocateWorkerExtension):
    """Collects all buckets (the transport reuses its buffer, hence the clones) and reloads them at once."""

    model_runner: Any  # both of vLLM's worker, which this class extends
    reload_weights: Callable[..., None]

    def update_weights_from_ipc(self, peft_config=None, base_sync_done=False, use_shm=False):
        if getattr(self.model_runner.model.config, "num_experts", 0):
            raise NotImplementedError("vLLM's CPU backend reloads mixture-of-experts weights wrongly")
        received = []

        def keep(weights, is_last):
            received.extend((name, tensor.clone()) for name, tensor in weights)

        receiver = BucketedWeightReceiver(zmq_handle=self._get_zmq_handle(), device=self.device, use_shm=use_shm)
        receiver.receive_weights(on_bucket_received=keep)
        self.reload_weights(weights_iterator=iter(received))
