"""Responses of one model to the problems of some sets: `responses.parquet`, in the order of sets, problems, samples.

Every response has its own seed, a hash of the recipe's seed, the set, the problem and the sample, so that it does not
depend on what else is generated, in which order, or how often the stage was killed. On a CPU with one thread and
float32 this holds to the token: 1536 responses (184,180 tokens) of a tiny dense model and 256 (29,638) of a tiny
mixture were the same again, shuffled, in smaller batches, alone, and with cached prefixes. Where an engine's arithmetic
depends on the batch (GPU kernels, half precision), a near-tie may still bring another token, and the rest of that
response differs.

Finished responses are kept in shards in `stage.state`; a killed stage generates only what is in none of them. Where the
job has several nodes, all of them generate (polaris/generation/replicas.py).
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from polaris.generation import vllm_engine
from polaris.generation.answering import Shards, answer
from polaris.generation.replicas import side_by_side
from polaris.generation.seeds import response_seed
from polaris.generation.settings import Engine, Generate, Shift
from polaris.models import canaries
from polaris.models.chat_template import ChatTemplate
from polaris.models.checkpoint import read_config
from polaris.models.model_context import check_context, with_context
from polaris.models.prompts import load_tokenizer, messages
from polaris.models.unwritten import source_of
from polaris.stage.code import module_name
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from polaris.stage.nodes import nodes_of_job
from polaris.stage.records import RESPONSES, read_problems, write_rows
from polaris.stage.stage import Stage, run_verb


def check_dtype(model: Path, dtype: str) -> None:
    """Raises UserError when the model's published precision cannot be served in this one.

    MXFP4 weights (gpt-oss) are multiplied in bfloat16 alone (vllm/model_executor/layers/quantization/mxfp4.py).
    """
    quantization = read_config(model).get("quantization_config") or {}
    if quantization.get("quant_method") == "mxfp4" and dtype != "bfloat16":
        raise UserError(
            f"engine.dtype: {dtype}, but the weights of {model} are MXFP4; vLLM serves them in bfloat16 only"
        )


def problem_sets(manifests: list[Manifest], k: dict[str, int]) -> dict[str, dict[str, dict[str, Any]]]:
    """Problems by set and id, in the order of the manifests. Raises UserError unless the sets are those of `k`."""
    sets: dict[str, dict[str, dict[str, Any]]] = {}
    for manifest in manifests:
        if manifest.stage in sets:
            raise UserError(f"--problems: two sets are named {manifest.stage} ({manifest.path}); rename one folder")
        sets[manifest.stage] = read_problems(manifest.file("problems.parquet"))
    if missing := [name for name in k if name not in sets]:
        raise UserError(f"k: there is no problem set {missing[0]} (--problems gave {', '.join(sets) or 'none'})")
    if extra := [name for name in sets if name not in k]:
        raise UserError(f"k: no number of responses for problem set {extra[0]}; add it")
    return sets


def render_prompts(
    template: ChatTemplate, sets: dict[str, dict[str, dict[str, Any]]], settings: Generate
) -> list[list[int]]:
    """Token ids of the prompt of each problem, in order. Raises UserError naming a problem that leaves no room."""
    prompts = []
    room = settings.engine.max_model_len - settings.sampling.max_tokens
    for name, problems in sets.items():
        for problem_id, row in problems.items():
            ids = template.prompt_tokens(messages(row["problem"], settings.instruction_of(name)))
            if len(ids) > room:
                raise UserError(
                    f"problem {problem_id} of {name}: its prompt has {len(ids)} tokens, and with sampling.max_tokens "
                    f"{settings.sampling.max_tokens} that is more than engine.max_model_len "
                    f"{settings.engine.max_model_len}"
                )
            prompts.append(ids)
    return prompts


def plan(sets: dict[str, dict[str, dict[str, Any]]], settings: Generate) -> list[dict[str, Any]]:
    """One entry per wanted response, in order; a response's key is its place here. `prompt`: index of its problem."""
    wanted, prompt = [], 0
    for name, problems in sets.items():
        for problem_id in problems:
            for sample in range(settings.k[name]):
                seed = response_seed(settings.sampling.seed, name, problem_id, sample)
                entry = {"set": name, "problem_id": problem_id, "sample": sample, "seed": seed, "prompt": prompt}
                wanted.append(entry)
            prompt += 1
    return wanted


def requests(wanted: list[dict[str, Any]], prompts: list[list[int]], done: set[int]) -> Iterator[vllm_engine.Request]:
    """What is still to be generated, in order."""
    for key, entry in enumerate(wanted):
        if key not in done:
            yield vllm_engine.Request(key, prompts[entry["prompt"]], entry["seed"])


def loading(model: Manifest) -> dict[str, Any]:
    """What vLLM is told of a model whose weights lie in no file."""
    source = source_of(model)
    return {"model_loader_extra_config": {"module": source, "folder": str(model.model)}} if source else {}


def shifting(stage: Stage) -> dict[str, Any]:
    """What vLLM is told of a shift. Raises UserError where its models are not given, or have another tokenizer."""
    shift: Shift | None = stage.settings.shift
    given = {name: stage.inputs.get(name) for name in ("specialist", "base")}
    if shift is None:
        return {}
    vocabulary, folders = load_tokenizer(stage.inputs["model"].model).get_vocab(), {}
    for name, model in given.items():
        if model is None:
            raise UserError(f"shift: needs --{name}, the checkpoint of {getattr(shift, name)}")
        if load_tokenizer(model.model).get_vocab() != vocabulary:
            raise UserError(
                f"shift.{name}: {getattr(shift, name)} has another vocabulary than the evaluated model "
                f"({stage.inputs['model'].path}): its logits are of other tokens"
            )
        folders[name] = str(model.model)
    processor = module_name("polaris.generation.vllm_shift") + ":LogitShift"
    return {"logits_processors": [processor], "additional_config": folders | {"scale": shift.scale}}


def canaries_of(model: Manifest, engine: Engine) -> Path | None:
    """What the model's trainer said of some texts; None: nothing, or the engine changes the model or its cache."""
    same = engine.yarn is None and engine.kv_cache_dtype == "auto"
    return model.file(canaries.NAME) if same and canaries.NAME in model.files else None


class Meter:
    """Progress on the terminal and tokens per second, from the moment at which the engine has started."""

    def __init__(self, stage: Stage, shards: Shards, wanted: int, terminal: TextIO | None = None):
        self._shards, self._tokens, self._started = shards, shards.tokens, time.monotonic()
        self._progress = stage.progress(wanted, "response", terminal)
        self._progress.update(len(shards.rows))

    def speed(self) -> float:
        """Tokens per second."""
        return (self._shards.tokens - self._tokens) / (time.monotonic() - self._started)

    def update(self) -> None:
        self._progress.update(len(self._shards.rows), f"{self.speed():.0f} tokens/s")


def generate(
    stage: Stage, model: Path, wanted: list[dict[str, Any]], prompts: list[list[int]], tokenizer: Any
) -> tuple[dict[int, dict[str, Any]], float | None]:
    """Every wanted response by key, the missing ones generated now, and tokens per second (None: none was missing)."""
    shards = Shards(stage.state)
    if len(shards.rows) == len(wanted):
        return shards.rows, None
    if shards.rows:
        stage.say(f"{len(shards.rows)} of {len(wanted)} responses were already generated; going on")
    settings, log, nodes = stage.settings, stage.log / "vllm.log", nodes_of_job()
    more = loading(stage.inputs["model"]) | shifting(stage)
    recorded = canaries_of(stage.inputs["model"], settings.engine)
    todo = requests(wanted, prompts, set(shards.rows))
    if max(nodes * settings.engine.replicas, settings.engine.nodes) > 1:
        meter = Meter(stage, shards, len(wanted))
        own = (settings.engine, settings.sampling, shards, log, meter.update, nodes, more, recorded)
        side_by_side(list(todo), model, *own)
        meter.update()
    else:
        with vllm_engine.VllmEngine(model, settings.engine, settings.sampling, log, more, recorded) as engine:
            meter = Meter(stage, shards, len(wanted), engine.terminal)
            answer(todo, engine, shards, tokenizer, meter.update)
        if engine.other_experts is not None:
            stage.say(f"{engine.other_experts:.2%} of the trainer's tokens go to other experts in this engine")
    return shards.rows, round(meter.speed(), 1)


def metrics(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Per set: number of responses, mean tokens, share truncated at max_tokens."""
    sums: dict[str, list[int]] = {}
    for row in rows:
        total = sums.setdefault(row["set"], [0, 0, 0])
        total[0] += 1
        total[1] += row["tokens"]
        total[2] += row["finish_reason"] == "length"
    return {
        name: {"responses": n, "mean_tokens": round(tokens / n, 1), "truncated": round(truncated / n, 4)}
        for name, (n, tokens, truncated) in sums.items()
    }


def main() -> None:
    with Stage.from_command_line(
        "polaris.generation.generate", Generate, ("model",), optional=("specialist", "base"), repeated=("problems",)
    ) as stage:
        vllm_engine.work_offline()
        settings = stage.settings
        sets = problem_sets(stage.inputs["problems"], settings.k)
        model = with_context(stage.inputs["model"].model, None, settings.engine.yarn, stage.state / "model")
        check_context(model, settings.engine.max_model_len, "ask for less, or stretch it with engine.yarn")
        check_dtype(model, settings.engine.dtype)
        tokenizer = load_tokenizer(model)
        with ChatTemplate(tokenizer) as template:
            prompts = render_prompts(template, sets, settings)
        wanted = plan(sets, settings)
        responses, speed = generate(stage, model, wanted, prompts, tokenizer)
        rows = []
        for key, entry in enumerate(wanted):
            answer = {name: value for name, value in responses[key].items() if name != "key"}
            rows.append({name: value for name, value in entry.items() if name != "prompt"} | answer)
        write_rows(stage.partial / "responses.parquet", rows, RESPONSES)
        stage.publish(metrics={"sets": metrics(rows), "tokens_per_second": speed})


if __name__ == "__main__":
    run_verb(main)
    vllm_engine.leave()
