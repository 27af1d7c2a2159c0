"""The variables by which we steer vLLM are ones that it reads: of another name it says nothing."""

import pytest

from polaris.generation import vllm_engine
from small_rl.training import verl_devices

OURS = {
    "generation": vllm_engine.ENVIRONMENT | vllm_engine.GPU_ENVIRONMENT | vllm_engine.CPU_ENVIRONMENT,
    "RL on a CPU": verl_devices.environment("cpu"),
    "RL on GPUs": verl_devices.environment("cuda"),
}


@pytest.mark.parametrize("where", OURS)
def test_vllm_knows_the_variables_that_we_set(where):
    envs = pytest.importorskip("vllm.envs", reason="vLLM is not installed here")
    ours = {name for name in OURS[where] if name.startswith("VLLM_")}
    assert ours and ours <= set(envs.environment_variables)


def test_the_sampler_that_takes_no_seeds_is_off(monkeypatch):
    envs = pytest.importorskip("vllm.envs", reason="vLLM is not installed here")
    for name, value in vllm_engine.GPU_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert envs.VLLM_USE_FLASHINFER_SAMPLER is False
