"""One planned stage: what it needs of GPUs, memory, disk and time."""

from dataclasses import dataclass, field, replace

from polaris.hardware.memory import Parts
from polaris.planning.plan_time import NO_WORK, Range, ranged


@dataclass(frozen=True, kw_only=True)
class Planned:
    """All jobs of one stage. Ranges are (lowest, highest).

    rule: that makes it; jobs: alike, of this rule; gpus: that work in one, 0 for none
    parts: bytes on the fullest GPU; tokens, flops: of all jobs; seconds: of one job
    published, scratch: bytes on disk, kept and removed at the end; host: bytes of memory per node
    notes: what a person should know; wrong: what cannot work; measured: seconds that a finished one took
    """

    name: str
    rule: str
    jobs: int = 1
    gpus: int = 0
    parts: Parts = field(default_factory=dict)
    tokens: Range = NO_WORK
    flops: Range = NO_WORK
    seconds: Range = NO_WORK
    published: float = 0.0
    scratch: float = 0.0
    host: float = 0.0
    notes: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    measured: float | None = None

    @property
    def stage(self) -> str:
        """The first folder of its jobs: responses of `responses (large)`, temperature of `temperature/first`."""
        return self.name.split()[0].split("/")[0]

    def times(self, number: int) -> "Planned":
        """So many of it: tokens and work are of all."""
        tokens, flops = (ranged(lambda each: number * each, work) for work in (self.tokens, self.flops))
        return replace(self, jobs=number, tokens=tokens, flops=flops)
