"""What must be true of a model's folder before anything is made of it: whole, safe, and fit for the stages."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from polaris.models.architecture import rope
from polaris.models.chat_template import ChatTemplate
from polaris.models.checkpoint import read_checkpoint, read_config
from polaris.models.model_files import model_files, take
from polaris.models.prompts import load_tokenizer, messages
from polaris.models.safetensors_header import shown
from polaris.stage.errors import UserError

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")
ADAPTER = "adapter_config.json"
SERVED = "mxfp4"  # gpt-oss has no other weights: a teacher's, which vLLM serves and nothing trains
ANSWER = "The answer is 2."


def check_model(folder: Path) -> dict[str, Path]:
    """Name -> place of the files of a complete model directory; of safetensors the index's only.

    Reads headers, configuration and tokenizer, no weights. Raises UserError naming what is wrong or missing.
    """
    files = model_files(folder)
    check_described(folder, files)
    checkpoint = read_checkpoint(folder)
    for name, shard in checkpoint.shard_of.items():
        if (dtype := shard.tensors[name].dtype).startswith("F8_"):
            raise UserError(
                f"{shard.path}: tensor {shown(name)} is {dtype}: quantised weights can be neither trained nor merged; "
                "take the model's bf16 version"
            )
    if not files.keys() & set(TOKENIZERS):
        raise UserError(f"{folder}: there is no tokenizer in it (looked for {', '.join(TOKENIZERS)})")
    shards = {shard.path.name for shard in checkpoint.shards}
    return {name: path for name, path in files.items() if path.suffix != ".safetensors" or name in shards}


def check_described(folder: Path, files: Mapping[str, Path]) -> None:
    """What a model's files beside its weights say. Raises UserError for an adapter, for no model of transformers, and
    for weights that are quantised: they can be neither trained nor averaged.
    """
    if ADAPTER in files:
        raise UserError(
            f"{folder}/{ADAPTER}: this is an adapter, not a model: merge it into its base model (peft's "
            "merge_and_unload), save that, and remove this file"
        )
    config, where = read_config(folder), f"{folder}/config.json"
    if "model_type" not in config:
        raise UserError(f"{where}: it has no model_type, so this is not a model of transformers")
    rope(config, where)
    for key in ("quantization_config", "compression_config"):
        method = config[key].get("quant_method") if isinstance(config.get(key), dict) else config.get(key)
        if config.get(key) and method != SERVED:
            raise UserError(
                f"{where}: {key} says that its weights are quantised ({shown(method)}): they can be neither trained "
                "nor merged; take the model's bf16 version"
            )


def check_tokenizer(folder: Path, files: Mapping[str, Path]) -> None:
    """The tokenizer and its chat template work, fit the model's vocabulary, and end a turn with eos_token.

    files: as `check_model` gives them. Needs transformers. Raises UserError.
    """
    with tempfile.TemporaryDirectory() as copy:  # without byte order marks
        for name, path in files.items():
            if not name.endswith(".safetensors"):
                take(path, Path(copy) / name)
        try:
            _check_tokenizer(Path(copy), read_config(folder).get("vocab_size"))
        except UserError as error:
            raise UserError(str(error).replace(copy, str(folder))) from None


def _check_tokenizer(model: Path, vocabulary: int | None) -> None:
    tokenizer = load_tokenizer(model)
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if isinstance(vocabulary, int) and largest >= vocabulary:
        raise UserError(
            f"{model}/config.json: vocab_size is {vocabulary}, but the tokenizer beside it has ids up to {largest}: it "
            "is another model's, or got tokens for which there are no weights; take both from one model"
        )
    question = messages("What is 1 + 1?", "")
    with ChatTemplate(tokenizer) as template:
        template.render(question, add_generation_prompt=True)
        whole = template.render([*question, {"role": "assistant", "content": ANSWER}], add_generation_prompt=False)
    end = whole.rpartition(ANSWER)[2].strip() if ANSWER in whole else None
    if end is None:
        raise UserError(f"{model}: the chat template does not write what the assistant says; take the model's own")
    if not tokenizer.eos_token or not end.startswith(tokenizer.eos_token):
        raise UserError(
            f"{model}: the chat template ends a turn with {shown(end)!r}, but the tokenizer's eos_token is "
            f"{tokenizer.eos_token!r}: no response would end before its limit; set eos_token to the end of a turn, in "
            "tokenizer_config.json of a copy of the model"
        )
