"""What stops the generalist's training before an engine starts, and says which file, key or row is wrong."""

import json
import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import save_file

from large_sft.model.decoder import read_config
from large_sft.model.layout import check_model
from large_sft.settings import Sft
from large_sft.traces.tokens import read_traces
from large_sft.training.job import TrainingJob
from large_sft.training.torchrun import CAUSE, launch
from large_sft.training.torchrun_node import node_environment
from large_sft.training.train_sft import TimeLimit, planned_packs
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from polaris.stage.manifest import digest_of
from polaris.stage.nodes import interface, this_node
from polaris.stage.records import TOKENS, write_rows
from tests.helpers.small_sft import CONFIG, LAYOUT, SETTINGS

DENSE = {"model_type": "qwen2", "num_experts": None}
LLAMA = {"model_type": "llama", "num_experts": None}
LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}  # fmt: skip
ROWS = [{"problem_id": str(i), "input_ids": list(range(5 + i)), "prompt_tokens": 2} for i in range(6)]


def model(folder, drop=(), config=CONFIG, **changed):
    folder.mkdir()
    config = {**config, **changed}
    (folder / "config.json").write_text(json.dumps(config))
    shapes = read_config(CONFIG, "here").parameters()
    save_file({n: np.zeros(s, np.float32) for n, s in shapes.items() if n not in drop}, folder / "model.safetensors")
    return folder


def traces(folder, rows):
    write_rows(folder / "tokens.parquet", rows, TOKENS)
    return read_traces(folder / "tokens.parquet")


def test_good_input_gives_the_plan(tmp_path):
    packs = planned_packs(model(tmp_path / "m"), traces(tmp_path, ROWS), Sft(**SETTINGS))
    assert sorted(row for batch in packs for pack in batch for row in pack) == list(range(6))
    assert [len(batch) for batch in packs] == [4]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"input_ids": [1] * 17}, "row 6 has 17 tokens, more than seq_length .16."),
        ({"input_ids": [1, 20, 3]}, "row 6 holds token 20, but the model's vocabulary has 20"),
        ({"input_ids": [1, -1, 3]}, "row 6 holds token -1"),
        ({"prompt_tokens": 4}, "row 6 has 4 tokens, all of them prompt"),
        ({"prompt_tokens": 0}, "row 6 has no prompt"),
    ],
)
def test_a_wrong_trace_is_named(tmp_path, row, message):
    wrong = {"problem_id": "x", "input_ids": [1, 2, 3, 4], "prompt_tokens": 2, **row}
    with pytest.raises(UserError, match=message):
        planned_packs(model(tmp_path / "m"), traces(tmp_path, [*ROWS, wrong]), Sft(**SETTINGS))


def test_a_rank_reads_the_job_that_the_stage_has_written(tmp_path):
    """Its packs, too, of which a checkpoint keeps the digest."""
    settings, trace_set = Sft(**SETTINGS), traces(tmp_path, ROWS)
    packs_SK = planned_packs(model(tmp_path / "m"), trace_set, settings)
    paths = {name: tmp_path / name for name in ("start", "tokens", "state", "out", "metrics")}
    job = TrainingJob(settings=settings, packs_SK=packs_SK, **paths)
    job.write(path := tmp_path / "job.json")
    assert TrainingJob.read(path) == job
    assert digest_of(TrainingJob.read(path).packs_SK) == digest_of(packs_SK)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"processes": 2}))
    with pytest.raises(ValidationError, match="processes"):
        TrainingJob.read(path)


def test_no_trace_at_all(tmp_path):
    with pytest.raises(UserError, match="there is no trace in it"):
        planned_packs(model(tmp_path / "m"), traces(tmp_path, []), Sft(**SETTINGS))


def test_the_context_bounds_traces_too(tmp_path):
    settings = Sft(**{**SETTINGS, "seq_length": 128, "batch_tokens": 256})
    long = {"problem_id": "x", "input_ids": [1] * 65, "prompt_tokens": 2}
    with pytest.raises(UserError, match="65 tokens, more than the model's context .64."):
        planned_packs(model(tmp_path / "m"), traces(tmp_path, [*ROWS, long]), settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"layout": {**LAYOUT, "gpus_per_node": 3, "expert": 3}},
            "layout.expert: 3 does not divide the model's 4 experts",
        ),
        (
            {"layout": {**LAYOUT, "context": 2}, "seq_length": 18},
            "seq_length: 18 is not a multiple of 4, which .*layout.context 2",
        ),
        (
            {"layout": {**LAYOUT, "pipeline": 2, "expert": 1, "first_layers": 2}},
            "2 stages cannot share .* 2 layers .* first_layers 2",
        ),
        (
            {"layout": {**LAYOUT, "pipeline": 2, "expert": 1, "virtual_pipeline": 2}},
            "virtual_pipeline: 2 does not divide .* 1 layers",
        ),
        ({"layout": {**LAYOUT, "tensor": 2}}, "layout.tensor: 2 does not divide the model's 1 key/value heads"),
        ({"batch_tokens": 48}, "batch_tokens: 48 is not a multiple of seq_length .16. times the 2"),
        ({"min_learning_rate": 0.01}, "min_learning_rate"),
    ],
)
def test_settings_that_do_not_fit_are_named(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        planned_packs(model(tmp_path / "m"), traces(tmp_path, ROWS), Sft(**{**SETTINGS, **changes}))


def test_a_missing_expert_is_named(tmp_path):
    lost = "model.layers.1.mlp.experts.3.down_proj.weight"
    with pytest.raises(UserError, match=f"lacks 1 tensors: {re.escape(lost)}"):
        planned_packs(model(tmp_path / "m", drop=[lost]), traces(tmp_path, ROWS), Sft(**SETTINGS))


def test_a_wrong_shape_is_named(tmp_path):
    with pytest.raises(UserError, match=r"embed_tokens.weight is \(20, 8\), expected \(21, 8\)"):
        planned_packs(model(tmp_path / "m", vocab_size=21), traces(tmp_path, ROWS), Sft(**SETTINGS))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mistral"}, "model_type is 'mistral'; .* qwen3, qwen3_moe, qwen2, llama"),
        ({"model_type": "llama"}, "num_experts is 4, but model_type is 'llama'"),
        ({"head_dim": None}, "the key head_dim is missing"),
        ({"num_experts": None}, "the key num_experts .or num_local_experts. is missing"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4}}, "RoPE scaling 'yarn'"),
        ({"rope_scaling": {"type": "yarn", "rope_type": "default"}}, "rope_type of its RoPE is 'yarn' and 'default'"),
        ({"rope_parameters": {"rope_theta": 5e6}}, "rope_theta of its RoPE is 5000000.0 and 1000000.0"),
        ({"rope_scaling": "yarn"}, "rope_scaling is 'yarn', and an object or null is needed"),
        ({"quantization_config": {"quant_method": "fp8"}}, "quantization_config is set"),
        ({"model_type": "qwen3"}, "num_experts is 4, but model_type is 'qwen3'"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types is .*; only full attention"),
        ({**DENSE, "use_sliding_window": True}, "use_sliding_window is True"),
        ({**LLAMA, "mlp_bias": True}, "mlp_bias is True"),
        ({**LLAMA, "attention_bias": True}, "attention_bias is True"),
        ({**LLAMA, "rope_scaling": LLAMA3 | {"low_freq_factor": 2.0}}, "low_freq_factor of its RoPE is 2.0; megatron-"),
        ({**LLAMA, "rope_scaling": LLAMA3 | {"factor": None}}, "the key factor is missing"),
        ({**LLAMA, "rope_scaling": {"type": "linear", "factor": 2.0}}, "RoPE scaling 'linear'"),
    ],
)
def test_an_unknown_architecture_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        read_config({**CONFIG, **changes}, "config.json")


def test_a_llama_3():
    model = read_config({**CONFIG, **LLAMA, "head_dim": None, "rope_scaling": LLAMA3}, "here")
    assert (model.rope_factor, model.rope_base, model.head_dim) == (32.0, 1e6, 4)
    assert not model.head_norms and not model.qkv_bias and not any(model.moe_layers)
    assert not any("norm" in name and "layernorm" not in name for name in model.parameters() if ".layers." in name)


def test_a_llama_2_says_no_base_of_its_rope():
    plain = {key: value for key, value in CONFIG.items() if key not in ("rope_theta", "num_key_value_heads")}
    model = read_config({**plain, **LLAMA}, "here")
    assert (model.rope_factor, model.rope_base, model.kv_heads) == (None, 1e4, 2)


def test_a_qwen2_has_biases():
    shapes = read_config({**CONFIG, **DENSE}, "here").parameters()
    assert {name.split("self_attn.")[1]: shape for name, shape in shapes.items() if "layers.1" in name and
            name.endswith("bias")} == {"q_proj.bias": (8,), "k_proj.bias": (4,), "v_proj.bias": (4,)}  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"expert": 2}, "layout.expert: 2, but the model is dense; use 1"),
        ({"gpus_per_node": 8, "expert": 1, "tensor": 8, "expert_tensor": 8}, "tensor: 8 does not divide .* 12 inner"),
    ],
)
def test_layouts_of_a_dense_model(layout, message):
    settings = Sft(**{**SETTINGS, "layout": {**LAYOUT, **layout}})
    with pytest.raises(UserError, match=message):
        check_model(read_config({**CONFIG, **DENSE, "num_key_value_heads": 2}, "here"), settings)


def test_both_spellings_of_the_configuration():
    """The published one, and the one transformers 5 writes."""
    old = {k: v for k, v in CONFIG.items() if k not in ("num_experts", "rope_theta")}
    new = {**old, "num_local_experts": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
    assert read_config(new, "new") == read_config(CONFIG, "old")


def test_layers_without_experts():
    sizes = read_config({**CONFIG, "mlp_only_layers": [0]}, "here")
    assert sizes.moe_layers == (False, True)
    assert sizes.parameters()["model.layers.0.mlp.gate_proj.weight"] == (12, 8)
    assert "model.layers.0.mlp.gate.weight" not in sizes.parameters()


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("error: step 3: the loss is nan\n", "step 3: the loss is nan"),
        ("[rank1]: ValueError: 3 is odd\n", "ValueError: 3 is odd"),
        ("torch.distributed.DistBackendError: gone\n", "torch.distributed.DistBackendError: gone"),
        ("[rank0]:   raise ValueError(text)\n", None),
        ("UserWarning: slow\n", None),
        ("torch.distributed.elastic.multiprocessing.api.SignalException: Process 7 got signal: 15\n", None),
    ],
)
def test_the_cause_of_a_failure_is_found_in_the_log(line, cause):
    match = CAUSE.match(line)
    assert (match and match[match.lastindex]) == cause


@pytest.mark.slow
def test_what_torchrun_starts_is_not_ended_by_slurms_warning():
    """Programs started by it inherit that; the words arrive as they are."""
    code = "import os, signal, sys; os.kill(os.getpid(), signal.SIGUSR1); print(signal.sigpending(), sys.argv[1:])"
    command = [sys.executable, "-m", "large_sft.training.torchrun_node", "--standalone", "--nproc-per-node", "1"]
    command += ["--no-python", sys.executable, "-c", code, "a b", "$c"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{ {signal.SIGUSR1} } ['a b', '$c']\n"


@pytest.mark.slow
def test_threads_of_a_training_are_the_machines_whatever_snakemake_counts(tmp_path, monkeypatch):
    """MKL's number, which torch follows, is that of --cores: with it the last bits of a product would depend on it."""
    (tmp_path / "said.py").write_text("import torch; print('threads', torch.get_num_threads())")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    settings = SimpleNamespace(layout=SimpleNamespace(nodes=1, gpus_per_node=1), timeout=120)
    lines = []
    launch("said", tmp_path / "job", settings, tmp_path / "log", lines.append)
    assert f"threads {len(os.sched_getaffinity(0))}\n" in lines


def test_a_node_of_several_says_which_it_is(monkeypatch):
    """The first hosts the rendezvous, whatever its own name means; an interface that the recipe names stays."""
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    for rank, host in (("0", "is_host=True"), ("1", "is_host=False")):
        monkeypatch.setenv("SLURM_PROCID", rank)
        own = node_environment()
        assert own["PET_RDZV_CONF"] == host and own["PET_LOCAL_ADDR"] == this_node()
        assert own["GLOO_SOCKET_IFNAME"] == interface()
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    assert "GLOO_SOCKET_IFNAME" not in node_environment()


@pytest.mark.parametrize(
    ("lines", "now", "short"),
    [
        ([], 869, False),  # a tenth of the limit for the first checkpoint, half a minute for the end
        ([], 871, True),
        ([{"step": 1, "seconds": 200.0}], 469, False),  # the step at hand, one more, a tenth
        ([{"step": 1, "seconds": 200.0}], 471, True),
        ([{"step": 1, "seconds": 200.0}, {"step": 2, "seconds": 50.0}], 471, True),
        ([{"step": 1, "seconds": 50.0}, {"saved": "step-000001", "seconds": 300.0}], 569, False),
        ([{"step": 1, "seconds": 50.0}, {"saved": "step-000001", "seconds": 300.0}], 571, True),
    ],
)
def test_when_the_limit_leaves_no_room_for_another_step(lines, now, short):
    time_limit = TimeLimit(limit=1000, end=1000)
    for line in lines:
        time_limit.read(line)
    assert time_limit.is_short(now) is short


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transformer_impl": "transformer_engine"}, "transformer_engine needs device: cuda"),
        ({"dispatcher": "flex"}, "flex needs device: cuda"),
        ({"device": "cuda", "dispatcher": "flex", "layout": {**LAYOUT, "expert": 1}}, "experts on several processes"),
    ],
)
def test_modules_that_the_device_cannot_run(changes, message):
    with pytest.raises(ValueError, match=message):
        Sft(**{**SETTINGS, **changes})
    Sft(**{**SETTINGS, "device": "cuda", "transformer_impl": "transformer_engine", "dispatcher": "flex"})
