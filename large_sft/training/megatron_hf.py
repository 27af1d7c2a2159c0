"""Hugging Face safetensors into a GPTModel and out again, without a conversion stage and without the whole model
anywhere.

In: each process reads only its own slices. Out: the first data-parallel replica owns a parameter; each owner writes its
own shards, so that host memory is bounded by one shard per process. Only tensor-parallel neighbours talk to each other.
Both the local spec's and Transformer Engine's parameter names are known.
"""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.models.gpt.gpt_model import GPTModel
from safetensors.torch import save_file

from large_sft.model.weights import Weights, architecture, check_names
from large_sft.settings import Placed
from large_sft.training import megatron_model
from large_sft.training.megatron_processes import all_entries
from polaris.models.checkpoint import INDEX
from polaris.models.dtypes import torch_dtype
from polaris.stage.errors import UserError

WHOLE, ROWS, COLUMNS, GATED, QKV = "whole", "rows", "columns", "gated", "qkv"
PROJECTIONS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]
LAYER = {
    "input_layernorm.weight": (WHOLE, ["input_layernorm"]),
    "self_attention.linear_qkv.layer_norm_weight": (WHOLE, ["input_layernorm"]),
    "self_attention.q_layernorm.weight": (WHOLE, ["self_attn.q_norm"]),
    "self_attention.k_layernorm.weight": (WHOLE, ["self_attn.k_norm"]),
    "self_attention.linear_qkv.weight": (QKV, PROJECTIONS),
    "self_attention.linear_qkv.bias": (QKV, PROJECTIONS),
    "self_attention.linear_proj.weight": (COLUMNS, ["self_attn.o_proj"]),
    "pre_mlp_layernorm.weight": (WHOLE, ["post_attention_layernorm"]),
    "mlp.linear_fc1.layer_norm_weight": (WHOLE, ["post_attention_layernorm"]),
    "mlp.router.weight": (WHOLE, ["mlp.gate"]),
    "mlp.linear_fc1.weight": (GATED, ["mlp.gate_proj", "mlp.up_proj"]),
    "mlp.linear_fc2.weight": (COLUMNS, ["mlp.down_proj"]),
}
TOP = {
    "embedding.word_embeddings.weight": (ROWS, "model.embed_tokens.weight"),
    "output_layer.weight": (ROWS, "lm_head.weight"),
    "decoder.final_layernorm.weight": (WHOLE, "model.norm.weight"),
}
EXPERT = re.compile(r"mlp\.experts\.(?:local_experts\.(\d+)\.linear_fc([12])\.weight|linear_fc([12])\.weight(\d+))$")


@dataclass(frozen=True)
class Source:
    """Where a Megatron parameter comes from: Hugging Face tensors, and how tensor parallelism cuts them."""

    cut: str
    names: tuple[str, ...]
    expert: bool = False


def source_of(name: str, first_layer: int, first_expert: int, tied: bool) -> Source:
    """The source of this process's parameter `name`; layers and experts count from the process's first ones."""
    if name in TOP:
        cut, theirs = TOP[name]
        # A tied model's last pipeline stage holds a copy of the embedding as its output layer.
        return Source(cut, ("model.embed_tokens.weight" if tied and theirs == "lm_head.weight" else theirs,))
    match = re.match(r"decoder\.layers\.(\d+)\.(.*)$", name)
    if match is None:
        raise ValueError(f"{name}: no Hugging Face tensor is known for this parameter")
    prefix, rest = f"model.layers.{int(match[1]) + first_layer}.", match[2]
    if rest in LAYER:
        cut, names = LAYER[rest]
        return Source(cut, tuple(f"{prefix}{theirs}.{rest.rpartition('.')[2]}" for theirs in names))
    match = EXPERT.match(rest)
    if match is None:
        raise ValueError(f"{name}: no Hugging Face tensor is known for this parameter")
    expert = f"{prefix}mlp.experts.{int(match[1] or match[4] or 0) + first_expert}."
    if (match[2] or match[3]) == "1":
        return Source(GATED, (expert + "gate_proj.weight", expert + "up_proj.weight"), expert=True)
    return Source(COLUMNS, (expert + "down_proj.weight",), expert=True)


def _sources(model: GPTModel) -> Iterator[tuple[torch.nn.Parameter, Source]]:
    layers: Any = model.decoder.layers
    experts = model.config.num_moe_experts or 0
    first_layer = layers[0].layer_number - 1 if len(layers) else 0
    first_expert = (
        experts
        // parallel_state.get_expert_model_parallel_world_size()
        * parallel_state.get_expert_model_parallel_rank()
    )
    for name, parameter in model.named_parameters():
        yield (
            parameter,
            source_of(name, first_layer, first_expert, model.share_embeddings_and_output_weights),
        )


def _tensor_ranks(source: Source) -> tuple[int, int, dist.ProcessGroup]:
    """Rank, size and group of the tensor parallelism that cuts this parameter."""
    group: Any = (
        parallel_state.get_expert_tensor_parallel_group()
        if source.expert
        else parallel_state.get_tensor_model_parallel_group()
    )
    return group.rank(), group.size(), group


def read_model(weights: Weights, settings: Placed, loss_chunk: int | None = None) -> list[GPTModel]:
    """This process's part of the model in `weights`: one GPTModel per chunk of layers.

    The process groups must have been started. Raises UserError where a package is missing.
    """
    chunks = megatron_model.build(architecture(weights.folder), settings, loss_chunk)
    load(chunks, weights)
    return chunks


@torch.no_grad()
def load(chunks: Sequence[GPTModel], weights: Weights) -> None:
    """Copy this process's slices of the Hugging Face weights into its chunks of the model."""
    for model, (parameter, source) in ((chunk, pair) for chunk in chunks for pair in _sources(chunk)):
        rank, size, _ = _tensor_ranks(source)
        slices = [weights.slice(name) for name in source.names]
        if source.cut == WHOLE:
            tensor = slices[0][:]
        elif source.cut == COLUMNS:
            width = parameter.shape[1]
            tensor = slices[0][:, rank * width : (rank + 1) * width]
        else:
            rows = [part.get_shape()[0] // size for part in slices]
            parts = [part[rank * n : (rank + 1) * n] for part, n in zip(slices, rows, strict=True)]
            tensor = _interleaved(parts, model) if source.cut == QKV else torch.cat(parts)
        if tensor.shape != parameter.shape:
            raise UserError(
                f"{weights.folder}: {source.names[0]} gives {tuple(tensor.shape)} on this process, "
                f"the model wants {tuple(parameter.shape)}"
            )
        parameter.copy_(tensor)


def _interleaved(qkv: list[torch.Tensor], model: GPTModel) -> torch.Tensor:
    """Megatron's order: for each group of heads its queries, its key, its value; weights or biases."""
    width: Any = model.config.kv_channels
    groups = qkv[1].shape[0] // width
    return torch.cat([x.view(groups, -1, *x.shape[1:]) for x in qkv], dim=1).flatten(0, 1)


def _separated(qkv: torch.Tensor, model: GPTModel) -> list[torch.Tensor]:
    """The inverse of `_interleaved`, over all groups."""
    config: Any = model.config
    width, groups = config.kv_channels, config.num_query_groups
    per_group = qkv.view(groups, -1, *qkv.shape[1:])
    sizes = [per_group.shape[1] - 2 * width, width, width]
    return [x.flatten(0, 1) for x in per_group.split(sizes, dim=1)]


def _joined(parts: list[torch.Tensor], source: Source, model: GPTModel) -> list[torch.Tensor]:
    """The Hugging Face tensors made of the tensor-parallel parts."""
    if source.cut == WHOLE:
        return parts[:1]
    if source.cut == COLUMNS:
        return [_whole(parts, dim=1)]
    if source.cut == GATED:
        return [_whole(halves) for halves in zip(*(part.chunk(2) for part in parts), strict=True)]
    return _separated(_whole(parts), model) if source.cut == QKV else [_whole(parts)]


def _whole(parts: Sequence[torch.Tensor], dim: int = 0) -> torch.Tensor:
    """The parts as one; a single one as it is, for `exported_tensors` makes the only copy."""
    return torch.cat(list(parts), dim=dim) if len(parts) > 1 else parts[0]


def _owned(model: GPTModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Every Hugging Face tensor that this process has to write. All processes walk through together."""
    for parameter, source in _sources(model):
        rank, size, group = _tensor_ranks(source)
        parts = [parameter.detach()]
        if size > 1 and source.cut != WHOLE:
            parts = [torch.empty_like(parameter) for _ in range(size)]
            dist.all_gather(parts, parameter.detach().contiguous(), group=group)
        replica = (
            parallel_state.get_expert_data_parallel_rank()
            if source.expert
            else parallel_state.get_data_parallel_rank(with_context_parallel=True)
        )
        copy = source.names == ("model.embed_tokens.weight",) and not model.pre_process
        if replica == 0 and rank == 0 and not copy:
            yield from zip(source.names, _joined(parts, source, model), strict=True)


@torch.no_grad()
def exported_tensors(chunks: Sequence[GPTModel], base: Weights) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors that this process has to write, one by one, in host memory and the base's types."""
    for model, (owned, tensor) in ((chunk, pair) for chunk in chunks for pair in _owned(chunk)):
        names = [owned]
        if owned == "model.embed_tokens.weight" and model.share_embeddings_and_output_weights:
            names += base.names & {"lm_head.weight"}
        for name in names:
            yield name, tensor.to("cpu", torch_dtype(base.dtype(name)), copy=True).contiguous()


@torch.no_grad()
def export(chunks: Sequence[GPTModel], out: Path, base: Weights, shard_bytes: float) -> None:
    """Write the model to `out` in the base's layout and types: configuration files, shards, the index last.

    Raises UserError when the written tensors are not exactly the base's.
    """
    rank = dist.get_rank()
    if rank == 0:
        out.mkdir(parents=True)
        for path in base.folder.iterdir():
            if path.is_file() and not path.name.endswith((".safetensors", ".bin", INDEX)):
                shutil.copyfile(path, out / path.name)
    dist.barrier()
    written: dict[str, tuple[str, tuple[int, ...]]] = {}
    shard: dict[str, torch.Tensor] = {}
    size = parts = 0

    def flush() -> None:
        nonlocal size, parts
        if shard:
            file = f"model-{rank:05d}-{parts:05d}.safetensors"
            save_file(shard, out / file, metadata={"format": "pt"})
            written.update({name: (file, tuple(tensor.shape)) for name, tensor in shard.items()})
            shard.clear()
            size, parts = 0, parts + 1

    for name, tensor in exported_tensors(chunks, base):
        if size + tensor.nbytes > shard_bytes:
            flush()
        shard[name], size = tensor, size + tensor.nbytes
    flush()
    _write_index(out, base, written)


def _write_index(out: Path, base: Weights, written: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    """Gather who wrote what, compare with the base, write the index."""
    files = all_entries(written)
    if dist.get_rank() == 0:
        check_names(set(files), base.names, str(out))
        if wrong := [name for name, (_, shape) in files.items() if shape != base.shape(name)]:
            raise UserError(f"{out}: {wrong[0]} has shape {files[wrong[0]][1]}, the base {base.shape(wrong[0])}")
        index = {"metadata": {}, "weight_map": {name: files[name][0] for name in sorted(files)}}
        (out / INDEX).write_text(json.dumps(index, indent=1) + "\n")
    dist.barrier()
