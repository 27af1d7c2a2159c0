"""One chunk of two checkpoints and its averages at several alphas, in buffers that are made once.

With fresh or larger buffers the kernel's page faults cost more than the arithmetic.

Arithmetic: torch.lerp from distilled to base, which computes bf16 and f16 in float32 and rounds once; where f32 is read
or written, both are widened to float64 first. It starts from the nearer end (distilled + alpha * difference, or
base - (1 - alpha) * difference for alpha >= 1/2): exact at both ends and where both agree (but for the sign of a zero).
"""

from collections.abc import Sequence

import numpy as np

from polaris.models.dtypes import torch_dtype

CHUNK = 1 << 20  # bytes of one input, read and written at once
BLOCK = 1 << 16  # values averaged at once where they are widened: their wide forms stay in a core's cache
EXPONENTS = {"BF16": 0x7F80, "F16": 0x7C00, "F32": 0x7F800000}  # all of these bits: NaN or infinity


class Copies:
    """Room for a chunk of a tensor that both inputs have alike, such as a buffer of integers: it is copied.

    The same attributes and methods as `Averages`, in bytes.
    """

    itemsize = written_itemsize = 1

    def __init__(self, results: int):
        self.base, self.distilled = (memoryview(bytearray(CHUNK)) for _ in range(2))
        self.merged = [self.base] * results

    def same(self, size: int) -> bool:
        """Whether the first `size` bytes of base and distilled are equal."""
        return self.base[:size] == self.distilled[:size]

    def average(self, size: int) -> None:
        """Nothing: what is written is the base's chunk."""


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

        narrow, out = (torch_dtype(name) for name in (dtype, written))
        count = CHUNK // narrow.itemsize
        self.alphas, self.itemsize, self.written_itemsize = tuple(alphas), narrow.itemsize, out.itemsize
        self.base, self.distilled = (memoryview(bytearray(CHUNK)) for _ in range(2))
        self.merged = [memoryview(bytearray(count * out.itemsize)) for _ in alphas]
        self._inputs = [torch.frombuffer(buffer, dtype=narrow) for buffer in (self.base, self.distilled)]
        self._outputs = [torch.frombuffer(buffer, dtype=out) for buffer in self.merged]
        self._bits = [np.frombuffer(buffer, dtype=f"u{out.itemsize}") for buffer in self.merged]
        self._exponent = self._bits[0].dtype.type(EXPONENTS[written])
        self._exponents = np.empty_like(self._bits[0])
        wide = torch.float64 if torch.float32 in (narrow, out) else torch.float32
        widened = narrow != out or narrow == torch.float32
        self._wide = [torch.empty(BLOCK, dtype=wide) for _ in range(3)] if widened else []

    def same(self, size: int) -> bool:
        """Whether the first `size` bytes of base and distilled are equal."""
        few = min(size, 64)  # mostly enough to see a difference
        if self.base[:few] != self.distilled[:few]:
            return False
        return np.array_equal(np.frombuffer(self.base[:size], "u1"), np.frombuffer(self.distilled[:size], "u1"))

    def average(self, size: int) -> None:
        """Average the first `size` bytes of base and distilled. Raises NotFiniteError."""
        import torch

        count = size // self.itemsize
        if not self._wide:
            base, distilled = (tensor[:count] for tensor in self._inputs)
            for alpha, output in zip(self.alphas, self._outputs, strict=True):
                torch.lerp(distilled, base, alpha, out=output[:count])
            checked = self._bits[:1]  # a NaN or infinity of an input is in every average, and none is wider than both
        else:
            for first in range(0, count, BLOCK):
                self._average_widened(slice(first, min(first + BLOCK, count)))
            checked = self._bits
        for bits in checked:
            if np.bitwise_and(bits[:count], self._exponent, out=self._exponents[:count]).max() == self._exponent:
                self._refuse(count)

    def _average_widened(self, part: slice) -> None:
        import torch

        base, distilled, merged = (tensor[: part.stop - part.start] for tensor in self._wide)
        base.copy_(self._inputs[0][part])
        distilled.copy_(self._inputs[1][part])
        for alpha, output in zip(self.alphas, self._outputs, strict=True):
            torch.lerp(distilled, base, alpha, out=merged)
            output[part].copy_(merged)

    def _refuse(self, count: int) -> None:
        """Raise NotFiniteError for the first value of the inputs, or else of an average, that is not finite."""
        named = zip(("base", "distilled"), self._inputs, strict=True)
        for which, tensor in [*named, *(("merged", output) for output in self._outputs)]:
            wrong = (~tensor[:count].isfinite()).nonzero()
            if len(wrong):
                raise NotFiniteError(which, int(wrong[0]))
