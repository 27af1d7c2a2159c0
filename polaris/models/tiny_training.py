"""Making and briefly training a tiny Qwen3 or Qwen3-MoE (torch and transformers, imported inside the functions).

The weights start with a standard deviation of 1/sqrt(width), which learns several times faster at this width than
the 0.02 that suits wide models; the training is plain supervised learning of worked solutions.
"""

import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from polaris.models.prompts import messages
from polaris.models.settings import Pretraining, TinyModel
from polaris.problems.tiny_problems import draw, solve

ROPE_BASE = 10_000.0
WARM_UP = 20  # steps
FINAL_SHARE = 0.1  # share of the learning rate that the cosine ends with
WEIGHT_DECAY = 0.01
OPENED = "<think>\n"  # what the generation prompt already contains


def build_model(settings: TinyModel, tokenizer: Any) -> Any:
    """A freshly initialised model with the vocabulary of the tokenizer; embeddings tied as in the real small models."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

    common = {
        "vocab_size": len(tokenizer),
        "hidden_size": settings.hidden,
        "intermediate_size": settings.intermediate_size,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "num_key_value_heads": settings.kv_heads,
        "head_dim": settings.head_dim,
        "initializer_range": settings.hidden**-0.5,
        "max_position_embeddings": settings.context,
        "rope_theta": ROPE_BASE,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    torch.manual_seed(settings.seed)
    if settings.tiny == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(tie_word_embeddings=True, **common))
    config = Qwen3MoeConfig(
        tie_word_embeddings=False,
        num_experts=settings.experts,
        num_experts_per_tok=settings.experts_per_token,
        moe_intermediate_size=settings.intermediate_size,
        norm_topk_prob=True,
        decoder_sparse_step=1,
        mlp_only_layers=[],
        **common,
    )
    return Qwen3MoeForCausalLM(config)


def examples(tokenizer: Any, settings: Pretraining, rng: random.Random) -> Iterator[tuple[list[str], list[str]]]:
    """Batches for ever: rendered prompts and the responses to them. Every second prompt carries the instruction."""
    families, shares = list(settings.families), list(settings.families.values())
    while True:
        prompts, responses = [], []
        for i in range(settings.batch):
            family = rng.choices(families, shares)[0]
            problem = draw(family, settings.depth, "train", rng)
            conversation = messages(problem.text, settings.instruction if i % 2 else "")
            prompts.append(tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True))
            solution = solve(problem, rng, settings.error_rate, underlined=rng.random() < settings.underlined)
            responses.append(solution.removeprefix(OPENED) + tokenizer.eos_token)
        yield prompts, responses


def padded(tokenizer: Any, prompts: list[str], responses: list[str]) -> tuple[Any, Any]:
    """Token ids, padded on the right, and the same with -100 where there is no loss: two tensors [batch, tokens]."""
    import torch

    heads, tails = tokenizer(prompts)["input_ids"], tokenizer(responses)["input_ids"]
    length = max(len(head) + len(tail) for head, tail in zip(heads, tails, strict=True))
    ids = torch.full((len(heads), length), tokenizer.pad_token_id)
    labels = torch.full_like(ids, -100)
    for i, (head, tail) in enumerate(zip(heads, tails, strict=True)):
        ids[i, : len(head) + len(tail)] = torch.tensor(head + tail)
        labels[i, len(head) : len(head) + len(tail)] = torch.tensor(tail)
    return ids, labels


def rate(step: int, steps: int) -> float:
    """Share of the learning rate at a step (0-based): linear warm-up, then cosine down to FINAL_SHARE."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1.0, (step + 1) / WARM_UP) * (FINAL_SHARE + (1 - FINAL_SHARE) * cosine)


def optimizers(model: Any, settings: Pretraining) -> list[Any]:
    """AdamW, and with `muon` Muon (Jordan 2024) for the matrices of the layers, which then learn in half as many steps.

    The same learning rate serves both: Muon's updates are scaled to AdamW's size (Liu et al. 2025, arXiv:2502.16982). A
    mixture's experts are stacked, not matrices, and stay with AdamW.
    """
    import torch

    common = {"lr": settings.learning_rate, "weight_decay": WEIGHT_DECAY}
    matrices = [one for one in model.model.layers.parameters() if one.ndim == 2] if settings.optimizer == "muon" else []
    mine = set(map(id, matrices))
    rest = [one for one in model.parameters() if id(one) not in mine]
    muon = [torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw", **common)] if matrices else []
    return [*muon, torch.optim.AdamW(rest, betas=(0.9, 0.98), **common)]


def pretrain(
    model: Any, tokenizer: Any, settings: Pretraining, rng: random.Random, report: Callable[[int, float], None]
) -> None:
    """Learns the response tokens, in place. report: called with the number of steps done and the step's loss."""
    import torch

    both = optimizers(model, settings)
    model.train()
    # Causal attention and padding on the right: no token ever looks at padding, so no mask is needed.
    for step, (prompts, responses) in zip(range(settings.steps), examples(tokenizer, settings, rng), strict=False):
        for group in (group for optimizer in both for group in optimizer.param_groups):
            group["lr"] = settings.learning_rate * rate(step, settings.steps)
        ids, labels = padded(tokenizer, prompts, responses)
        loss = model(input_ids=ids, labels=labels, use_cache=False).loss
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in both:
            optimizer.step()
        report(step + 1, loss.item())
    model.eval()


def save(model: Any, tokenizer: Any, settings: TinyModel, folder: Path) -> None:
    """A directory as on the Hugging Face hub: config.json in the spelling of the published Qwen3 models."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer.model_max_length = settings.context
    tokenizer.save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    # transformers 5 writes other names than the published models have; it reads both, the engines do not all.
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    config["torch_dtype"] = config.pop("dtype")
    if "num_local_experts" in config:
        config["num_experts"] = config.pop("num_local_experts")
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    sampling = {"do_sample": True, "eos_token_id": [tokenizer.eos_token_id, tokenizer.pad_token_id]}
    sampling |= {"pad_token_id": tokenizer.pad_token_id, "temperature": 1.0, "top_p": 1.0}
    (folder / "generation_config.json").write_text(json.dumps(sampling, indent=2, sort_keys=True) + "\n")
