"""What passes between a stage and its ranks: a job in, a result out, each a file that is written once and read once.

The stage writes the job before torchrun starts, and every rank reads it; rank 0 writes the result at its end, and the
stage reads it. Beside them go only a training's log of steps, which the stage publishes, and a request to stop.
"""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from large_sft.settings import ConversionCheck, Sft
from large_sft.traces.packing import Pack
from polaris.models import canaries


class JsonFile(BaseModel):
    """A file of JSON with exactly these keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises OSError without the file, pydantic's ValidationError when it is another."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """Raises OSError where the file cannot be written."""
        path.write_text(self.model_dump_json())


class TrainingJob(JsonFile):
    """A training, checked and planned by its stage.

    start: model directory; tokens: tokens.parquet; packs_SK: the packs of every step, rows of `tokens`; state: folder
    of the checkpoints; out: model directory to write; metrics: file with one line of JSON per step. Paths are absolute.
    """

    settings: Sft
    start: Path
    tokens: Path
    packs_SK: list[list[Pack]]
    state: Path
    out: Path
    metrics: Path

    @property
    def stop_request(self) -> Path:
        """Where this file exists, the training ends after the step at hand; its text is the reason."""
        return self.state / "stop"

    @property
    def result(self) -> Path:
        """Where rank 0 writes the TrainingResult."""
        return self.state / "result.json"

    @property
    def canaries(self) -> Path:
        """Where the last pipeline stage writes what the trained model says of a few traces."""
        return self.state / canaries.NAME


class TrainingResult(JsonFile):
    """What a training came to, over all launches.

    reached: steps done; stopped: why it ended before the model was written, None: it is written; loss, first_loss: mean
    of the last and of the first step; tokens, loss_tokens: of all steps, in traces and in their responses
    """

    reached: int
    stopped: str | None
    loss: float
    first_loss: float
    tokens: int
    loss_tokens: int


class ConversionJob(JsonFile):
    """The conversion gate's work. start: model directory; prompts: their tokens; state: folder of the results."""

    settings: ConversionCheck
    start: Path
    prompts: list[list[int]]
    state: Path

    @property
    def result(self) -> Path:
        """Where rank 0 writes the ConversionResult."""
        return self.state / "result.json"

    @property
    def logits(self) -> Path:
        """Where the last pipeline stage writes `logits`: [tokens of all prompts, vocabulary] in float32."""
        return self.state / "logits.safetensors"


class ReturnedTensor(BaseModel):
    """A tensor after Hugging Face -> Megatron -> Hugging Face. xxh3: of its bytes; start: of the start model's."""

    dtype: str
    shape: tuple[int, ...]
    xxh3: str
    start: str


class ConversionResult(JsonFile):
    """Every tensor that came back, by its name."""

    tensors: dict[str, ReturnedTensor]
