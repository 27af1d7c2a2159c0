"""What a kept step of rollouts costs beside the training, and how fast its pages open.

    python benchmarks/rollouts.py [step | pages]

step: 512 responses of 30K tokens with vocabulary and log-probabilities of a real model's spread: seconds that the store
and the alarm take of one core, and bytes per token. pages: a step of 10,000 rollouts, written and opened in a browser.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.core_step import made_response
from polaris.models.tiny_tokenizer import build_tokenizer
from polaris.stage.records import PROBLEMS, write_rows
from small_rl.reward.rl_step import FinishedStep, Response, Rollout
from small_rl.reward.step_metrics import Trajectory
from small_rl.rollouts import about, pages
from small_rl.rollouts.about import About
from small_rl.rollouts.features import features
from small_rl.rollouts.store import RolloutStore, step_file
from tests.helpers.browser import browser
from tests.helpers.verl_stages import rl_stage

RESPONSES, GROUP, TOKENS, VOCABULARY = 512, 8, 30_000, 151_000
PAGE, WORDS = 10_000, 40


def rollout(problem: str, tokens_T: np.ndarray, log_probs_T: np.ndarray, correct: bool) -> Rollout:
    reason = "exact" if correct else "different"
    seen = Trajectory(problem, problem, correct, reason, ("x=1",), len(tokens_T), False, "1")
    return Rollout(seen, list(range(200)), Response(tokens_T, log_probs_T, 1), float(correct))


def finished(rollouts: list[Rollout]) -> FinishedStep:
    groups = [rollouts[start : start + GROUP] for start in range(0, len(rollouts), GROUP)]
    return FinishedStep(groups, groups, list(range(len(groups))), {})


def step(folder: Path) -> None:
    """Ids as rare as words are (Zipf); most tokens are certain, some are not."""
    source, made = np.random.default_rng(0), []
    for number in range(RESPONSES):
        tokens_T = np.minimum(source.zipf(1.2, TOKENS), VOCABULARY).astype(np.int32)
        log_probs_T = -(source.exponential(0.3, TOKENS).astype(np.float32) ** 3)
        made.append(rollout(str(number // GROUP), tokens_T, log_probs_T, number % 3 == 0))
    actor = {(n // GROUP, n % GROUP): np.asarray(r.response.log_probs_T) + 1e-3 for n, r in enumerate(made)}
    writer = RolloutStore(folder, None)
    started, cpu = time.perf_counter(), time.process_time()
    writer.write(1, finished(made), {}, actor)
    begun = time.perf_counter() - started
    writer.wait()
    size = step_file(folder, 1).stat().st_size
    print(f"{RESPONSES} responses of {TOKENS:,} tokens: {size / 1e9:.2f} GB, {size / RESPONSES / TOKENS:.1f} B/token")
    print(f"  the trainer waits {1000 * begun:.1f} ms; beside it {time.process_time() - cpu:.1f} s of processor time")
    text, sample = made_response(random.Random(0), TOKENS, 40), 32
    started = time.process_time()
    for one in made[:sample]:
        features(text, "Find x.", one.response.tokens_T)
    print(f"  alarm {RESPONSES / sample * (time.process_time() - started):.1f} s of processor time beside the sampling")


def page(folder: Path) -> None:
    """Milliseconds until the browser has everything."""
    tokenizer, groups = build_tokenizer(), PAGE // GROUP
    tokenizer.save_pretrained(folder / "model")
    problems = [
        {"id": str(n), "problem": f"a={n}. Find (a).", "answers": ["1"], "source": "made", "solution": None}
        for n in range(groups)
    ]
    write_rows(folder / "problems.parquet", problems, PROBLEMS)
    text = tokenizer(r"\underline{a=1}" * WORDS + r"\boxed{1}", add_special_tokens=False)["input_ids"]
    made = [rollout(str(n // GROUP), text, [-0.5] * len(text), n % 3 == 0) for n in range(PAGE)]
    stored = folder / "stage" / "log" / "rollouts"
    described = About("stage", rl_stage("laptop", "grpo"), folder / "model", folder / "problems.parquet", None)
    about.write(stored, described)
    writer = RolloutStore(stored, None)
    writer.write(1, finished(made), None, {})
    writer.wait()
    started = time.process_time()
    pages.write(stored, folder / "pages")
    print(f"{PAGE:,} rollouts of one step: pages written in {time.process_time() - started:.1f} s of processor time")
    with browser(folder) as tab:
        for name in ("index.html", "step_000001.html", "step_000001/group_00000.html"):
            shown = folder / "pages" / name
            took = min(tab.open(shown) for _ in range(3))
            print(f"  {name:32} {took:6.0f} ms, {shown.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    for name, measure in (("step", step), ("pages", page)):
        if name in (sys.argv[1:] or [name]):
            with tempfile.TemporaryDirectory() as folder:
                measure(Path(folder))


if __name__ == "__main__":
    main()
