"""The recipe's sections of the format SFT."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from polaris.grading.settings import Grading
from polaris.stage.settings import Count, Device, Fraction, Section, Seed

LearningRate = Annotated[float, Field(gt=0, lt=1)]


class FormatData(Section):
    """Which worked answers teach the format (small_rl.data.build_format_data)."""

    instruction: Annotated[str, Field(description="appended to the problem's text in the training prompt")]
    keep: Annotated[Literal["correct", "all"], Field(description="by the final answer")]
    underlined_only: Annotated[bool, Field(description="drop answers without an underlined result")]
    grading: Grading


class FormatSft(Section):
    """verl's SFT trainer (small_rl.training.train_format)."""

    device: Device
    epochs: Count
    batch: Annotated[Count, Field(description="examples per step, over all ranks")]
    micro_batch: Annotated[Count, Field(description="examples per forward pass of a rank")]
    max_tokens: Annotated[Count, Field(description="tokens of prompt + answer; longer ones are an error")]
    learning_rate: LearningRate
    warmup: Annotated[Fraction, Field(description="share of the steps")]
    precision: Literal["fp32", "bf16"]
    gpus_per_node: Annotated[Count, Field(description="processes (GPUs) of one node")]
    timeout: Annotated[float, Field(gt=0, description="seconds for one launch; a hang becomes an error")]
    seed: Seed

    @model_validator(mode="after")
    def _whole_batches(self) -> "FormatSft":
        if self.batch % (self.gpus_per_node * self.micro_batch):
            raise ValueError(
                f"batch ({self.batch}) must be a multiple of gpus_per_node * micro_batch "
                f"({self.gpus_per_node} * {self.micro_batch})"
            )
        return self
