"""Tokens per second of a real model on a CPU: generation by vLLM and by transformers, training by transformers.

    python benchmarks/cpu_model.py MODEL [RESPONSES [TOKENS]]

Each row is a process of its own with the number of threads that it names. Rates are per second of CPU time and of wall
time; on a busy machine the first one compares.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = [
    *(("vllm", dtype, threads, flying) for dtype in ("float32", "bfloat16") for threads, flying in ((1, 16), (2, 16))),
    ("vllm", "float32", 1, 64),
    ("vllm", "bfloat16", 1, 64),
    *(("transformers", dtype, 1, 16) for dtype in ("float32", "bfloat16")),
    *(("training", dtype, threads, 8) for dtype in ("float32", "bfloat16") for threads in (1, 2)),
]
QUESTION = "Mia has 12 boxes with 6 pencils each. She gives away 15 pencils. How many are left? Underline key results."


def prompts(model: Path, number: int) -> list[list[int]]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    text = [{"role": "user", "content": QUESTION}]
    tokens = tokenizer.apply_chat_template(text, add_generation_prompt=True, return_dict=True)["input_ids"]
    return [list(tokens) for _ in range(number)]


def vllm(model: Path, dtype: str, flying: int, responses: int, tokens: int) -> tuple[int, float, float]:
    from polaris.generation.settings import Engine, Sampling
    from polaris.generation.vllm_engine import Request, VllmEngine

    asked = [Request(number, prompt, number) for number, prompt in enumerate(prompts(model, responses))]
    engine = Engine.model_validate(
        {"device": "cpu", "dtype": dtype, "max_model_len": 512, "max_num_seqs": flying, "tensor_parallel_size": 1}
        | {"pipeline_parallel_size": 1, "nodes": 1, "kv_cache_dtype": "auto", "kv_cache_gib": 1.0, "replicas": 1}
    )
    sampling = Sampling(temperature=1.0, top_p=1.0, top_k=-1, max_tokens=tokens, seed=1)
    with tempfile.TemporaryDirectory() as log, VllmEngine(model, engine, sampling, Path(log) / "vllm.log") as running:
        list(running.generate(asked[:2]))
        cpu, wall = time.process_time(), time.perf_counter()
        made = sum(len(one.token_ids) for one in running.generate(asked))
        return made, time.process_time() - cpu, time.perf_counter() - wall


def transformers(model: Path, dtype: str, flying: int, responses: int, tokens: int) -> tuple[int, float, float]:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))
    inputs = torch.tensor(prompts(model, flying))
    options = {"do_sample": True, "temperature": 1.0, "top_k": 0, "pad_token_id": loaded.config.eos_token_id}
    loaded.generate(inputs[:2], max_new_tokens=2, **options)
    cpu, wall, made = time.process_time(), time.perf_counter(), 0
    for _ in range(responses // flying):
        new = loaded.generate(inputs, max_new_tokens=tokens, **options)[:, inputs.shape[1] :]
        ended = (new == loaded.config.eos_token_id).cumsum(1)
        made += int((ended <= 1).sum() - ((ended == 1) & (new != loaded.config.eos_token_id)).sum())
    return made, time.process_time() - cpu, time.perf_counter() - wall


def training(model: Path, dtype: str, flying: int, responses: int, tokens: int) -> tuple[int, float, float]:
    """Forward, backward and Adam on rows of prompt and response; of bfloat16 the products alone (autocast)."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    optimizer = torch.optim.AdamW(loaded.parameters(), lr=1e-6)
    rows = torch.tensor(prompts(model, flying))
    rows = rows.repeat(1, 2)[:, : rows.shape[1] + tokens]
    made, cpu, wall = 0, 0.0, 0.0
    for step in range(max(2, responses // flying // 2)):
        if step == 1:  # the first one makes Adam's moments
            made, cpu, wall = 0, time.process_time(), time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = loaded(input_ids=rows, labels=rows, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        made += rows.numel()
    return made, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    model = Path(sys.argv[1])
    responses, tokens = (int(word) for word in (*sys.argv[2:4], *("48", "64")[len(sys.argv[2:4]) :]))
    if len(sys.argv) > 4:
        way, dtype, _, flying = sys.argv[4:]
        made = globals()[way](model, dtype, int(flying), responses, tokens)
        print("RESULT", json.dumps(made), flush=True)
        os._exit(0)
    print("| way | dtype | threads | in a batch | tokens/CPU s | tokens/s |\n|---|---|---|---|---|---|")
    for way, dtype, threads, flying in WAYS:
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        words = [
            sys.executable,
            __file__,
            str(model),
            str(responses),
            str(tokens),
            way,
            dtype,
            str(threads),
            str(flying),
        ]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
        if line is None:
            print(f"| {way} | {dtype} | {threads} | {flying} | failed: {done.stderr.strip()[-200:]} | |", flush=True)
            continue
        made, cpu, wall = json.loads(line.removeprefix("RESULT "))
        print(f"| {way} | {dtype} | {threads} | {flying} | {made / cpu:.0f} | {made / wall:.0f} |", flush=True)


if __name__ == "__main__":
    main()
