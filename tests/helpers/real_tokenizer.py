"""Tiny models with the published Qwen3 tokenizer and its padded vocabulary, as folders of one's own."""

import json
import math
import random
from pathlib import Path
from typing import Any

from polaris.models.settings import Pretraining
from polaris.models.tiny_training import OPENED, examples, padded

VOCABULARY = 151_936  # of the published Qwen3 models; their tokenizer has 151,669 tokens


def make_model(folder: Path, tokenizer_folder: Path, kind: str, settings: Pretraining, seed: int) -> Path:
    """A dense model of that model_type, trained until it answers in the published chat template.

    It is trained with the tokens that occur. The embeddings of all others are nearly zero, and so are their logits:
    they are counted in the loss, and need not be computed. Zero itself would not do: where such a token is drawn and
    taught, the first norm multiplies its gradient by a thousand.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    drawn = examples(tokenizer, settings, random.Random(seed))
    batches = [padded(tokenizer, prompts, [OPENED + response for response in responses])
               for _, (prompts, responses) in zip(range(settings.steps), drawn, strict=False)]  # fmt: skip
    used = torch.cat([ids.flatten() for ids, _ in batches]).unique()
    own = {"head_dim": 32} if kind == "qwen3" else {}
    config = AutoConfig.for_model(
        kind, vocab_size=len(used), hidden_size=64, intermediate_size=192, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=4096, tie_word_embeddings=True, initializer_range=0.125,
        bos_token_id=None, rope_parameters={"rope_type": "default", "rope_theta": 10_000.0}, **own,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    loss = _train(model, used, batches, settings.learning_rate)
    assert loss < 1.5, f"{kind}: the loss is {loss:.2f}; too little to answer with"
    small = model.get_input_embeddings().weight.data
    model.resize_token_embeddings(VOCABULARY, mean_resizing=False)
    whole = model.get_input_embeddings().weight.data
    whole.normal_(std=0.02)
    whole[used] = small
    model.config.update({"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id})
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [tokenizer.eos_token_id]}))
    return folder


def _train(model: Any, used: Any, batches: list[Any], learning_rate: float) -> float:
    """AdamW on the responses; the last loss, in nats. used: the vocabulary's tokens that the model knows, in order."""
    import torch

    others = torch.tensor(math.log(VOCABULARY - len(used)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    loss = torch.zeros(())
    for step, (ids, labels) in enumerate(batches):
        taught = labels[:, 1:] >= 0
        logits = model(input_ids=torch.searchsorted(used, ids), use_cache=False).logits[:, :-1][taught]
        right = logits.gather(1, torch.searchsorted(used, labels[:, 1:][taught])[:, None])[:, 0]
        loss = (torch.logaddexp(logits.logsumexp(-1), others) - right).mean()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, 2 * (1 - step / len(batches)))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return loss.item()
