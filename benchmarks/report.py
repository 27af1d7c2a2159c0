"""The report's statistics at full size: 10 models x 5 benchmarks x 675 problems x 32 samples, on one core.

    OMP_NUM_THREADS=1 python benchmarks/report.py [--problems 675] [--samples 32]

Verdicts are drawn at random, written as a grading stage writes them and read as the report reads them; 10,000
resamples, as in configs/polaris_v2.yaml. Prints the seconds of CPU time of every part, and the size of the page.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from polaris.evaluation import response_rows, results
from polaris.evaluation.scores import read_verdicts
from polaris.report import report, soups
from polaris.report.front import front_rows
from polaris.report.markdown import markdown
from polaris.report.page import page
from polaris.report.settings import ReportPage
from polaris.stage.manifest import Manifest
from polaris.stage.records import GRADED

LADDER = ["base_small", "format_sft", "grpo", "core", "core_filtered"]
ALPHAS = {"0.00": "distilled", "0.30": "alpha=0.30", "0.50": "alpha=0.50", "0.70": "alpha=0.70", "1.00": "base_large"}
BENCHMARKS = ["aime25", "aime26", "hmmt25", "olympiad", "beyond_aime"]
SETTINGS = ReportPage(
    confidence=0.95, resamples=10_000, seed=0, pass_k=[8], length_groups=[16384, 32768], worst_k=20, ladder=LADDER,
    generalists=["base_large", "distilled"], models=[], alphas=ALPHAS, select_on=["beyond_aime"], selected=None,
    published=None, published_values=None, self_distillation=None, planned=None,
    extra_evaluations={}, dates={}, model_dates={},
)  # fmt: skip


def graded(folder: Path, problems: int, samples: int, rng: np.random.Generator) -> Manifest:
    """One model's verdicts; answers are integers, so that the vote has something to count."""
    size = len(BENCHMARKS) * problems * samples
    skill = np.repeat(rng.beta(1, 1, len(BENCHMARKS) * problems), samples)
    correct = rng.random(size) < skill
    names = [f"{number:04}" for number in range(problems)]
    columns = {
        "set": np.repeat(BENCHMARKS, problems * samples),
        "problem_id": np.tile(np.repeat(names, samples), len(BENCHMARKS)),
        "sample": np.tile(np.arange(samples, dtype=np.int32), len(BENCHMARKS) * problems),
        "tokens": rng.integers(500, 80_000, size, dtype=np.int32),
        "finish_reason": np.where(rng.random(size) < 0.02, "length", "stop"),
        "correct": correct,
        "reason": np.where(correct, "exact", "different"),
        "answer": np.where(correct, "7", rng.integers(0, 1000, size).astype(str)),
    }
    folder.mkdir()
    pq.write_table(pa.table(columns, schema=GRADED), folder / "graded.parquet")
    files = {"graded.parquet": {"size": 0, "xxh3": ""}}
    empty = {"settings": {}, "inputs": {}, "code": "", "tools": {}, "steps": {}, "metrics": {}, "seconds": 0.0}
    return Manifest(folder / "data.json", folder.name, "polaris.grading.grade", files, **empty)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=675)
    parser.add_argument("--samples", type=int, default=32)
    args = parser.parse_args()
    rng, started = np.random.default_rng(0), 0.0

    def lap(name: str) -> None:
        nonlocal started
        now = time.process_time()
        print(f"{name:12} {now - started:6.1f} s")
        started = now

    with tempfile.TemporaryDirectory() as folder:
        names = list(dict.fromkeys([*LADDER, *SETTINGS.generalists, *ALPHAS.values()]))
        stored = [graded(Path(folder) / name, args.problems, args.samples, rng) for name in names]
        started = first = time.process_time()
        tables = {one.stage: read_verdicts(one) for one in stored}
        lap("reading")
    numbers = results.Numbers(tables, SETTINGS.confidence, SETTINGS.resamples, SETTINGS.seed, SETTINGS.select_on)
    start = dict(zip(LADDER[1:], LADDER, strict=False)) | {"core": "format_sft"}
    trained = {name: {"name": name, "start": start.get(name), "steps": None, "weights_changed": None} for name in names}
    found = {
        "run": "benchmark",
        "settings": SETTINGS.model_dump(mode="json"),
        "benchmarks": numbers.benchmarks,
        "headline": numbers.headline,
    }
    found["models"] = results.model_rows(numbers, trained)
    found["alphas"] = results.alpha_rows(numbers, ALPHAS)
    found["choice"] = results.choice(numbers, ALPHAS, SETTINGS.select_on, None)
    lap("scores")
    found["pairs"] = results.pair_rows(numbers, results.compared(LADDER, SETTINGS.generalists, [], ALPHAS, start))
    found |= soups.soup_rows(numbers, SETTINGS)
    found["claims"] = results.claim_rows(numbers, report.claimed(SETTINGS, numbers, found["choice"], None, []))
    found["front"] = front_rows(found["models"], numbers.headline, {})
    lap("pairs")
    found |= response_rows.response_rows(numbers, SETTINGS.pass_k, SETTINGS.length_groups)
    found["hardest"] = report.hardest(SETTINGS, numbers)
    lap("responses")
    found |= {"checkpoints": list(trained.values())}
    empty = ("own_alphas", "published", "published_differences", "dates", "on_seen_sets", "spreads", "within_spread")
    empty += ("examples", "paid", "curves", "warnings", "difficulty", "data", "lineage", "planned")
    found |= {name: [] for name in empty}
    found["timings"] = [{"stage": "none", "seconds": 0.0, "max_rss": None, "bytes": 0}]
    html, text = page(found), markdown(found)
    lap("page")
    print(f"together     {time.process_time() - first:6.1f} s of CPU time")
    print(
        f"page {len(html) / 1e6:.2f} MB, results.json {len(json.dumps(found)) / 1e6:.2f} MB, report.md "
        f"{len(text) / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main()
