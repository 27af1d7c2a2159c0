"""What of megatron-core's and Transformer Engine's kernels the trainer asks for, on which device and with which
modules.
"""

import importlib.util

import pytest

from large_sft.model.decoder import read_config
from large_sft.settings import Sft
from polaris.stage.errors import UserError
from tests.helpers.small_sft import CONFIG, SETTINGS

COMPILED = {"batch_p2p_comm", "bias_activation_fusion"}
ENGINE = {"apply_rope_fusion", "moe_grouped_gemm", "moe_permute_fusion", "moe_router_fusion"}


@pytest.fixture
def megatron_model():
    """Imported here: every process collects every test."""
    return pytest.importorskip("large_sft.training.megatron_model")


@pytest.mark.parametrize(
    ("changes", "on"),
    [
        ({}, {"use_cpu_initialization"}),
        ({"precision": "bf16"}, {"use_cpu_initialization"}),
        ({"device": "cuda"}, COMPILED),
        ({"device": "cuda", "precision": "bf16"}, COMPILED | {"cross_entropy_loss_fusion"}),
        (
            {"device": "cuda", "precision": "bf16", "transformer_impl": "transformer_engine"},
            COMPILED | ENGINE | {"cross_entropy_loss_fusion"},
        ),
        (
            {"device": "cuda", "transformer_impl": "transformer_engine", "aux_loss": 0.001},
            COMPILED | ENGINE - {"moe_router_fusion"},
        ),
    ],
)
def test_what_is_fused(megatron_model, changes, on):
    """As megatron-core takes it, too, but for Transformer Engine's, which must be installed for that."""
    settings = Sft(**{**SETTINGS, **changes})
    assert {name for name, value in megatron_model.fusions(settings).items() if value} == on
    if settings.transformer_impl == "local":
        config = megatron_model.transformer_config(read_config(CONFIG, "here"), settings)
        assert {name for name in megatron_model.fusions(settings) if getattr(config, name)} == on
        assert not config.gradient_accumulation_fusion


@pytest.mark.parametrize(
    ("changes", "package", "message"),
    [
        (
            {"transformer_impl": "transformer_engine"},
            "transformer_engine",
            "transformer_impl: transformer_engine needs Transformer Engine",
        ),
        ({"dispatcher": "flex"}, "deep_ep", "dispatcher: flex needs DeepEP .the package deep_ep.*or use alltoall"),
    ],
)
def test_a_package_that_is_missing_is_named(megatron_model, changes, package, message):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(UserError, match=message):
        megatron_model.build(read_config(CONFIG, "here"), Sft(**{**SETTINGS, "device": "cuda", **changes}))
