"""How long GPUs take, as a range: what they must compute or read, over published peaks, times stated efficiencies."""

from collections.abc import Callable
from dataclasses import dataclass

from polaris.generation.settings import Engine
from polaris.planning.plan_memory import GIB, cache, share, vllm
from polaris.planning.plan_model import Shape

Range = tuple[float, float]
NO_WORK: Range = (0.0, 0.0)


def ranged(function: Callable[..., float], *ranges: Range) -> Range:
    """The function of the lowest values, and of the highest."""
    return function(*(low for low, _ in ranges)), function(*(high for _, high in ranges))


@dataclass(frozen=True)
class Gpu:
    """memory: bytes that nvidia-smi shows; flops: dense bf16 peak per second; bandwidth: of its memory, bytes per
    second.
    """

    memory: float
    flops: float
    bandwidth: float


# NVIDIA's data sheets; memory as nvidia-smi reports it. The A800 and H800 are the A100 and H100 with slower links.
GPUS = {
    "A100-80GB": Gpu(80.0 * GIB, 312e12, 2.039e12),
    "H100-80GB": Gpu(79.6 * GIB, 989e12, 3.35e12),
    "H200": Gpu(140.4 * GIB, 989e12, 4.8e12),
    "H20": Gpu(95.6 * GIB, 148e12, 4.0e12),
    "L40S": Gpu(45.0 * GIB, 362e12, 0.864e12),
    "RTX-4090": Gpu(24.0 * GIB, 165e12, 1.008e12),
}

# Share of the peak in dense FSDP training over long sequences: a guess around common reports of 30 %.
DENSE_TRAINING: Range = (0.2, 0.4)
# Mixture of experts, while no pipeline stage waits: at most NVIDIA's own 253 of 989 TFLOP/s on 256 H100 with balanced
# routing (Megatron-Bridge, docs/performance-summary.md, 26.04); no figure is published for SFT at 32K tokens, the lower
# end is a guess. Where the experts of a layer lie on several nodes, every layer's tokens cross the slower network:
# half, a guess.
MIXTURE_TRAINING: Range = (0.15, 0.26)
ACROSS_NODES = 0.5
# Share of the memory bandwidth in decoding, with stragglers and scheduling: a guess, wide enough for the published cost
# of V1 (0.33 h per step on 32 H800) and V2 (10 days on 32 H800).
DECODING: Range = (0.2, 0.6)

# Bytes per second that a job reads from a shared file system: a guess.
READING: Range = (0.5e9, 5e9)


def training_seconds(flops: Range, gpus: int, gpu: Gpu, efficiency: Range) -> Range:
    """flops: of the whole work, lowest and highest."""
    return flops[0] / (gpus * gpu.flops * efficiency[1]), flops[1] / (gpus * gpu.flops * efficiency[0])


def mixture_efficiency(expert_ranks: int, node: int, stages: int, packs: float) -> Range:
    """Share of the peak in the training of a mixture of experts.

    expert_ranks: neighbouring GPUs over which a layer's experts are spread; node: GPUs of a node; packs: of a batch on
    one replica, between which the pipeline's `stages` wait stages - 1 times (the bubble of 1F1B)
    """
    network = ACROSS_NODES if expert_ranks > node else 1.0
    busy = packs / (packs + stages - 1)
    return MIXTURE_TRAINING[0] * network * busy, MIXTURE_TRAINING[1] * network * busy


@dataclass(frozen=True)
class Decoding:
    """One kind of vLLM engine, `engines` side by side."""

    shape: Shape
    gpu: Gpu
    engine: Engine
    engines: int

    def seconds(self, responses: float, mean: Range, longest: float) -> Range:
        """Time of `responses` with `mean` tokens each, the longest of `longest` tokens.

        A step of decoding reads the weights once and every sequence's cache, of half its length on average. No batch is
        faster than its longest response alone. In a pipeline a step passes all GPUs one after the other, each with a
        part of the sequences at a time: the weights are read as often, the cache by its own GPU alone.
        """
        low, high = (self._bound(responses, tokens, longest) for tokens in mean)
        return low / DECODING[1], high / DECODING[0]

    def _bound(self, responses: float, mean: float, longest: float) -> float:
        own, engine = responses / self.engines, self.engine
        held = cache(self.shape, engine)  # bytes of a token on one GPU
        cached = held * mean / 2
        room = vllm(self.shape, engine.gpus, self.gpu.memory, share(engine))["KV cache"]
        flying = max(1.0, min(engine.max_num_seqs, own, room / cached))
        alone = longest * self._step(1.0, held * engine.pipeline_parallel_size * longest / 2)
        return max(own * mean / flying * self._step(flying, cached), alone)

    def _step(self, flying: float, cached: float) -> float:
        """Seconds of one step at full bandwidth; of a mixture only the experts that some sequence chose are read."""
        shape = self.shape
        touched = 1 - (1 - shape.experts_per_token / shape.experts) ** flying if shape.experts else 1.0
        experts = shape.layers * max(1, shape.experts) * shape.expert / shape.parameters
        weights = shape.weights / self.engine.tensor_parallel_size * (1 - experts + experts * touched)
        return (weights + flying * cached) / self.gpu.bandwidth
