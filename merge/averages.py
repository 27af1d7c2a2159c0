"""One chunk of two checkpoints and its averages at several alphas, in buffers that are made once.

With fresh or larger buffers the kernel's page faults cost more than the arithmetic.

Arithmetic: one step wider than the weights (float32 for bf16 and f16, float64 where f32 is read or written), rounded
once, as distilled + alpha * (base - distilled), or from the other end for alpha >= 1/2: exact at both ends and where both
agree (but for the sign of a zero).
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

CHUNK = 1 << 20  # bytes of one input, read and written at once
BLOCK = 1 << 16  # values averaged at once: their wide forms stay in a core's cache
TORCH_NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


@dataclasses.dataclass
class Distance:
    """How far the inputs are from each other: how many of the weights differ, and max |base - distilled|."""

    weights: int = 0
    differing: int = 0
    largest: float = 0.0

    def add(self, other: "Distance") -> None:
        self.weights += other.weights
        self.differing += other.differing
        self.largest = max(self.largest, other.largest)


class NotFiniteError(Exception):
    """A NaN or infinity in a chunk. which: base, distilled, or merged (an average beyond the dtype's range)."""

    def __init__(self, which: str, element: int):
        self.which, self.element = which, element


class Averages:
    """Room for a chunk of both inputs (dtype) and of the average at each of `alphas` (written).

    base, distilled: memoryviews of CHUNK bytes to be filled; merged: one memoryview per alpha. dtype, written: the
    names in safetensors headers.
    """

    def __init__(self, dtype: str, written: str, alphas: Sequence[float]):
        import torch

        narrow, out = (getattr(torch, TORCH_NAMES[name]) for name in (dtype, written))
        wide = torch.float64 if torch.float32 in (narrow, out) else torch.float32
        count = CHUNK // narrow.itemsize
        self.alphas, self.itemsize, self.written_itemsize = tuple(alphas), narrow.itemsize, out.itemsize
        self.base, self.distilled = (memoryview(bytearray(CHUNK)) for _ in range(2))
        self.merged = [memoryview(bytearray(count * out.itemsize)) for _ in alphas]
        self._inputs = [torch.frombuffer(buffer, dtype=narrow) for buffer in (self.base, self.distilled)]
        self._outputs = [torch.frombuffer(buffer, dtype=out) for buffer in self.merged]
        self._recast = narrow != out
        self._wide = [torch.empty(BLOCK, dtype=wide) for _ in range(4)]
        self._bits = [np.frombuffer(buffer, dtype=f"u{narrow.itemsize}") for buffer in (self.base, self.distilled)]
        self._differs = np.empty(BLOCK, dtype=bool)

    def average(self, size: int) -> Distance:
        """Average the first `size` bytes of base and distilled. Raises NotFiniteError."""
        count, distance = size // self.itemsize, Distance()
        for first in range(0, count, BLOCK):
            part = slice(first, min(first + BLOCK, count))
            largest = self._average_block(part)
            base, distilled = (bits[part] for bits in self._bits)
            differs = np.not_equal(base, distilled, out=self._differs[: len(base)])
            distance.add(Distance(len(base), int(np.count_nonzero(differs)), largest))
        return distance

    def _average_block(self, part: slice) -> float:
        """Fill this part of every output; max |base - distilled| in it. Raises NotFiniteError."""
        import torch

        base, distilled, change, merged = (tensor[: part.stop - part.start] for tensor in self._wide)
        base.copy_(self._inputs[0][part])
        distilled.copy_(self._inputs[1][part])
        torch.sub(base, distilled, out=change)
        # A NaN or infinity of either input survives the difference and aminmax: one look is enough for both.
        lowest, highest = (float(end) for end in torch.aminmax(change))
        if not (math.isfinite(lowest) and math.isfinite(highest)):
            self._refuse(part, change)
        for alpha, output in zip(self.alphas, self._outputs, strict=True):
            if alpha < 0.5:
                torch.add(distilled, change, alpha=alpha, out=merged)
            else:
                torch.sub(base, change, alpha=1 - alpha, out=merged)
            output[part].copy_(merged)
            # An average lies between its terms: only a narrower range can be too small for it.
            if self._recast and not bool(output[part].isfinite().all()):
                self._refuse(part, output[part])
        return max(-lowest, highest)

    def _refuse(self, part: slice, merged: "torch.Tensor") -> None:
        """Raise NotFiniteError for the first value of the inputs, or else of `merged`, that is not finite."""
        inputs = [tensor[part] for tensor in self._inputs]
        for which, tensor in zip(("base", "distilled", "merged"), (*inputs, merged), strict=True):
            wrong = (~tensor.isfinite()).nonzero()
            if len(wrong):
                raise NotFiniteError(which, part.start + int(wrong[0]))
