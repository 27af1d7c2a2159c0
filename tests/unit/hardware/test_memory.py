"""Sizes and memory against what others have published."""

import pytest

from large_sft.model.decoder import read_config
from polaris.hardware.fastest import mixture_efficiency
from polaris.hardware.gpus import GPUS
from polaris.hardware.memory import GIB, Ranks, fsdp, layouts, megatron, megatron_stages, total, vllm
from polaris.hardware.shapes import KNOWN, Shape, from_config

SMALL, MIDDLE, LARGE = (
    KNOWN[f"Qwen/Qwen3-{name}"] for name in ("4B-Thinking-2507", "30B-A3B", "235B-A22B-Thinking-2507")
)
H100, H20, A100 = (GPUS[name] for name in ("H100-80GB", "H20", "A100-80GB"))


def config(shape: Shape) -> dict:
    """A config.json of that shape."""
    mixture = {"num_experts": shape.experts, "num_experts_per_tok": shape.experts_per_token,
               "moe_intermediate_size": shape.moe_intermediate_size, "model_type": "qwen3_moe"}  # fmt: skip
    dense = {(True, False): "qwen3", (False, True): "qwen2", (False, False): "llama"}
    return {
        "model_type": dense[shape.head_norms, shape.qkv_bias],
        "vocab_size": shape.vocabulary, "hidden_size": shape.hidden, "hidden_act": "silu",
        "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim, "intermediate_size": shape.intermediate_size, "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "max_position_embeddings": 4096, "tie_word_embeddings": shape.tied, **(mixture if shape.experts else {}),
    }  # fmt: skip


TINY = Shape(320, 96, 2, 4, 2, 32, 256, 192, 4, 2, True)
DISTILLED = KNOWN["deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"]
LLAMA = Shape(128256, 4096, 32, 32, 8, 128, 14336, 0, 0, 0, False, head_norms=False)
SHAPES = {"4B": SMALL, "30B": MIDDLE, "235B": LARGE, "tiny": TINY, "Qwen2.5": DISTILLED, "Llama": LLAMA}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_parameters_are_those_of_the_tensors(shape):
    model = read_config(config(shape), "here")
    sizes = (one[0] * (one[1] if len(one) == 2 else 1) for one in model.parameters().values())
    assert sum(sizes) == shape.parameters and from_config(config(shape), "here") == shape


def test_the_published_counts():
    assert LARGE.parameters / 1e9 == pytest.approx(235.1, abs=0.1) and MIDDLE.parameters / 1e9 == pytest.approx(
        30.5, abs=0.1
    )
    assert DISTILLED.parameters == 7_615_616_512 and LLAMA.parameters == 8_030_261_248
    assert KNOWN["openai/gpt-oss-20b"].parameters / 1e9 == pytest.approx(20.9, abs=0.1)
    assert KNOWN["openai/gpt-oss-20b"].active / 1e9 == pytest.approx(3.6, abs=0.1)


def test_training_flops_are_nvidias():
    """253 TFLOP/s at 1712 tokens/s per GPU, 4096 tokens (Megatron-Bridge performance summary 26.04)."""
    assert 3 * LARGE.forward_flops(4096) == pytest.approx(253e12 / 1712, rel=0.01)


def test_the_published_peak():
    """ms-swift's example: Qwen3-30B-A3B, 8192 tokens, 16 x A800, TP2 EP8, full recompute: 60 GiB."""
    assert total(megatron(MIDDLE, Ranks(16, 2, 1, 8, 1, 1), 8192, "full")) / GIB == pytest.approx(60, rel=0.1)


@pytest.mark.parametrize(
    ("gpus", "offload", "fits"),
    [(32, 0.0, False), (32, 1.0, True), (64, 0.5, True), (128, 0.0, True)],
)
def test_verls_layouts_of_235b(gpus, offload, fits):
    """verl docs/perf/dpsk.md: TP4 PP8 EP4 on H20-96GB, with the share of the optimizer that must be on the host."""
    need = total(megatron(LARGE, Ranks(gpus, 4, 8, 4, 1, 1), 8192, "full", offload=offload))
    assert (need <= H20.memory) == fits


def test_megatron_bridges_layout_of_235b():
    """qwen3_235b_a22b_sft_64gpu_h100_bf16_config: TP4 PP16 EP4, 2048 tokens, no recomputation, on 64 H100."""
    published = Ranks(64, 4, 16, 4, 1, 1)
    assert total(megatron(LARGE, published, 2048, "none")) <= H100.memory
    assert total(megatron(LARGE, published, 32768, "none")) > H100.memory
    assert published in list(layouts(LARGE, 64))


def test_chunks_of_the_loss_and_uneven_stages():
    """The layouts' keys in the figure: a chunk's logits instead of a pack's, and the layers that a stage really has."""
    ranks = Ranks(128, 4, 2, 64, 1, 1)
    whole, chunked = (
        megatron(LARGE, ranks, 32768, "full", loss_chunk=chunk, layers=[10, 84]) for chunk in (None, 4096)
    )
    assert whole["logits"] == 8 * chunked["logits"] > 0 and whole["weights"] == chunked["weights"]
    even = megatron(LARGE, ranks, 32768, "full")
    assert whole["weights"] > 1.7 * even["weights"]


def test_ms_swifts_sixty_four_gpus():
    """Its 235B example: full training "needs 64 x 80 GiB": some layout fits there, none on 32."""
    need = {gpus: min(total(megatron(LARGE, r, 2048, "full")) for r in layouts(LARGE, gpus)) for gpus in (32, 64)}
    assert need[64] <= A100.memory < need[32]


def test_deepspeed_beside_it():
    """The same table: ZeRO3 runs 30B on 16 x 80 GiB; ZeRO2, whose weights are not divided, does not."""
    assert total(fsdp(MIDDLE, 16, 8192)) <= A100.memory
    assert (2 + (2 + 12) / 16) * MIDDLE.parameters > A100.memory


def test_pipeline_stages_hold_every_layer():
    for pipeline in (2, 4, 8, 16, 32):
        stages = megatron_stages(LARGE, Ranks(64, 1, pipeline, 1, 1, 1))
        assert len(stages) == pipeline and sum(stages) == LARGE.layers and min(stages) > 0


def test_kv_heads_are_copied_when_there_are_fewer_than_gpus():
    assert LARGE.cache(8) == LARGE.cache(4) == LARGE.cache(1) / 4
    assert vllm(LARGE, 4, H100.memory, 0.9)["KV cache"] < 0 < vllm(LARGE, 8, H100.memory, 0.9)["KV cache"]


@pytest.mark.parametrize(
    ("expert_ranks", "stages", "packs", "efficiency"),
    [
        (8, 1, 16, (0.15, 0.26)),
        (64, 1, 16, (0.075, 0.13)),
        (8, 8, 16, (0.15 * 16 / 23, 0.26 * 16 / 23)),
    ],
)
def test_a_mixtures_share_of_the_peak(expert_ranks, stages, packs, efficiency):
    """Experts beyond a node of 8 GPUs cross the network; a pipeline of 8 waits 7 of 23 times."""
    assert mixture_efficiency(expert_ranks, 8, stages, packs) == pytest.approx(efficiency)
