"""Our merger against mergekit and against a plain copy: wall time, CPU time, peak memory, on the same files.

    python benchmarks/merge.py FOLDER [--rounds 3] [--layers 8] [--threads 2]

FOLDER takes a made-up Qwen3-MoE pair of 3.1 GB each (8 layers; 12 GB are needed beside it) and every result, which is
removed at once. The ways take turns, `rounds` times each. Before each one its inputs leave the page cache
(posix_fadvise, which needs no root), and its time ends when its result is on disk (`sync`; our verb does that itself).
Memory: the largest resident set of a process, mapped pages of files included.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from merge.alpha import spelled
from merge.settings import Merging

ROOT = Path(__file__).resolve().parents[1]
HIDDEN, EXPERTS, WIDTH, HEADS, KV_HEADS, HEAD, VOCABULARY = 1024, 128, 384, 16, 4, 128, 151_936
CONFIG = {
    "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": HIDDEN, "head_dim": HEAD,
    "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "num_experts": EXPERTS, "num_experts_per_tok": 8,
    "moe_intermediate_size": WIDTH, "intermediate_size": 3072, "vocab_size": VOCABULARY, "decoder_sparse_step": 1,
    "mlp_only_layers": [], "norm_topk_prob": True, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
ALPHAS = (0.3, 0.4, 0.5, 0.6, 0.7)
SHARDS = 7
SETTINGS = Merging(
    backend="stream", mergekit=None, dtype=None, tokenizer="same", sha256=False, threads=2, o_direct=True
)  # fmt: skip


def shapes(layers: int) -> dict[str, tuple[int, ...]]:
    """Tensors of the model, as the published Qwen3-235B-A22B names them."""
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for layer in range(layers):
        name = f"model.layers.{layer}"
        for kind, rows in (("q", HEADS * HEAD), ("k", KV_HEADS * HEAD), ("v", KV_HEADS * HEAD)):
            found[f"{name}.self_attn.{kind}_proj.weight"] = (rows, HIDDEN)
        found[f"{name}.self_attn.o_proj.weight"] = (HIDDEN, HEADS * HEAD)
        found |= {f"{name}.self_attn.{kind}_norm.weight": (HEAD,) for kind in ("q", "k")}
        found |= {f"{name}.{kind}_layernorm.weight": (HIDDEN,) for kind in ("input", "post_attention")}
        found[f"{name}.mlp.gate.weight"] = (EXPERTS, HIDDEN)
        for expert in range(EXPERTS):
            found |= {f"{name}.mlp.experts.{expert}.{kind}_proj.weight": (WIDTH, HIDDEN) for kind in ("gate", "up")}
            found[f"{name}.mlp.experts.{expert}.down_proj.weight"] = (HIDDEN, WIDTH)
    return found | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCABULARY, HIDDEN)}


def make_pair(folder: Path, layers: int) -> None:
    """base and distilled, a step of 1e-3 apart, in equal shards, with their manifests."""
    import torch
    from safetensors.torch import save_file

    from tests.helpers.merge_checkpoints import save_tokenizer, write_json
    from tests.helpers.stages import publish

    for name in ("base", "distilled"):
        (folder / name / "model").mkdir(parents=True)
        write_json(folder / name / "model/config.json", CONFIG | {"num_hidden_layers": layers})
        save_tokenizer(folder / name / "model")
    wanted = list(shapes(layers).items())
    each = sum(torch.Size(shape).numel() for _, shape in wanted) // SHARDS
    generator, weight_map, shard, held = torch.Generator().manual_seed(1), {}, 1, {}
    for position, (tensor, shape) in enumerate(wanted, 1):
        held[tensor] = torch.randn(shape, generator=generator).mul_(0.02).bfloat16()
        last = position == len(wanted)
        if last or (shard < SHARDS and sum(one.numel() for one in held.values()) >= each):
            file = f"model-{shard:05d}-of-{SHARDS:05d}.safetensors"
            weight_map |= dict.fromkeys(held, file)
            save_file(held, folder / "base/model" / file, metadata={"format": "pt"})
            moved = {
                key: (one + 1e-3 * torch.randn(one.shape, generator=generator)).bfloat16() for key, one in held.items()
            }
            save_file(moved, folder / "distilled/model" / file, metadata={"format": "pt"})
            shard, held = shard + 1, {}
    for name in ("base", "distilled"):
        write_json(folder / name / "model/model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
        publish(folder / name)


def ours(folder: Path, out: Path, alphas: tuple[float, ...], **settings: object) -> list[str]:
    """Our verb as a command."""
    values = SETTINGS.model_copy(update=settings).model_dump_json()
    inputs = [f"--{name}={folder / name / 'checkpoint.json'}" for name in ("base", "distilled")]
    target = out / "alpha={alpha}" / "checkpoint.json"
    names = [spelled(alpha) for alpha in alphas]
    verb = [sys.executable, "-m", "merge.merge_models", "--alphas", *names]
    return [*verb, "--settings", values, *inputs, "--out", str(target)]


def mergekit(folder: Path, out: Path) -> list[str]:
    """mergekit's linear merge at its best here: small shards keep its memory low; one thread, which more only
    disturb.
    """
    paths = [str((folder / name / "model").absolute()) for name in ("base", "distilled")]
    models = [{"model": path, "parameters": {"weight": w}} for path, w in zip(paths, (0.3, 0.7), strict=True)]
    config = {"merge_method": "linear", "base_model": paths[0], "dtype": "bfloat16", "models": models}
    (folder / "mergekit.yaml").write_text(json.dumps(config))  # JSON is YAML
    program = [sys.executable, "-m", "mergekit.scripts.run_yaml", str(folder / "mergekit.yaml"), str(out)]
    options = ["--no-write-model-card", "--out-shard-size=500M", "--quiet"]
    return synced([*program, *options], out)


def copy(folder: Path, out: Path, how: str) -> list[str]:
    """Read the base, copy the distilled model: the bytes of a merge without its arithmetic."""
    names = [f"model-{i + 1:05d}-of-{SHARDS:05d}.safetensors" for i in range(SHARDS)]
    pairs = [(folder / "base/model" / name, folder / "distilled/model" / name) for name in names]
    lines = [f"cat '{base}' > /dev/null && {how.format(distilled, out / distilled.name)}" for base, distilled in pairs]
    return synced(["bash", "-ec", "\n".join([f"mkdir -p '{out}'", *lines])], out)


def synced(command: list[str], out: Path) -> list[str]:
    """The command, and then its result on disk."""
    return ["bash", "-ec", f'"$@"; find "{out}" -type f -exec sync {{}} +', "bash", *command]


def forget(folder: Path) -> None:
    """The pair leaves the page cache."""
    for path in folder.glob("*/model/*.safetensors"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measured(command: list[str]) -> dict[str, float]:
    """wall, cpu: seconds; memory: bytes; read, written: bytes of the disk; load: at the start."""
    load = os.getloadavg()[0]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[:4]} failed:\n{errors.decode()[-2000:]}")
    wall, cpu = time.monotonic() - started, usage.ru_utime + usage.ru_stime
    disk = {"read": usage.ru_inblock * 512, "written": usage.ru_oublock * 512}
    return {"wall": wall, "cpu": cpu, "memory": usage.ru_maxrss * 1024, **disk, "load": load}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    folder, out = args.folder.absolute(), args.folder.absolute() / "out"
    if not (folder / "distilled/checkpoint.json").is_file():
        # A process of its own: a child begins with its parent's resident set, and that would count as the child's.
        maker = multiprocessing.get_context("spawn").Process(target=make_pair, args=(folder, args.layers))
        maker.start()
        maker.join()
    stream = lambda alphas, direct: lambda: ours(folder, out, alphas, threads=args.threads, o_direct=direct)
    ways: dict[str, Callable[[], list[str]]] = {
        "copy: cat, cp": lambda: copy(folder, out, "cp '{}' '{}'"),
        "copy: cat, dd with O_DIRECT": lambda: copy(folder, out, "dd if='{}' of='{}' bs=4M iflag=direct oflag=direct"),
        "ours, one alpha": stream(ALPHAS[:1], False),
        "ours, one alpha, O_DIRECT": stream(ALPHAS[:1], True),
        "ours, five alphas in one pass": stream(ALPHAS, False),
        "ours, five alphas in one pass, O_DIRECT": stream(ALPHAS, True),
        "mergekit, one alpha": lambda: mergekit(folder, out),
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, command in ways.items():
            shutil.rmtree(out, ignore_errors=True)
            forget(folder)
            found[name].append(measured(command()))
            print(json.dumps({"way": name} | found[name][-1]), file=sys.stderr, flush=True)
    shutil.rmtree(out, ignore_errors=True)
    print("| way | wall s, median (least to most) | CPU s | memory GB | read GB | written GB | load |")
    print("|---|---|---|---|---|---|---|")
    for name, runs in found.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        walls = [run["wall"] for run in runs]
        print(
            f"| {name} | {middle['wall']:.1f} ({min(walls):.1f} to {max(walls):.1f}) | {middle['cpu']:.1f} | "
            f"{middle['memory'] / 1e9:.2f} | {middle['read'] / 1e9:.1f} | {middle['written'] / 1e9:.1f} | "
            f"{middle['load']:.1f} |"
        )


if __name__ == "__main__":
    main()
