"""The GPUs that are known by name."""

from dataclasses import dataclass

from polaris.hardware.memory import GIB


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
    "A100-40GB": Gpu(40.0 * GIB, 312e12, 1.555e12),
    "A100-80GB": Gpu(80.0 * GIB, 312e12, 2.039e12),
    "H100-80GB": Gpu(79.6 * GIB, 989e12, 3.35e12),
    "H200": Gpu(140.4 * GIB, 989e12, 4.8e12),
    "H20": Gpu(95.6 * GIB, 148e12, 4.0e12),
    "L40S": Gpu(45.0 * GIB, 362e12, 0.864e12),
    "RTX-4090": Gpu(24.0 * GIB, 165e12, 1.008e12),
}
