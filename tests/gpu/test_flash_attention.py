"""flash-attn on one GPU, as RL's update and the format SFT call it: sequences side by side in one row, causal, fewer
heads of keys than of queries. It is compiled on the machine, so that a wheel's tests say nothing of it.
"""

import pytest

LENGTHS, HEADS, KV_HEADS, HEAD_DIM = (100, 200), 4, 2, 128
TOLERANCE = {"float16": 2e-3, "bfloat16": 1.5e-2}  # of the norm; an H100: 2 to 4e-4, and 2 to 3e-3


def heads_first(x_THD, repeats=1):
    return x_THD.transpose(0, 1).repeat_interleave(repeats, 0)


def attended(q_THD, k_TKD, v_TKD):
    """The same in float32 by torch, one sequence after the other."""
    import torch

    parts, repeats = [], HEADS // KV_HEADS
    for q, k, v in zip(*(x.split(LENGTHS) for x in (q_THD, k_TKD, v_TKD)), strict=True):
        seen = heads_first(q), heads_first(k, repeats), heads_first(v, repeats)
        parts.append(torch.nn.functional.scaled_dot_product_attention(*seen, is_causal=True).transpose(0, 1))
    return torch.cat(parts)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_values_and_gradients_are_those_of_torch(gpu, figures, dtype):
    flash_attn = pytest.importorskip("flash_attn", reason="flash-attn is not installed here")
    import torch

    torch.manual_seed(0)
    shapes = [(sum(LENGTHS), heads, HEAD_DIM) for heads in (HEADS, KV_HEADS, KV_HEADS)]
    ours = [torch.randn(shape, device="cuda", dtype=getattr(torch, dtype), requires_grad=True) for shape in shapes]
    exact = [x.detach().float().requires_grad_() for x in ours]
    starts = torch.tensor([0, *LENGTHS], device="cuda").cumsum(0, dtype=torch.int32)
    out = flash_attn.flash_attn_varlen_func(*ours, starts, starts, max(LENGTHS), max(LENGTHS), causal=True)
    wanted = attended(*exact)
    weight = torch.randn_like(wanted)
    (out.float() * weight).sum().backward()
    (wanted * weight).sum().backward()
    pairs = [(out, wanted), *((x.grad, y.grad) for x, y in zip(ours, exact, strict=True))]
    errors = [((x.float() - y).norm() / y.norm()).item() for x, y in pairs]
    figures[f"flash-attn, {dtype}, relative errors of values and gradients"] = errors
    assert max(errors) < TOLERANCE[dtype]
