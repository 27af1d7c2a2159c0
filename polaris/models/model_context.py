"""How many tokens a model can hold: raised in a copy of its config.json, with or without YaRN. Its weights are not
copied.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from polaris.models.architecture import UNSCALED, rope
from polaris.models.checkpoint import CONFIG, read_config
from polaris.models.settings import Yarn
from polaris.stage.errors import UserError

POSITIONS = "max_position_embeddings"


def extended(config: dict[str, Any], context: int | None, yarn: Yarn | None) -> dict[str, Any]:
    """A config.json's values for at least `context` positions, or for as many as `yarn` reaches.

    V1 writes `attn_factor: 1.0`, a key that transformers and vLLM do not know: they then scale queries and keys by
    0.1 ln(factor) + 1 all the same. `attention_factor` is what they read, but for vLLM 0.24.0, which verl is released
    for: it reads `apply_yarn_scaling`. All take max_position_embeddings as the stretched length, and vLLM insists on
    the original one.
    """
    config = dict(config)
    if context is not None:
        config[POSITIONS] = max(context, config.get(POSITIONS, 0))
    if yarn:
        # Configs of transformers 5 keep rope's base in `rope_parameters`, older ones beside `rope_scaling`.
        key = "rope_parameters" if config.get("rope_parameters") else "rope_scaling"
        kept = {name: value for name, value in (config.get(key) or {}).items() if name == "rope_theta"}
        reach = {"rope_type": "yarn", "factor": yarn.factor, "original_max_position_embeddings": yarn.original}
        unscaled = {"attention_factor": 1.0, "apply_yarn_scaling": False}
        config |= {key: kept | reach | unscaled, POSITIONS: int(yarn.factor * yarn.original)}
    return config


def with_context(model: Path, context: int | None, yarn: Yarn | None, folder: Path) -> Path:
    """The model, or in `folder` a stage's own copy of it: another config.json, links to all other files."""
    if context is None and yarn is None:
        return model
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in model.iterdir():
        if path.name != CONFIG:
            (folder / path.name).symlink_to(path.resolve())
    config = extended(read_config(model), context, yarn)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    return folder


def check_context(model: Path, max_model_len: int, remedy: str) -> None:
    """Raises UserError when the model was not made for so many tokens. remedy: what to do, for the message.

    A rope that the model's makers have scaled is left to the engine.
    """
    config, where = read_config(model), f"{model}/config.json"
    limit = config.get(POSITIONS)
    if limit and rope(config, where)["rope_type"] == UNSCALED and max_model_len > limit:
        raise UserError(f"engine.max_model_len: {max_model_len} tokens, but {where} allows {limit}; {remedy}")
