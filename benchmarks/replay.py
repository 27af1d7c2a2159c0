"""Other rewards over a rollout store: seconds of `polaris replay` and of the stage `paid`, on one core.

    OMP_NUM_THREADS=1 python benchmarks/replay.py [STORE]

Without a store one is made: 300 steps of 64 problems with 8 responses of 700 tokens and 8 underlined results; its texts
are too many to be read again, as those of a real run of this size are. Set up and torn down outside the clock.
"""

import sys
import tempfile
import time
from pathlib import Path
from random import Random

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from polaris.models.tiny_tokenizer import build_tokenizer
from polaris.recipe import recipe
from polaris.recipe.layers import SHIPPED
from polaris.stage.records import CONSENSUS, PROBLEMS, write_rows
from small_rl.reward.core import initial_sets
from small_rl.reward.rl_step import Response, Rollout, TrainingState, finished
from small_rl.reward.step_metrics import Trajectory
from small_rl.rl_settings import RlTraining
from small_rl.rollouts import about, variants
from small_rl.rollouts.about import About
from small_rl.rollouts.store import RolloutStore
from small_rl.studies.paid import paid

STEPS, PROBLEMS_PER_STEP, GROUP, TOKENS, RESULTS = 300, 64, 8, 700, 8
PROBLEM_IDS = [f"p{number}" for number in range(4000)]


def settings() -> RlTraining:
    stage = recipe.load([str(SHIPPED / "laptop.yaml")]).small_rl.rl["core"]
    training = RlTraining.model_validate(stage.model_dump(exclude={"start", "drop_easy", "overlap"}))
    return training.model_copy(update={"grading": training.grading.model_copy(update={"workers": 1})})


def made(folder: Path, training: RlTraining) -> Path:
    """A store in `folder`."""
    random = Random(0)
    build_tokenizer().save_pretrained(folder / "model")
    golds = {name: [str(number)] for number, name in enumerate(PROBLEM_IDS)}
    problems = [{"id": name, "problem": name, "answers": one, "source": "made", "solution": None}
                for name, one in golds.items()]  # fmt: skip
    write_rows(folder / "problems.parquet", problems, PROBLEMS)
    known = [{"problem_id": name, "step": f"x={n}", "count": 1} for name in PROBLEM_IDS for n in range(5)]
    write_rows(folder / "sets.parquet", known, CONSENSUS)
    store = folder / "stage" / "log" / "rollouts"
    sets = folder / "sets.parquet"
    about.write(store, About("stage", training, folder / "model", folder / "problems.parquet", sets))
    state = TrainingState(initial_sets(known, golds, training.core))
    writer, tokens_T = RolloutStore(store, None), np.arange(TOKENS) % 100
    log_probs_T = np.full(TOKENS, -0.5)
    for step in range(1, STEPS + 1):
        groups = []
        for name in random.sample(PROBLEM_IDS, PROBLEMS_PER_STEP):
            group = []
            for _ in range(GROUP):
                right = random.random() < 0.4
                results = tuple({f"x={random.randrange(12)}": None for _ in range(RESULTS)})
                trajectory = Trajectory(
                    name, name, right, "exact" if right else "different", results, TOKENS, False, "1"
                )
                group.append(Rollout(trajectory, [1, 2], Response(tokens_T, log_probs_T, step)))
            groups.append(group)
        counts = {group[0].trajectory.problem: state.sets.counts(group[0].trajectory.problem) for group in groups}
        plain = type("Plain", (), {"core": training.core, "substitution": None, "overlong": None, "rescue": False,
                                   "max_response_length": 2 * TOKENS})  # fmt: skip
        writer.write(step, finished(groups, step, plain, state, random), counts, {})
    writer.wait()
    return store


def measured(name: str, work) -> None:
    started, cpu = time.perf_counter(), time.process_time()
    found = work()
    rewards = found.rewards if isinstance(found, variants.Counterfactuals) else found["rewards"]
    first = rewards[0]["rollouts"] if isinstance(rewards[0], dict) else rewards[0].rollouts
    seconds = f"{time.perf_counter() - started:.1f} s, {time.process_time() - cpu:.1f} s of CPU"
    print(f"{name}: {len(rewards)} rewards over {first:,} responses: {seconds}")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else made(Path(place), settings())
        measured("polaris replay", lambda: variants.replayed(folder))
        measured("paid", lambda: paid(folder))


if __name__ == "__main__":
    main()
