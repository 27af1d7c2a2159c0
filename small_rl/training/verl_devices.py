"""verl's settings for the machine: a CPU, or GPUs.

A leading "+" adds a key that verl reads but does not list in its YAML files.
"""

from polaris.generation.vllm_engine import GPU_ENVIRONMENT
from polaris.stage.code import module_name
from small_rl.rl_settings import RlTraining

# Ray's logical CPUs of a node without GPUs: verl's pool asks for 3 per rank, TransferQueue for 1 + 1, and some are
# spare. They reserve nothing; but Ray starts idle workers for them, so no more than needed.
LOGICAL_CPUS_PER_RANK, LOGICAL_CPUS = 3, 4

ON_CPU = {
    "+actor_rollout_ref.model.override_config.attn_implementation": "sdpa",  # no flash-attn
    "actor_rollout_ref.model.use_remove_padding": False,  # needs flash-attn
    "actor_rollout_ref.model.enable_gradient_checkpointing": False,
    "actor_rollout_ref.actor.use_torch_compile": False,
    "actor_rollout_ref.actor.fsdp_config.use_torch_compile": False,
    "actor_rollout_ref.rollout.enforce_eager": True,
    # A half-done prompt makes vLLM rewind the response's random generator, which a CPU generator cannot.
    "actor_rollout_ref.rollout.enable_chunked_prefill": False,
    "actor_rollout_ref.rollout.free_cache_engine": False,
    "+actor_rollout_ref.rollout.enable_sleep_mode": False,
    "+actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls": (
        module_name("small_rl.training.verl_vllm") + ".CpuWorkerExtension"
    ),
    "+actor_rollout_ref.rollout.engine_kwargs.vllm.distributed_executor_backend": "uni",  # one process less
    "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1,
}

BUCKET = "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes"
LEAST_BUCKET = 16  # MiB


def bucket(largest: int) -> int:
    """MiB of the buffer through which the actor's weights reach the rollout engine, which must hold each tensor whole.

    largest: elements of the largest tensor; float32 is the widest of the rollouts' dtypes
    """
    return max(LEAST_BUCKET, -(-4 * largest // 2**20) + 1)


# Never all logits of a response: at 66,560 tokens and a vocabulary of 152K they are 19 GiB, twice. verl's torch kernel
# takes 512 tokens at a time; tests/parity/test_fused_kernels.py has the same log-probabilities and gradients without
# it.
ON_GPU = {
    "actor_rollout_ref.model.use_fused_kernels": True,
    "actor_rollout_ref.model.fused_kernel_options.impl_backend": "torch",
    # A prompt goes in by pieces, so that a batch need not hold a sequence of full length; what it does not take is KV
    # cache.
    "actor_rollout_ref.rollout.max_num_batched_tokens": 16384,
}

SFT_ON_GPU = {"model.use_fused_kernels": True, "model.fused_kernel_options.impl_backend": "torch"}

SFT_ON_CPU = {
    "+model.override_config.attn_implementation": "sdpa",
    "model.use_remove_padding": False,
    "model.enable_gradient_checkpointing": False,
    "engine.use_torch_compile": False,
}


def logical_cpus(settings: RlTraining) -> int:
    """Ray's logical CPUs of one node without GPUs."""
    return LOGICAL_CPUS_PER_RANK * settings.all_gpus_per_node + LOGICAL_CPUS


def environment(device: str) -> dict[str, str]:
    """Environment of a verl process on "cpu" or "cuda"."""
    common = {
        "HF_HUB_OFFLINE": "1",
        "HYDRA_FULL_ERROR": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # Ray's 15 would let any other process go first
        "TOKENIZERS_PARALLELISM": "false",
        "VLLM_NO_USAGE_STATS": "1",
    }
    if device == "cuda":
        return common | GPU_ENVIRONMENT
    # verl registers its FSDP engine for "cuda" and "npu" only; it runs on a CPU as it is.
    return common | {
        "VERL_PLATFORM": "cpu",
        "OMP_NUM_THREADS": "1",  # more threads wait for each other by spinning: twice as slow beside other work
        "MKL_NUM_THREADS": "1",  # MKL counts for itself; with more threads the last bits of a product change
        "VERL_ENGINE_DEVICE": "cuda",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        # vLLM's CPU backend turns "uni" into "mp", for the sake of its thread binding, unless told this; the engine
        # stays a process of its own.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        # vLLM compiles how it counts the ranks of a token, over and over for other numbers of responses.
        "TORCHDYNAMO_DISABLE": "1",
        "TQ_NUM_THREADS": "1",  # TransferQueue changes torch's number of threads around each transfer
    }
