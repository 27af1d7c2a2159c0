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
TORCH_NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


@dataclasses.dataclass
class Tally:
    """What the merge did to the weights.

    from_base, from_distilled: weights whose stored value differs
    """

    weights: int = 0
    from_base: int = 0
    from_distilled: int = 0

    def add(self, other: "Tally") -> None:
        self.weights += other.weights
        self.from_base += other.from_base
        self.from_distilled += other.from_distilled


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
        # The inputs as the result would store them, to be compared with it bit for bit.
        self._stored = [torch.empty(count, dtype=out) for _ in range(2)] if self._recast else self._inputs
        self._wide = [torch.empty(count, dtype=wide) for _ in range(4)]
        self._differs = np.empty(count, dtype=bool)
        self._input_bits, self._output_bits = (
            [tensor.view(torch.uint8).numpy().view(f"u{out.itemsize}") for tensor in tensors]
            for tensors in (self._stored, self._outputs)
        )

    def average(self, size: int) -> tuple[list[Tally], float]:
        """Average the first `size` bytes of base and distilled: a tally per alpha, and max |base - distilled|.

        Raises NotFiniteError.
        """
        import torch

        count = size // self.itemsize
        base, distilled, change, merged = (tensor[:count] for tensor in self._wide)
        base.copy_(self._inputs[0][:count])
        distilled.copy_(self._inputs[1][:count])
        torch.sub(base, distilled, out=change)
        # A NaN or infinity of either input survives the difference and aminmax: one look is enough for both.
        lowest, highest = (float(end) for end in torch.aminmax(change))
        if not (math.isfinite(lowest) and math.isfinite(highest)):
            self._refuse(change)
        if self._recast:
            for stored, wide in zip(self._stored, (base, distilled), strict=True):
                stored[:count].copy_(wide)
        for alpha, output in zip(self.alphas, self._outputs, strict=True):
            if alpha < 0.5:
                torch.add(distilled, change, alpha=alpha, out=merged)
            else:
                torch.sub(base, change, alpha=1 - alpha, out=merged)
            output[:count].copy_(merged)
            # An average lies between its terms: only a narrower range can be too small for it.
            if self._recast and not bool(output[:count].isfinite().all()):
                self._refuse(output[:count])
        tallies = [
            Tally(count, *(self._count_differing(bits[:count], stored[:count]) for stored in self._input_bits))
            for bits in self._output_bits
        ]
        return tallies, max(-lowest, highest)

    def _count_differing(self, a: np.ndarray, b: np.ndarray) -> int:
        return int(np.count_nonzero(np.not_equal(a, b, out=self._differs[: len(a)])))

    def _refuse(self, merged: "torch.Tensor") -> None:
        """Raise NotFiniteError for the first value of the inputs, or else of `merged`, that is not finite."""
        for which, tensor in zip(("base", "distilled", "merged"), (*self._inputs, merged), strict=True):
            wrong = (~tensor[: len(merged)].isfinite()).nonzero()
            if len(wrong):
                raise NotFiniteError(which, int(wrong[0]))
