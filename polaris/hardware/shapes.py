"""Sizes of a transformer for planning: parameters, bytes and floating point operations, as functions of its shape."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from polaris.models.architecture import Sizes, sizes


@dataclass(frozen=True)
class Shape(Sizes):
    """Sizes, and what follows from them: parameters, bytes and operations.

    stored: bytes of the published weights where they are not 2 per parameter (quantised experts), else None
    """

    stored: float | None = None

    @property
    def width(self) -> int:
        """Inner width of a feed-forward block: of one expert, or of a dense layer."""
        return self.moe_intermediate_size or self.intermediate_size

    @property
    def embedding(self) -> int:
        """Parameters of one embedding matrix."""
        return self.vocabulary * self.hidden

    @property
    def embeddings(self) -> int:
        return self.embedding * (1 if self.tied else 2)

    @property
    def expert(self) -> int:
        """Parameters of one expert, or of a dense layer's feed-forward block: gate, up and down projection."""
        return 3 * self.hidden * self.width

    @property
    def attention(self) -> int:
        """Parameters of a layer besides feed-forward blocks: attention with q/k norms and biases, two norms, the
        router.
        """
        projections = self.hidden * (2 * self.heads + 2 * self.kv_heads) * self.head_dim
        own = 2 * self.head_norms + (self.heads + 2 * self.kv_heads) * self.qkv_bias
        return projections + own * self.head_dim + 2 * self.hidden + self.experts * self.hidden

    @property
    def parameters(self) -> int:
        blocks = max(1, self.experts)
        return self.layers * (self.attention + blocks * self.expert) + self.embeddings + self.hidden

    @property
    def active(self) -> int:
        """Parameters that one token meets, without the input embedding, which is a look-up."""
        blocks = self.experts_per_token if self.experts else 1
        return self.layers * (self.attention + blocks * self.expert) + self.embedding + self.hidden

    @property
    def weights(self) -> float:
        """Bytes of the weights as they are served: 2 per parameter, or as published."""
        return self.stored or 2.0 * self.parameters

    def cache(self, tensor: int = 1, pipeline: int = 1, value: float = 2.0) -> float:
        """Bytes of KV cache per token on one of `tensor` * `pipeline` GPUs, `value` each; a head is only copied, never
        cut.
        """
        return 2 * value * -(-self.layers // pipeline) * max(1, self.kv_heads // tensor) * self.head_dim

    def forward_flops(self, length: float) -> float:
        """Floating point operations per token of a forward pass over sequences of `length` tokens.

        2 per active parameter, and 2 * 2 * heads * head_dim per earlier token for causal attention, of which there are
        length / 2 on average. For Qwen3-235B-A22B at 4096 tokens three times this is 148 GFLOP, what NVIDIA's published
        253 TFLOP/s and 1712 tokens/s per GPU imply (Megatron-Bridge, docs/performance-summary.md, 26.04).
        """
        return 2 * self.active + 2 * self.layers * length * self.heads * self.head_dim


QWEN2 = {"head_norms": False, "qkv_bias": True}

# From the config.json of each repository. gpt-oss-20b: its attention biases are left out; 13.8e9 bytes as published
# (MXFP4).
KNOWN = {
    "Qwen/Qwen3-0.6B": Shape(151936, 1024, 28, 16, 8, 128, 3072, 0, 0, 0, True),
    "Qwen/Qwen3-1.7B": Shape(151936, 2048, 28, 16, 8, 128, 6144, 0, 0, 0, True),
    "Qwen/Qwen3-4B": Shape(151936, 2560, 36, 32, 8, 128, 9728, 0, 0, 0, True),
    "Qwen/Qwen3-4B-Thinking-2507": Shape(151936, 2560, 36, 32, 8, 128, 9728, 0, 0, 0, True),
    "Qwen/Qwen3-8B": Shape(151936, 4096, 36, 32, 8, 128, 12288, 0, 0, 0, False),
    "Qwen/Qwen3-14B": Shape(151936, 5120, 40, 40, 8, 128, 17408, 0, 0, 0, False),
    "Qwen/Qwen3-32B": Shape(151936, 5120, 64, 64, 8, 128, 25600, 0, 0, 0, False),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": Shape(151936, 1536, 28, 12, 2, 128, 8960, 0, 0, 0, False, **QWEN2),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B": Shape(152064, 3584, 28, 28, 4, 128, 18944, 0, 0, 0, False, **QWEN2),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B": Shape(152064, 5120, 48, 40, 8, 128, 13824, 0, 0, 0, False, **QWEN2),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": Shape(152064, 5120, 64, 40, 8, 128, 27648, 0, 0, 0, False, **QWEN2),
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": Shape(
        128256, 4096, 32, 32, 8, 128, 14336, 0, 0, 0, False, head_norms=False
    ),
    "Qwen/Qwen3-30B-A3B": Shape(151936, 2048, 48, 32, 4, 128, 6144, 768, 128, 8, False),
    "Qwen/Qwen3-30B-A3B-Thinking-2507": Shape(151936, 2048, 48, 32, 4, 128, 6144, 768, 128, 8, False),
    "Qwen/Qwen3-235B-A22B": Shape(151936, 4096, 94, 64, 4, 128, 12288, 1536, 128, 8, False),
    "Qwen/Qwen3-235B-A22B-Thinking-2507": Shape(151936, 4096, 94, 64, 4, 128, 12288, 1536, 128, 8, False),
    "openai/gpt-oss-20b": Shape(201088, 2880, 24, 64, 8, 64, 2880, 2880, 32, 4, False, 13.8e9),
}

# Trained from these, which leaves the shape as it was.
KNOWN |= {
    "POLARIS-Project/Polaris-1.7B-stage-1": KNOWN["Qwen/Qwen3-1.7B"],
    "POLARIS-Project/Polaris-1.7B-Preview": KNOWN["Qwen/Qwen3-1.7B"],
    "POLARIS-Project/Polaris-4B-Preview": KNOWN["Qwen/Qwen3-4B"],
    "POLARIS-Project/Polaris-7B-Preview": KNOWN["deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"],
    "POLARIS-Project/Polaris-V2-Qwen3-4B-SFT": KNOWN["Qwen/Qwen3-4B"],
    "POLARIS-Project/Polaris-V2-Qwen3-4B": KNOWN["Qwen/Qwen3-4B"],
}
SIZE = re.compile(r"(\d+(?:\.\d+)?)([bm])(?![a-z])", re.IGNORECASE)  # 30B, 0.6B, 135M


def between(hub: str) -> tuple[Shape, Shape]:
    """Two shapes for a model whose config.json is not here: of the next smaller and the next larger known model, each
    with as many layers as make the number of parameters that the id names; the smallest and the largest where it names
    none.
    """
    name = hub.rpartition("/")[2]
    mixture, found = bool(re.search(r"-a\d+(\.\d+)?b", name, re.IGNORECASE)), SIZE.search(name)
    shapes = sorted((one for one in KNOWN.values() if bool(one.experts) == mixture), key=lambda one: one.parameters)
    if not found:
        return shapes[0], shapes[-1]
    parameters = float(found[1]) * (1e9 if found[2] in "bB" else 1e6)
    below = [one for one in shapes if one.parameters <= parameters] or shapes[:1]
    above = [one for one in shapes if one.parameters >= parameters] or shapes[-1:]
    low, high = (
        replace(one, layers=max(1, round(one.layers * parameters / one.parameters))) for one in (below[-1], above[0])
    )
    return low, high


def from_config(config: Mapping[str, Any], where: str) -> Shape:
    """The shape that a config.json describes. Raises UserError, beginning with `where`, for a missing key."""
    return Shape(**asdict(sizes(config, where)))


# Trained before or beside one of these: the same shape.
KNOWN |= {f"Qwen/Qwen3-{size}-Base": KNOWN[f"Qwen/Qwen3-{size}"] for size in ("0.6B", "1.7B", "4B", "8B", "14B")}
KNOWN |= {f"Qwen/Qwen3-{size}": KNOWN["Qwen/Qwen3-30B-A3B"] for size in ("30B-A3B-Base", "30B-A3B-Instruct-2507")}
KNOWN |= {"Qwen/Qwen3-4B-Instruct-2507": KNOWN["Qwen/Qwen3-4B"]}
