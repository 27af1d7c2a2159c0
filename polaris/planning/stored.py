"""What an RL stage's rollout store takes on disk: bytes of a token times the tokens that its steps keep."""

from polaris.planning.plan_time import NO_WORK, Range, ranged
from small_rl.settings import RlStage

# Bytes of a stored token. Lowest: measured in the laptop recipe's store, 24 steps of CORE with 245K tokens of a small
# vocabulary. Highest: nothing compressed, 4 of the id and 4 of each log-probability. With a real model's spread of
# both it is about 9 (benchmarks/rollouts.py).
TOKEN: Range = (4.5, 12.0)


def of_step(stage: RlStage, mean: Range) -> Range:
    """Bytes of one step's file. mean: tokens of a response"""
    if stage.rollout_store is None:
        return NO_WORK
    groups = stage.prompts_per_step
    if stage.rollout_store != "all":
        groups = min(groups, stage.rollout_store)
    return ranged(lambda tokens, size: groups * stage.group_size * tokens * size, mean, TOKEN)


def note(stage: RlStage, step: Range) -> tuple[str, ...]:
    """In words what is kept. step: as `of_step`"""
    if stage.rollout_store is None:
        return ()
    low, high = (stage.steps * size / 1e9 for size in step)
    kept = "every response" if stage.rollout_store == "all" else f"{stage.rollout_store} whole groups drawn by the step"
    sizes = f"{step[0] / 1e9:.2g} to {step[1] / 1e9:.2g} GB a step, {_short(low)} to {_short(high)} in all"
    return (f"rollout_store: {kept}; {sizes}",)


def _short(gigabytes: float) -> str:
    return f"{gigabytes:.0f}" if gigabytes >= 10 else f"{gigabytes:.2g}"
