"""Megatron SFT against transformers' Trainer: tokens per second of the same mixture of experts on the same traces.

    python benchmarks/sft.py RUN FOLDER [--steps 40] [--hidden 256]

RUN is a finished run of the laptop recipe (runs/laptop): its start model and its traces are read. FOLDER takes what is
trained. Both train two processes on this machine's cores in float32 with AdamW, about 4096 tokens of traces a step:
ours with packing, as copies and with experts over both processes, the Trainer with padding and data-parallel copies, in
the order of the data and with batches of similar length. Only a trace's tokens count, no padding; seconds are the
median of the steps after the first five, CPU seconds those of both processes (what a machine that has other work can
compare).
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

from large_sft.training.rank import run_process
from polaris.recipe import recipe

PROCESSES, WARM_UP = 2, 5


def start_model(run: Path, folder: Path, hidden: int | None) -> Path:
    """The run's start model, or an untrained one of its kind with this width."""
    if hidden is None:
        return run / "base_large/model"
    sizes = {"hidden": hidden, "intermediate_size": 2 * hidden, "heads": hidden // 32, "kv_heads": hidden // 64}
    asked = recipe.load([str(ROOT / "configs/laptop.yaml")]).inputs.base_large.model_dump(mode="json") | sizes
    asked["pretraining"] |= {"steps": 1, "batch": 1}
    out = folder / f"start-{hidden}" / "checkpoint.json"
    verb = [sys.executable, "-m", "polaris.models.make_model", "--settings", json.dumps(asked), "--out", str(out)]
    subprocess.run(verb, cwd=ROOT, check=True, stdout=sys.stderr)
    return out.parent / "model"


def together(way: str, run: Path, start: Path, folder: Path, steps: int) -> list[dict[str, float]]:
    """Tokens, seconds and CPU seconds (of both processes) of each step of this file's part for `way`."""
    told = folder / way
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    arguments = [str(run), str(folder), f"--steps={steps}", f"--way={way}", f"--model={start}"]
    environment = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "CUDA_VISIBLE_DEVICES": ""}
    command = [*launcher, f"--nproc-per-node={PROCESSES}", __file__, *arguments]
    subprocess.run(command, check=True, env=os.environ | environment, stdout=sys.stderr)
    ranks = [json.loads(told.with_suffix(f".{rank}").read_text()) for rank in range(PROCESSES)]
    return [{**one[0], "cpu": sum(rank["cpu"] for rank in one)} for one in zip(*ranks, strict=True)]


def ours(run: Path, start: Path, folder: Path, steps: int, expert: int) -> list[dict[str, float]]:
    """One process of the recipe's training, with its experts over `expert` processes."""
    from large_sft.traces.tokens import read_traces
    from large_sft.training import megatron_loop, megatron_processes
    from large_sft.training.job import TrainingJob
    from large_sft.training.train_sft import planned_packs

    settings = recipe.load([str(ROOT / "configs/laptop.yaml")]).large_sft.sft
    settings = settings.model_copy(update={"layout": settings.layout.model_copy(update={"expert": expert})})
    megatron_processes.start_processes(settings)
    tokens, metrics = run / "sft_data/tokens.parquet", folder / f"ours-{expert}.jsonl"
    packs_SK = planned_packs(start, read_traces(tokens), settings)
    paths = {"start": start, "tokens": tokens, "state": folder, "out": folder / "unused", "metrics": metrics}
    job = TrainingJob(settings=settings, packs_SK=packs_SK, **paths)
    trainer, lines = megatron_loop.Trainer(job), []
    for step, packs in enumerate(packs_SK[:steps], start=1):
        wall, cpu = time.monotonic(), time.process_time()
        trainer.step(step)
        seen = int(sum(trainer.traces.lengths_R[row] for pack in packs for row in pack))
        lines.append({"tokens": seen, "seconds": time.monotonic() - wall, "cpu": time.process_time() - cpu})
    return lines


def trainers(run: Path, start: Path, folder: Path, steps: int, by_length: bool) -> list[dict[str, float]]:
    """One process of the Trainer: tokens of all processes, seconds and CPU seconds of its own, per step."""
    import torch
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

    from large_sft.traces.tokens import read_traces

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
            self.last, self.lines = (time.monotonic(), time.process_time(), 0), []

        def on_step_end(self, args, state, control, **_):
            now = time.monotonic(), time.process_time(), int(state.num_input_tokens_seen)
            wall, cpu, tokens = (new - old for new, old in zip(now, self.last, strict=True))
            self.lines.append({"tokens": tokens, "seconds": wall, "cpu": cpu})
            self.last = now

    clock = Clock()
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"), use_cpu=True, per_device_train_batch_size=each, max_steps=steps,
        learning_rate=5e-4, weight_decay=0.0, max_grad_norm=1.0, report_to=[], save_strategy="no", logging_steps=steps,
        train_sampling_strategy="group_by_length" if by_length else "random", disable_tqdm=True,
        include_num_input_tokens_seen="non_padding", seed=1, optim="adamw_torch",
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    data = [example(row) for row in range(len(lengths))]
    Trainer(model=model, args=arguments, train_dataset=data, data_collator=padded, callbacks=[clock]).train()
    return clock.lines


WAYS = {
    "random": ("Trainer, padded, random order", lambda *given: trainers(*given, by_length=False)),
    "length": ("Trainer, padded, by length", lambda *given: trainers(*given, by_length=True)),
    "copies": ("ours: packed, data-parallel copies", lambda *given: ours(*given, expert=1)),
    "experts": ("ours: packed, experts over both processes", lambda *given: ours(*given, expert=2)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument(
        "--hidden", type=int, help="width of an untrained model in the place of the run's, a multiple of 64"
    )
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    run, folder = args.run.absolute(), args.folder.absolute()
    if args.way:
        work = lambda: (folder / f"{args.way}.{os.environ['RANK']}").write_text(
            json.dumps(WAYS[args.way][1](run, args.model, folder, args.steps))
        )
        run_process("cpu", work) if WAYS[args.way][0].startswith("ours") else work()
        return
    folder.mkdir(parents=True, exist_ok=True)
    start = start_model(run, folder, args.hidden)
    print("| way | tokens a step | s a step, median | tokens/s | CPU s a step, median | tokens per CPU s |")
    print("|---|---|---|---|---|---|")
    for way, (name, _) in WAYS.items():
        warm = together(way, run, start, folder, args.steps)[WARM_UP:]
        seconds, cpu = (statistics.median(line[key] for line in warm) for key in ("seconds", "cpu"))
        tokens = statistics.mean(line["tokens"] for line in warm)
        print(f"| {name} | {tokens:.0f} | {seconds:.3f} | {tokens / seconds:.0f} | {cpu:.3f} | {tokens / cpu:.0f} |")


if __name__ == "__main__":
    main()
