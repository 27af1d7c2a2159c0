"""Preflight on a node with GPUs: each tool's own interpreter is asked, and each thing that would stop a stage is a
sentence.
"""

import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from polaris.hardware.gpus import GPUS
from polaris.hardware.memory import GIB
from polaris.planning import preflight, preflight_gpus
from polaris.planning.planned_stages import Planner
from polaris.planning.preflight_gpus import Wanted
from polaris.planning.tool_check import Seen, failure, look
from polaris.recipe import recipe
from polaris.stage.errors import UserError
from tests.helpers.engine_process import engine_python

ROOT = Path(__file__).resolve().parents[3]
V2, LAPTOP = ([ROOT / f"configs/{name}.yaml"] for name in ("polaris_v2", "laptop"))
NODE = Seen(
    python="3.12.3", glibc="2.35", torch="2.11.0+cu130", cuda="13.0", driver="580.159.04", gpus=8, memory=79.2,
    capability="9.0", covered=True, compiler=True, missing={}, refusal=None,
)  # fmt: skip
ASKED = Wanted(("torch", "verl"), gpus=8, memory=60 * GIB)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, None),
        ({"missing": {"flash_attn": "ImportError: undefined symbol"}},
         "flash_attn cannot be imported .ImportError: undef"),
        ({"refusal": "torch 2.11.0 is built for CUDA 13.0, which needs NVIDIA driver 580 or newer; this machine has "
                     "535"}, "driver 580"),
        ({"compiler": False}, "no C compiler"),
        ({"gpus": 4}, "4 GPUs on this node, its stages ask for 8"),
        ({"memory": 47.5}, "GPUs of 47.5 GiB, its fullest stage is planned with 60.0"),
        ({"capability": "12.1", "covered": False}, "no kernels for a GPU of compute capability 12.1"),
    ],
)  # fmt: skip
def test_what_would_stop_a_stage(change, sentence):
    found = list(preflight_gpus.wrong(replace(NODE, **change), ASKED))
    assert len(found) == (sentence is not None)
    if sentence:
        with pytest.raises(AssertionError, match=sentence):
            raise AssertionError(found[0])


def test_a_tool_without_gpus_needs_none():
    node = replace(NODE, gpus=0, refusal="torch 2.13.0+cpu is built for CPUs")
    assert list(preflight_gpus.wrong(node, Wanted(("torch",), 0, 0.0))) == []


def test_every_tool_of_the_v2_recipe_is_asked_for_what_its_stages_need(tmp_path):
    of = recipe.load(V2)
    asked = preflight_gpus.wanted(of, list(Planner(of, GPUS["H100-80GB"], tmp_path).stages()))
    assert {tool: one.gpus for tool, one in asked.items()} == {"rl": 8, "vllm": 8, "megatron": 8, "merge": 0}
    assert {"flash_attn", "transfer_queue"} < set(asked["rl"].modules) and "transformer_engine" in asked[
        "megatron"
    ].modules
    assert asked["megatron"].memory > asked["rl"].memory > 20 * GIB
    local = of.large_sft.sft.model_copy(update={"transformer_impl": "local"})
    without = of.model_copy(update={"large_sft": of.large_sft.model_copy(update={"sft": local})})
    assert "transformer_engine" not in preflight_gpus.wanted(without, []).get("megatron").modules


@pytest.mark.parametrize(
    ("name", "overlay"),
    [
        ("polaris_v1_4b", "temperature_search: {second: {engine: {tensor_parallel_size: 4, replicas: 4}}}"),
        ("polaris_v2", "probe: {rollouts: {generate: {engine: {tensor_parallel_size: 4, replicas: 4}}}}"),
    ],
)
def test_engines_of_the_studies_count(tmp_path, name, overlay):
    (tmp_path / "mine.yaml").write_text(f"small_rl: {{{overlay}}}")
    found = recipe.load([ROOT / f"configs/{name}.yaml", tmp_path / "mine.yaml"])
    assert preflight_gpus.wanted(found, [])["vllm"].gpus == 16


def test_a_module_that_breaks_while_it_is_imported_is_told(tmp_path, monkeypatch):
    """What an installed package without its library does: its import ends in an error of its own."""
    (tmp_path / "half_installed.py").write_text("raise OSError('libcudnn.so.9: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert failure("half_installed") == "OSError: libcudnn.so.9: cannot open shared object file"
    assert failure("json") is None and "No module named" in failure("no_such_module")


def test_this_interpreter_says_what_it_has():
    torch = pytest.importorskip("torch")
    seen = look(("torch", "json"))
    assert (
        seen.torch == torch.__version__ and seen.python == ".".join(map(str, sys.version_info[:3])) and not seen.missing
    )
    assert (seen.refusal is None) == (seen.gpus > 0)


@pytest.mark.slow
def test_device_cuda_here_is_one_sentence_for_each_tool(tmp_path, monkeypatch, capsys):
    """The laptop recipe on GPUs that are not there, one tool with an interpreter that cannot even start."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'ModuleNotFoundError: no polaris here' >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IEXEC)
    python = engine_python()
    (tmp_path / "mine.yaml").write_text(
        f"device: cuda\ninterpreters: {{rl: {python}, megatron: {python}, vllm: {broken}}}\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="checks would stop the run"):
        preflight.main([LAPTOP[0], "mine.yaml"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("wrong")]
    assert len([line for line in lines if "interpreters.rl: torch" in line]) == 1
    assert len([line for line in lines if "interpreters.megatron: torch" in line]) == 1
    assert any("interpreters.vllm" in line and "no polaris here" in line for line in lines)
