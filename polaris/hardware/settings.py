"""The recipe's section of the hardware: three numbers, or `cpu`."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from polaris.hardware.gpus import GPUS, Gpu
from polaris.stage.settings import Count, Section
from polaris.stage.suggestions import suggestion

CPU: Literal["cpu"] = "cpu"


class Hardware(Section):
    """GPUs of one kind, on nodes that are alike."""

    nodes: Count
    gpus_per_node: Count
    gpu: Annotated[str, Field(description="its name in polaris/hardware/gpus.py")]

    @field_validator("gpu")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in GPUS:
            raise ValueError(f"{name} is no GPU whose memory is known here{suggestion(name, GPUS)}")
        return name

    @property
    def kind(self) -> Gpu:
        """Memory and speed of one GPU."""
        return GPUS[self.gpu]

    def __str__(self) -> str:
        nodes = f"{self.nodes} nodes of " if self.nodes > 1 else ""
        return f"{nodes}{self.gpus_per_node} x {self.gpu}"


GpusOrCpu = Annotated[
    Annotated[Hardware, Tag("<gpus>")] | Annotated[Literal["cpu"], Tag("<word>")],
    Discriminator(lambda value: "<gpus>" if isinstance(value, dict | Hardware) else "<word>"),
]


def gpu_of(hardware: Hardware | str | None) -> str:
    """The GPU that a recipe is planned for: its hardware's, or that of the published runs."""
    return hardware.gpu if isinstance(hardware, Hardware) else "H100-80GB"
