"""Whether vLLM's layers hold the weights that they were sent: each is asked, and the first that does not is named.

vLLM fuses matrices, cuts them over ranks, packs them for a kernel and may drop what was loaded; there is often nothing
to compare byte by byte. But the answer of a linear layer to a one-hot vector is a column of its matrix, bit for bit and
in any layout: no product with zero and no sum with zero rounds. A mixture's expert is nonlinear: where its kernel keeps
the matrices as they were sent, columns are read, and otherwise its answer to one vector is compared.

Legend: C columns that are compared, of each rank; R ranks of the tensor parallelism.
"""

import re
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import torch
from vllm.distributed import get_tensor_model_parallel_world_size
from vllm.logger import init_logger
from vllm.model_executor.layers.fused_moe.oracle.unquantized import UnquantizedMoeBackend
from vllm.model_executor.layers.fused_moe.routed_experts import RoutedExperts
from vllm.model_executor.layers.linear import LinearBase, QKVParallelLinear, ReplicatedLinear, RowParallelLinear
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, VocabParallelEmbedding
from vllm.model_executor.models.utils import is_pp_missing_parameter

logger = init_logger(__name__)

COLUMNS = 4
CERTAIN = 1e4  # a router's score: whatever the others are, this expert gets all
HEAD, EMBEDDINGS = "lm_head.weight", "model.embed_tokens.weight"
EXPERT = re.compile(r"(.*\.experts)\.(\d+)\.(gate|up|down)_proj\.weight$")
FUSED = re.compile(r"(.*\.experts)\.(gate_up|down)_proj$")  # of all experts, as transformers 5 holds them
# Kernels that keep experts as they were sent; of others only the CPU's can be asked for one expert.
READABLE = (UnquantizedMoeBackend.TRITON, UnquantizedMoeBackend.BATCHED_TRITON)
# Of an expert's answer, in parts of its largest value: what the order of sums and a rounded activation make.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}


# vLLM's architectures that hold every matrix of the checkpoint, fused at most; others may change them while they load.
KNOWN = ("LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "Qwen3MoeForCausalLM")


def watches(model: torch.nn.Module) -> bool:
    """Whether the sentinel knows this vLLM model."""
    return type(model).__name__ in KNOWN


class OtherWeightsError(RuntimeError):
    """A layer of the engine does not hold what was sent."""


class Sentinel:
    """Looks at weights while they are sent to `model` (a vLLM model of this process), and asks the model afterwards.

    turn: other numbers compare other columns, so that many transfers compare them all
    """

    def __init__(self, model: torch.nn.Module, turn: int = 0):
        self.model, self.turn, self.ranks = model, turn, get_tensor_model_parallel_world_size()
        self.modules = dict(model.named_modules())
        self.device = next(
            layer.weight.device for layer in model.modules() if isinstance(layer, VocabParallelEmbedding)
        )
        self.sent: dict[str, torch.Tensor] = {}  # a matrix's columns [rows, R*C], a vector whole
        self._whole: dict[tuple[str, int], dict[str, torch.Tensor]] = {}  # of experts that are packed
        self._answers: dict[tuple[str, int], torch.Tensor] = {}
        self._experts = {name: module for name, module in self.modules.items() if isinstance(module, RoutedExperts)}
        self._packed = {module.layer_name: module for module in self._experts.values() if _asks(module)}

    def watched(self, weights: Iterable[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
        """The same weights, in Hugging Face's names, remembered as far as `check` needs it. A mixture's experts come
        one by one: vLLM 0.24 passes over fused ones (qwen3_moe.py, `load_weights`) and keeps what it had.
        """
        for fused_name, fused in weights:
            for name, tensor in _by_expert(fused_name, fused):
                self._remember(name, tensor)
                yield name, tensor

    def check(self) -> int:
        """The number of tensors that were found in the engine's layers. Raises OtherWeightsError.

        Each is compared in the layer's number format, to which vLLM casts it.
        """
        found: set[str] = set()
        with torch.inference_mode():
            for name, module in self.modules.items():
                for names, own, sent in self._compared(name, module):
                    if names[0] in self.sent:
                        found |= self._agreed(name, names, own, sent)
            found |= self._check_experts() | self._check_vectors(found)
        for name in sorted(self.sent.keys() - found):
            if not EXPERT.match(name) and not is_pp_missing_parameter(name, self.model):
                raise OtherWeightsError(f"tensor {name}: it was sent, and no layer of vLLM's model has it")
        return len(found)

    def ask(self) -> None:
        """`check`, where vLLM's layers are those that this file knows. One that cannot be asked is a warning in the
        engine's log: nothing was found wrong. Raises OtherWeightsError.
        """
        try:
            self.check()
        except OtherWeightsError:
            raise
        except Exception:
            logger.warning("the weights that this engine holds were not compared with those it was sent", exc_info=True)

    def _remember(self, name: str, tensor: torch.Tensor) -> None:
        if tensor.ndim != 2:
            self.sent[name] = tensor.detach().clone()
            return
        self.sent[name] = tensor[:, self._columns(tensor.shape[1])].detach().clone()
        match = EXPERT.match(name)
        if match and match[1] in self._packed:
            expert = match[1], int(match[2])
            whole = self._whole.setdefault(expert, {})
            whole[match[3]] = tensor.detach().clone()
            if len(whole) == 3:
                self._answers[expert] = self._expected(self._packed[match[1]], **self._whole.pop(expert))

    def _columns(self, width: int) -> list[int]:
        """The compared columns of a matrix, by rank: C of each rank's part, where the ranks cut it by columns."""
        part = width // self.ranks if width % self.ranks == 0 else width
        own = self._own_columns(part)
        return [rank * part + column for rank in range(self.ranks) for column in own]

    def _own_columns(self, part: int) -> list[int]:
        return sorted(Random(f"{self.turn} {part}").sample(range(part), min(COLUMNS, part)))

    def _compared(self, name: str, module: Any) -> Iterator[tuple[list[str], torch.Tensor, list[torch.Tensor]]]:
        """Names of tensors, what the layer has of their columns, and of each tensor what this rank was sent."""
        if isinstance(module, LinearBase):
            parent, _, last = name.rpartition(".")
            parts = getattr(self.model, "packed_modules_mapping", {}).get(last, [last])
            names = [f"{parent}.{part}.weight" for part in parts]
            yield names, self._asked(module, isinstance(module, RowParallelLinear)), self._own_rows(module, names)
        elif isinstance(module, VocabParallelEmbedding):
            names = [f"{name}.weight"]
            at = module.shard_indices
            rows = slice(at.org_vocab_start_index, at.org_vocab_end_index)
            if isinstance(module, ParallelLMHead):
                if names[0] == HEAD and HEAD not in self.sent:
                    names = [EMBEDDINGS]  # tied: the head answers with the embeddings
                own = self._asked(module, False)
            else:
                own = module.weight[:, self._columns(module.weight.shape[1])]
            yield names, own[: rows.stop - rows.start], [self.sent[each][rows] for each in names if each in self.sent]

    def _asked(self, layer: Any, cut_by_columns: bool) -> torch.Tensor:
        """The layer's answers to one-hot vectors: [rows of this rank, compared columns]."""
        width = layer.input_size_per_partition if cut_by_columns else getattr(layer, "input_size", None)
        width = width or layer.embedding_dim
        columns = self._own_columns(width) if cut_by_columns else self._columns(width)
        one_hot = torch.zeros(len(columns), width, dtype=_dtype(layer), device=self.device)
        one_hot[torch.arange(len(columns)), torch.tensor(columns)] = 1
        return layer.quant_method.apply(layer, one_hot, None).T

    def _own_rows(self, module: Any, names: list[str]) -> list[torch.Tensor]:
        """Of each matrix what this rank's layer holds: its rows, or for one cut by columns its columns."""
        sent = [self.sent[name] for name in names if name in self.sent]
        if isinstance(module, ReplicatedLinear):
            return sent
        rank, ranks = module.tp_rank, module.tp_size
        if isinstance(module, RowParallelLinear):
            return [tensor.chunk(ranks, dim=1)[rank] for tensor in sent]
        if isinstance(module, QKVParallelLinear):
            copies = module.num_kv_head_replicas
            cuts = [(rank, ranks), *[(rank // copies, ranks // copies)] * 2]
            return [tensor.chunk(of)[part] for tensor, (part, of) in zip(sent, cuts, strict=False)]
        return [tensor.chunk(ranks)[rank] for tensor in sent]

    def _agreed(self, layer: str, names: list[str], own: torch.Tensor, sent: list[torch.Tensor]) -> set[str]:
        """The names. Raises OtherWeightsError for the first whose rows are others."""
        if len(sent) < len(names):
            missing = next(name for name in names if name not in self.sent)
            raise OtherWeightsError(f"tensor {missing} was not sent, but vLLM's layer {layer} needs it")
        begin = 0
        for name, tensor in zip(names, sent, strict=True):
            rows = own[begin : begin + len(tensor)]
            begin += len(tensor)
            if not torch.equal(rows, tensor.to(rows.device, _dtype(self.modules[layer])).to(rows.dtype)):
                raise self._other(name, layer)
        return set(names)

    def _other(self, name: str, layer: str) -> OtherWeightsError:
        return OtherWeightsError(f"tensor {name}: vLLM's layer {layer} does not hold the weights that it was sent")

    def _check_vectors(self, found: set[str]) -> set[str]:
        """Norms and biases, which vLLM keeps as they are, joined for joined layers, cut as their matrices."""
        vectors = {name for name, tensor in self.sent.items() if tensor.ndim == 1}
        agreed: set[str] = set()
        for name, parameter in self.model.named_parameters():
            if parameter.ndim != 1 or name.endswith(".weight") and isinstance(self._layer(name), LinearBase):
                continue
            module, _, kind = name.rpartition(".")
            parent, _, last = module.rpartition(".")
            names = [f"{parent}.{part}.{kind}" for part in self.model.packed_modules_mapping.get(last, [last])]
            if not vectors.issuperset(names):
                continue
            layer = self._layer(name)
            sent = [self.sent[each] for each in names]
            cut = isinstance(layer, LinearBase) and not isinstance(layer, RowParallelLinear)
            agreed |= self._agreed(module, names, parameter, self._own_rows(layer, names) if cut else sent)
        return agreed

    def _layer(self, parameter: str) -> Any:
        return self.modules[parameter.rpartition(".")[0]]

    def _check_experts(self) -> set[str]:
        found: set[str] = set()
        matches = [match for match in map(EXPERT.match, self.sent) if match]
        for name, module in self._experts.items():
            for expert in sorted({int(match[2]) for match in matches if match[1] == module.layer_name}):
                names = [f"{module.layer_name}.{expert}.{part}_proj.weight" for part in ("gate", "up", "down")]
                local = module._map_global_expert_id_to_local_expert_id(expert)
                if local < 0:  # another rank's
                    found |= set(names)
                elif module.layer_name in self._packed:
                    found |= self._answers_as_sent(name, module, expert, names)
                elif module.quant_method.unquantized_backend in READABLE:
                    found |= self._holds_as_sent(name, module, local, names)
        return found

    def _answers_as_sent(self, layer: str, module: Any, expert: int, names: list[str]) -> set[str]:
        where = f"expert {expert} of {module.layer_name}"
        if (expected := self._answers.get((module.layer_name, expert))) is None:
            raise OtherWeightsError(f"{where}: one of its gate_proj, up_proj and down_proj was not sent")
        differs = (self._answer(module, expert) - expected).abs().max()
        if not differs <= TOLERANCE[_dtype(module)] * expected.abs().max():  # NaN is no agreement
            raise OtherWeightsError(f"{where}: vLLM's layer {layer} does not hold the weights that it was sent")
        return set(names)

    def _holds_as_sent(self, layer: str, module: Any, local: int, names: list[str]) -> set[str]:
        rank, ranks = _ranks(module)
        gate, up, down = (self.sent[name] for name in names)
        first, second = module.w13_weight[local], module.w2_weight[local]
        inner = [part.chunk(ranks)[rank] for part in (gate, up)]
        self._agreed(layer, names[:2], first[:, self._columns(first.shape[1])], inner)
        if ranks == self.ranks:  # otherwise this rank holds whole experts
            own, down = second[:, self._own_columns(second.shape[1])], down.chunk(ranks, dim=1)[rank]
        else:
            own = second[:, self._columns(second.shape[1])]
        self._agreed(layer, names[2:], own, [down])
        return set(names)

    def _vector(self, module: Any) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.turn)
        return torch.randn(1, module.hidden_size, generator=generator).to(self.device, _dtype(module))

    def _expected(self, module: Any, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        """This rank's part of an expert's answer to `_vector`, in float32."""
        rank, ranks = _ranks(module)
        vector = self._vector(module)
        gate, up, down = (
            part.to(vector.device, vector.dtype).float()
            for part in (gate.chunk(ranks)[rank], up.chunk(ranks)[rank], down.chunk(ranks, dim=1)[rank])
        )
        inner = torch.nn.functional.silu(vector.float() @ gate.T) * (vector.float() @ up.T)
        return inner @ down.T

    def _answer(self, module: Any, expert: int) -> torch.Tensor:
        """The layer's answer to `_vector`, all of it by one expert."""
        vector = self._vector(module)
        if module.quant_method.is_monolithic:  # vLLM 0.24 on a CPU, which routes by itself: softmax makes 1 and 0
            logits = torch.full((1, module.global_num_experts), -CERTAIN, device=vector.device)
            logits[0, expert] = CERTAIN
            return module.quant_method.apply_monolithic(module, vector, logits).float()
        weights = torch.zeros(1, module.top_k, device=vector.device)
        weights[0, 0] = 1
        others = [other for other in range(module.global_num_experts) if other != expert]
        chosen = torch.tensor([[expert, *others][: module.top_k]], dtype=torch.int32, device=vector.device)
        return module.quant_method.apply(module, vector, weights, chosen, None, None).float()


def _asks(experts: Any) -> bool:
    return experts.quant_method.unquantized_backend == UnquantizedMoeBackend.CPU


def _dtype(layer: Any) -> torch.dtype:
    """Of a layer's weights; on a CPU a linear layer has none any more."""
    return getattr(layer, "params_dtype", None) or next(layer.parameters()).dtype


def _ranks(module: Any) -> tuple[int, int]:
    """Rank and size of the tensor parallelism that cuts the experts; (0, 1) where each rank has whole ones."""
    parallel = module.moe_config.moe_parallel_config
    return parallel.tp_rank, parallel.tp_size


def _by_expert(name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """A mixture's experts one by one, whichever way they are named; any other tensor as it is."""
    match = FUSED.match(name)
    if match is None or tensor.ndim != 3:
        yield name, tensor
        return
    for expert, own in enumerate(tensor):
        parts = zip(("gate", "up"), own.chunk(2), strict=True) if match[2] == "gate_up" else [("down", own)]
        yield from ((f"{match[1]}.{expert}.{part}_proj.weight", matrix) for part, matrix in parts)
