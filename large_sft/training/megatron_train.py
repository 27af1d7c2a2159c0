"""The process that torchrun starts for each rank: `python -m large_sft.training.megatron_train job.json`.

Kept small and guarded, because megatron-core's checkpoint writer starts a helper process that imports this module again
(dist_checkpointing/strategies/filesystem_async.py:55).
"""

import sys
from pathlib import Path

from large_sft.training.job import TrainingJob
from large_sft.training.rank import run_process


def _train(job: TrainingJob) -> None:
    from large_sft.training import megatron_loop

    megatron_loop.run(job)


def main() -> None:
    job = TrainingJob.read(Path(sys.argv[1]))
    run_process(job.settings.device, lambda: _train(job))


if __name__ == "__main__":
    main()
