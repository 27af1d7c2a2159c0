r"""The tokenizer of the tiny models: byte-level BPE of 320 entries, built from the problem families themselves.

Like that of the Qwen3 models in small: the same special tokens and chat roles, `<think>` opened by the generation
prompt. Digits, operators and newlines are tokens of their own, so that no token spans the border between prompt and
response; any UTF-8 text comes back exactly.
"""

import random
from typing import Any

from polaris.problems.tiny_problems import NOTATIONS

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ADDED = ["<think>", "</think>", "\\underline{", "\\boxed{", "}"]
SIZE = 320
ALONE = r"[0-9=+\-*,;?().:\n]"
WORDS = ["user", "assistant", " Underline key results.", "then", "if"]

# As in Qwen3-*-Thinking-2507: an answer before the last question loses its thoughts; the generation prompt opens them.
CHAT_TEMPLATE = """\
{%- set last = namespace(question=-1) %}
{%- for message in messages %}
    {%- if message.role == 'user' %}
        {%- set last.question = loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == 'assistant' and loop.index0 < last.question and '</think>' in content %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n<think>\\n' }}
{%- endif %}"""


def _corpus() -> list[str]:
    """Texts that the merges come from: the families' problems and the words of the chat and of instructions."""
    rng = random.Random(0)
    return [make(rng.randint(1, 6), rng).text for make in NOTATIONS.values() for _ in range(300)] + WORDS * 300


def build_tokenizer() -> Any:
    """The tokenizer, the same at every call: a transformers PreTrainedTokenizerFast."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(ALONE), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - len(ADDED) + 1,  # `}` is a byte already
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(_corpus(), trainer)
    inner.add_tokens([AddedToken(text, normalized=False, special=False) for text in ADDED])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
