"""One chunk of two or more checkpoints and its averages by several shares, in buffers that are made once.

With fresh or larger buffers the kernel's page faults cost more than the arithmetic.

Arithmetic: torch.lerp from distilled to base, which computes bf16 and f16 in float32 and rounds once; where f32 is read
or written, both are widened to float64 first. It starts from the nearer end (distilled + alpha * difference, or
base - (1 - alpha) * difference for alpha >= 1/2): exact at both ends and where both agree (but for the sign of a zero).
Of more than two models: the sum of share * model, in float32 (float64 for f32), rounded once; exact where all agree.
"""

from collections.abc import Sequence

import numpy as np

from merge.alpha import Shares
from polaris.models.dtypes import torch_dtype

CHUNK = 1 << 20  # bytes of one input, read and written at once
BLOCK = 1 << 16  # values averaged at once where they are widened: their wide forms stay in a core's cache
EXPONENTS = {"BF16": 0x7F80, "F16": 0x7C00, "F32": 0x7F800000}  # all of these bits: NaN or infinity


class Copies:
    """Room for a chunk of a tensor that all inputs have alike, such as a buffer of integers: it is copied.

    The same attributes and methods as `Averages`, in bytes.
    """

    itemsize = written_itemsize = 1

    def __init__(self, results: Sequence[Shares]):
        self.inputs = [memoryview(bytearray(CHUNK)) for _ in results[0]]
        self.merged = self.inputs[:1] * len(results)

    def same(self, size: int) -> bool:
        """Whether the first `size` bytes of all inputs are equal."""
        return all(self.inputs[0][:size] == other[:size] for other in self.inputs[1:])

    def average(self, size: int) -> None:
        """Nothing: what is written is the base's chunk."""


class NotFiniteError(Exception):
    """A NaN or infinity in a chunk. which: place of the input; None: of an average, beyond the dtype's range."""

    def __init__(self, which: int | None, element: int):
        self.which, self.element = which, element


class Averages:
    """Room for a chunk of each input (dtype) and of the average by each of `results` (written).

    inputs: memoryviews of CHUNK bytes to be filled, the base's first; merged: one memoryview per result. dtype,
    written: the names in safetensors headers.
    """

    def __init__(self, dtype: str, written: str, results: Sequence[Shares]):
        import torch

        narrow, out = (torch_dtype(name) for name in (dtype, written))
        count = CHUNK // narrow.itemsize
        self.results, self.itemsize, self.written_itemsize = tuple(results), narrow.itemsize, out.itemsize
        self.inputs = [memoryview(bytearray(CHUNK)) for _ in results[0]]
        self.merged = [memoryview(bytearray(count * out.itemsize)) for _ in results]
        self._inputs = [torch.frombuffer(buffer, dtype=narrow) for buffer in self.inputs]
        self._outputs = [torch.frombuffer(buffer, dtype=out) for buffer in self.merged]
        self._bits = [np.frombuffer(buffer, dtype=f"u{out.itemsize}") for buffer in self.merged]
        self._exponent = self._bits[0].dtype.type(EXPONENTS[written])
        self._exponents = np.empty_like(self._bits[0])
        wide = torch.float64 if torch.float32 in (narrow, out) else torch.float32
        widened = narrow != out or narrow == torch.float32 or len(self.inputs) > 2
        self._wide = [torch.empty(BLOCK, dtype=wide) for _ in (*self.inputs, "merged", "term")] if widened else []

    def same(self, size: int) -> bool:
        """Whether the first `size` bytes of all inputs are equal."""
        few = min(size, 64)  # mostly enough to see a difference
        base, *others = self.inputs
        if any(base[:few] != other[:few] for other in others):
            return False
        first = np.frombuffer(base[:size], "u1")
        return all(np.array_equal(first, np.frombuffer(other[:size], "u1")) for other in others)

    def average(self, size: int) -> None:
        """Average the first `size` bytes of the inputs. Raises NotFiniteError."""
        import torch

        count = size // self.itemsize
        if not self._wide:
            base, distilled = (tensor[:count] for tensor in self._inputs)
            for shares, output in zip(self.results, self._outputs, strict=True):
                torch.lerp(distilled, base, shares[0], out=output[:count])
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

        *models, merged, term = (tensor[: part.stop - part.start] for tensor in self._wide)
        for model, narrow in zip(models, self._inputs, strict=True):
            model.copy_(narrow[part])
        for shares, output in zip(self.results, self._outputs, strict=True):
            if len(models) == 2:
                torch.lerp(models[1], models[0], shares[0], out=merged)
            else:
                # Product and sum apart: fused, a value would depend on its place in the block.
                torch.mul(models[0], shares[0], out=merged)
                for model, share in zip(models[1:], shares[1:], strict=True):
                    merged.add_(torch.mul(model, share, out=term))
            output[part].copy_(merged)

    def _refuse(self, count: int) -> None:
        """Raise NotFiniteError for the first value of the inputs, or else of an average, that is not finite."""
        for which, tensor in [*enumerate(self._inputs), *((None, output) for output in self._outputs)]:
            wrong = (~tensor[:count].isfinite()).nonzero()
            if len(wrong):
                raise NotFiniteError(which, int(wrong[0]))
