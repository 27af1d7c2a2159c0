"""A small rollout store, made by the training's own functions, without a model."""

from pathlib import Path
from random import Random

from polaris.models.tiny_tokenizer import build_tokenizer
from polaris.stage.records import CONSENSUS, PROBLEMS, write_rows
from small_rl.reward.core import initial_sets, scored_results
from small_rl.reward.rl_step import FinishedStep, Response, Rollout, TrainingState, finished
from small_rl.reward.step_metrics import Trajectory
from small_rl.rl_settings import RlTraining
from small_rl.rollouts import about
from small_rl.rollouts.about import About
from small_rl.rollouts.store import RolloutStore

GOLDS = {"p": ["8"], "q": ["5"]}
ROWS = [{"problem_id": "p", "step": "a=2", "count": 1}, {"problem_id": "q", "step": "a=1", "count": 1}]
# Of each step: problem -> responses, and whether they are correct.
STEPS = [
    {"p": [(r"\underline{a=2}\underline{b=3}\boxed{8}", True), (r"\underline{a=2}\underline{c=7}\boxed{1}", False)],
     "q": [(r"\underline{c=7}\boxed{2}", False), (r"\boxed{2}", False)]},
    {"p": [(r"\underline{b=3}\boxed{8}", True), (r"\underline{b=3}<b>no</b>\boxed{4}", False)],
     "q": [(r"\underline{a=1}\boxed{2}", False), (r"\boxed{5}", True)]},
]  # fmt: skip


def write_store(folder: Path, settings: RlTraining, problems: dict[str, str] | None = None) -> Path:
    """A stage's folder with the store of STEPS; the store. problems: id -> text"""
    texts = {"p": "Find b.", "q": "Find c."} | (problems or {})
    folder.mkdir(parents=True)
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(folder / "model")
    rows = [{"id": id, "problem": texts[id], "answers": golds, "source": "made", "solution": None}
            for id, golds in GOLDS.items()]  # fmt: skip
    write_rows(folder / "problems.parquet", rows, PROBLEMS)
    write_rows(folder / "consensus.parquet", ROWS, CONSENSUS)
    store = folder / "stage" / "log" / "rollouts"
    sets = folder / "consensus.parquet" if settings.core else None
    about.write(store, About("stage", settings, folder / "model", folder / "problems.parquet", sets))
    writer = RolloutStore(store, None)
    for step, (done, counts) in enumerate(_steps(settings, tokenizer), 1):
        writer.write(step, done, counts, {})
    writer.wait()
    return store


def _steps(settings: RlTraining, tokenizer) -> list[tuple[FinishedStep, dict | None]]:
    core = settings.core
    state = TrainingState(initial_sets(ROWS, GOLDS, core) if core else None)
    done = []
    for groups in STEPS:
        rollouts = [[_rollout(id, text, ok, core, tokenizer) for text, ok in group] for id, group in groups.items()]
        counts = {id: state.sets.counts(id) for id in groups} if state.sets else None
        plain = type("Settings", (), {"core": core, "substitution": None, "overlong": None, "rescue": False,
                                      "max_response_length": 99})  # fmt: skip
        done.append((finished(rollouts, 1, plain, state, Random(0)), counts))
    return done


def _rollout(problem: str, text: str, ok: bool, core, tokenizer) -> Rollout:
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    answer = text.rpartition("{")[2].rstrip("}")
    results = scored_results(text, [*GOLDS[problem], answer] if ok else GOLDS[problem], core) if core else ()
    reason = "exact" if ok else "different"
    trajectory = Trajectory(f"uid {problem}", problem, ok, reason, results, len(tokens), False, answer)
    return Rollout(trajectory, [1, 2], Response(tokens, [-0.5] * len(tokens), 0))
