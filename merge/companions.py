"""What lies beside a model's weights: configuration, licence, tokenizer, chat template."""

import json
import shutil
from pathlib import Path

from polaris.models.checkpoint import CONFIG, read_config

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack")

# How the names of the files begin that belong to a tokenizer and its chat template.
TOKENIZER_FILES = (
    "tokenizer",
    "special_tokens_map",
    "added_tokens",
    "vocab",
    "merges.txt",
    "chat_template",
)


def copy_companions(base: Path, tokenizer: Path, out: Path, dtype: str | None) -> None:
    """Copy what lies beside the weights: config, generation config, licence of the base; tokenizer and chat template.

    tokenizer: the model that these two come from. dtype: of the merged weights, for config.json; None: the base's.
    """
    for source, wanted in ((base, False), (tokenizer, True)):
        for path in sorted(source.iterdir()):
            if is_companion(path) and path.name.startswith(TOKENIZER_FILES) == wanted:
                shutil.copyfile(path, out / path.name)
    if dtype:
        config = read_config(out)
        named = [key for key in ("dtype", "torch_dtype") if key in config] or ["dtype"]
        text = json.dumps(config | dict.fromkeys(named, dtype), indent=2, ensure_ascii=False)
        (out / CONFIG).write_text(text + "\n")


def is_companion(path: Path) -> bool:
    return path.is_file() and path.suffix not in WEIGHTS and not path.name.endswith((".index.json", ".partial"))
