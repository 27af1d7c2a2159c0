"""A mixture of experts from Hugging Face shards into Megatron's processes and out again, against a copy of the same
bytes.

    python benchmarks/conversion.py FOLDER [--layers 20] [--shard-gb 1] [--rounds 2]

FOLDER takes a made-up Qwen3-MoE in bfloat16 (20 layers: 8 GB) and what is written, which is removed at once. Two
processes hold half of the experts each. Ways take turns; before each one the model leaves the page cache, and its time
ends when its result is on disk. Making Megatron's empty model is not counted. Memory: the largest anonymous memory (no
pages of mapped files) of a process while it reads and writes, beside its parameters'.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.merge import CONFIG, forget, shapes, synced
from large_sft.training.rank import run_process

PROCESSES, SHARD = 2, 1e9  # SHARD: bytes of the made-up model's
RSS = re.compile(r"RssAnon:\s+(\d+) kB")


def make_model(model: Path, layers: int) -> None:
    """Random weights under the names of Qwen3-MoE."""
    import torch
    from safetensors.torch import save_file

    model.mkdir(parents=True)
    wanted, weight_map, held = list(shapes(layers).items()), {}, {}
    generator = torch.Generator().manual_seed(1)
    for name, shape in wanted:
        held[name] = torch.empty(shape, dtype=torch.bfloat16).uniform_(-0.03, 0.03, generator=generator)
        if name == wanted[-1][0] or sum(tensor.nbytes for tensor in held.values()) > SHARD:
            file = f"model-{len(set(weight_map.values())):05d}.safetensors"
            weight_map |= dict.fromkeys(held, file)
            save_file(held, model / file, metadata={"format": "pt"})
            held = {}
    (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    config = {"num_hidden_layers": layers, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "max_position_embeddings": 4096}
    config |= {"hidden_act": "silu"}
    (model / "config.json").write_text(json.dumps(CONFIG | config))


class Memory(threading.Thread):
    """The largest anonymous memory of this process while it lives, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest, self.done = 0, threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.02):
            self.largest = max(self.largest, now())


def now() -> int:
    return int(RSS.search(Path("/proc/self/status").read_text())[1]) * 1024


def convert(folder: Path, shard_bytes: float) -> None:
    """One process: reads its part, writes its part, and its figures into FOLDER/<rank>.json."""
    import torch.distributed as dist

    from large_sft.model.weights import Weights, architecture
    from large_sft.settings import ConversionCheck
    from large_sft.training import megatron_hf, megatron_model, megatron_processes
    from polaris.recipe import recipe

    asked = recipe.load([str(ROOT / "configs/laptop.yaml")]).large_sft.conversion.model_dump(mode="json")
    settings = ConversionCheck.model_validate(asked | {"precision": "bf16"})  # the laptop's layout: experts over both
    megatron_processes.start_processes(settings)
    weights = Weights(folder / "base/model", "pt")
    chunks = megatron_model.build(architecture(weights.folder), settings)
    if dist.get_rank() == 0:
        forget(folder)
    before, memory = now(), Memory()
    memory.start()
    dist.barrier()
    started = time.monotonic(), time.process_time()
    megatron_hf.load(chunks, weights)
    dist.barrier()
    read = time.monotonic()
    out = folder / "out"
    megatron_hf.export(chunks, out, weights, shard_bytes)
    for path in out.glob(f"model-{dist.get_rank():05d}-*"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    dist.barrier()
    found = {"load": read - started[0], "export": time.monotonic() - read, "cpu": time.process_time() - started[1]}
    memory.done.set()
    parameters = sum(parameter.nbytes for chunk in chunks for parameter in chunk.parameters())
    found |= {"parameters": parameters, "beside": memory.largest - before, "whole": memory.largest}
    (folder / f"{dist.get_rank()}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def processes(folder: Path, shard_gb: float) -> dict[str, float]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command = [*launcher, f"--nproc-per-node={PROCESSES}", __file__, str(folder), f"--shard-gb={shard_gb}", "--inside"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)
    ranks = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(PROCESSES)]
    largest = {key: max(rank[key] for rank in ranks) for key in ranks[0]}
    return largest | {"wall": largest["load"] + largest["export"], "cpu": sum(rank["cpu"] for rank in ranks)}


def copied(folder: Path) -> dict[str, float]:
    out = folder / "out"
    forget(folder)
    started, before = time.monotonic(), os.times()
    subprocess.run(synced(["cp", "-r", str(folder / "base/model"), str(out)], out), check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall": time.monotonic() - started, "cpu": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--shard-gb", type=float, default=1.0, help="largest written shard")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    folder = args.folder.absolute()
    if args.inside:
        run_process("cpu", lambda: convert(folder, args.shard_gb * 1e9))
        return
    if not (folder / "base/model/config.json").is_file():
        make_model(folder / "base/model", args.layers)
    ways = {"copy (cp)": lambda: copied(folder), "in and out": lambda: processes(folder, args.shard_gb)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, run in ways.items():
            shutil.rmtree(folder / "out", ignore_errors=True)
            load = os.getloadavg()[0]
            found[name].append(run() | {"machine": load})
            print(json.dumps({"way": name} | found[name][-1]), file=sys.stderr, flush=True)
    shutil.rmtree(folder / "out", ignore_errors=True)
    size = sum(path.stat().st_size for path in (folder / "base/model").glob("*.safetensors"))
    print(f"{size / 1e9:.2f} GB")
    print("| way | wall s | load s | export s | CPU s | parameters GB | beside them GB | load of the machine |")
    print("|---|---|---|---|---|---|---|---|")
    for name, runs in found.items():
        one = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        middle = [f"{one[key]:.1f}" if key in one else "" for key in ("load", "export")]
        memory = [f"{one[key] / 1e9:.2f}" if key in one else "" for key in ("parameters", "beside")]
        print(
            f"| {name} | {one['wall']:.1f} | {' | '.join(middle)} | {one['cpu']:.1f} | {' | '.join(memory)} | "
            f"{one['machine']:.1f} |"
        )


if __name__ == "__main__":
    main()
