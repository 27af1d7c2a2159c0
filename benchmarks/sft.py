"""Megatron SFT against transformers' Trainer: tokens per second of the same mixture of experts on the same traces.

    python benchmarks/sft.py RUN FOLDER [--steps 40]

RUN is a finished run of the laptop recipe (runs/laptop): its start model and its traces are read. FOLDER takes what is
trained. Both train two processes on this machine's cores in float32 with AdamW, about 4096 tokens of traces a step:
ours with packing and experts over both processes, the Trainer with padding and data-parallel copies, in the order of the
data and with batches of similar length. Only a trace's tokens count, no padding; seconds are the median of the steps after the first five.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from configs import recipe

PROCESSES, WARM_UP = 2, 5


def ours(run: Path, folder: Path, steps: int) -> list[dict[str, float]]:
    """Tokens and seconds of each step of the recipe's own stage, on so many steps' share of its epochs."""
    settings = recipe.load([str(ROOT / "configs/laptop.yaml")]).large_sft.sft.model_dump(mode="json")
    planned = json.loads((run / "distilled/checkpoint.json").read_text())["steps"]["planned"]
    settings["epochs"] *= steps / planned
    out = folder / "ours" / "checkpoint.json"
    inputs = [f"--start={run / 'base_large/checkpoint.json'}", f"--data={run / 'sft_data/data.json'}"]
    verb = [sys.executable, "-m", "large_sft.train_sft", "--settings", json.dumps(settings), *inputs, "--out", str(out)]
    subprocess.run(verb, cwd=ROOT, check=True, stdout=sys.stderr)
    return [json.loads(line) for line in (out.parent / "log/metrics.jsonl").read_text().splitlines()]


def trainers(run: Path, folder: Path, steps: int, by_length: bool) -> list[dict[str, float]]:
    """The same of transformers' Trainer in torchrun's processes (the part of this file below)."""
    told = folder / f"trainer-{by_length}.jsonl"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    arguments = [str(run), str(folder), f"--steps={steps}", f"--told={told}", *(["--by-length"] if by_length else [])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "CUDA_VISIBLE_DEVICES": ""}
    command = [*launcher, __file__, *arguments]
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)
    return [json.loads(line) for line in told.read_text().splitlines()]


def train(run: Path, folder: Path, steps: int, told: Path, by_length: bool) -> None:
    """One process of the Trainer; the first writes a line per step: tokens of all processes, seconds."""
    import torch
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

    from large_sft.tokens import read_traces

    traces = read_traces(run / "sft_data/tokens.parquet")
    lengths = traces.lengths_R
    each = round(4096 / float(lengths.mean()) / PROCESSES)  # traces of a process's batch

    def example(row: int) -> dict[str, list[int]]:
        ids, prompt = traces.row(row).tolist(), int(traces.prompt_tokens_R[row])
        return {"input_ids": ids, "labels": [-100] * prompt + ids[prompt:]}

    def padded(examples: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        longest = max(len(one["input_ids"]) for one in examples)
        fill = lambda values, blank: values + [blank] * (longest - len(values))
        return {
            "input_ids": torch.tensor([fill(one["input_ids"], 0) for one in examples]),
            "labels": torch.tensor([fill(one["labels"], -100) for one in examples]),
            "attention_mask": torch.tensor([fill([1] * len(one["input_ids"]), 0) for one in examples]),
        }

    class Clock(TrainerCallback):
        """Seconds and tokens from the end of one step to the end of the next."""

        def __init__(self) -> None:
            self.last, self.tokens, self.lines = time.monotonic(), 0, []

        def on_step_end(self, args, state, control, **_):
            seen = int(state.num_input_tokens_seen)
            now = time.monotonic()
            self.lines.append({"tokens": seen - self.tokens, "seconds": now - self.last})
            self.last, self.tokens = now, seen

    clock = Clock()
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"), use_cpu=True, per_device_train_batch_size=each, max_steps=steps,
        learning_rate=5e-4, weight_decay=0.0, max_grad_norm=1.0, report_to=[], save_strategy="no", logging_steps=steps,
        train_sampling_strategy="group_by_length" if by_length else "random", disable_tqdm=True,
        include_num_input_tokens_seen="non_padding", seed=1, optim="adamw_torch",
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(run / "base_large/model", dtype=torch.float32)
    data = [example(row) for row in range(len(lengths))]
    Trainer(model=model, args=arguments, train_dataset=data, data_collator=padded, callbacks=[clock]).train()
    if int(os.environ["RANK"]) == 0:
        told.write_text("".join(json.dumps(line) + "\n" for line in clock.lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--told", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--by-length", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    run, folder = args.run.absolute(), args.folder.absolute()
    if args.told:
        train(run, folder, args.steps, args.told, args.by_length)
        return
    folder.mkdir(parents=True, exist_ok=True)
    print("| way | steps | tokens a step | seconds a step, median | tokens/s |")
    print("|---|---|---|---|---|")
    for name, found in (
        ("Trainer, padded, random order", trainers(run, folder, args.steps, False)),
        ("Trainer, padded, by length", trainers(run, folder, args.steps, True)),
        ("ours: packed, experts over both processes", ours(run, folder, args.steps)),
    ):
        warm = found[WARM_UP:]
        seconds = statistics.median(line["seconds"] for line in warm)
        tokens = statistics.mean(line["tokens"] for line in warm)
        print(f"| {name} | {len(found)} | {tokens:.0f} | {seconds:.3f} | {tokens / seconds:.0f} |")


if __name__ == "__main__":
    main()
