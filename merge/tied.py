"""Tied embeddings: some programs save the output matrix of such a model a second time, some do not.

transformers reads it from the embeddings either way. Two checkpoints of one model may thus differ by this one tensor.
"""

import dataclasses

from merge.shard_reader import same_bytes
from polaris.models.checkpoint import CONFIG, Checkpoint, read_config
from polaris.stage.errors import UserError

EMBEDDINGS = "model.embed_tokens.weight"
HEAD = "lm_head.weight"


def with_heads_of(base: Checkpoint, distilled: Checkpoint) -> Checkpoint:
    """`distilled` with an output matrix if and only if `base` has one; itself for a model that is not tied.

    Raises UserError when a saved output matrix of a tied model is another than its embeddings.
    """
    if not _is_tied(base):
        return distilled
    for checkpoint in (base, distilled):
        if checkpoint.shard_of.keys() >= {EMBEDDINGS, HEAD} and not _same_bytes(checkpoint):
            raise UserError(
                f"{checkpoint.shard_of[HEAD].path}: tensor {HEAD} differs from {EMBEDDINGS}, but config.json says "
                "tie_word_embeddings: true; make both say the same"
            )
    shard_of = dict(distilled.shard_of)
    if HEAD not in base.shard_of:
        shard_of.pop(HEAD, None)
    elif HEAD not in shard_of and EMBEDDINGS in shard_of:
        shard = shard_of[EMBEDDINGS]
        shard_of[HEAD] = dataclasses.replace(shard, tensors={HEAD: shard.tensors[EMBEDDINGS]})
    return dataclasses.replace(distilled, shard_of=shard_of)


def _is_tied(checkpoint: Checkpoint) -> bool:
    there = (checkpoint.folder / CONFIG).is_file()
    return there and read_config(checkpoint.folder).get("tie_word_embeddings") is True


def _same_bytes(checkpoint: Checkpoint) -> bool:
    one, other = ((checkpoint.shard_of[name].path, checkpoint.tensor(name)) for name in (HEAD, EMBEDDINGS))
    return same_bytes(*one, *other)
