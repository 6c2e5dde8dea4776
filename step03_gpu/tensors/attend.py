"""The kernels as a pair of functions of tensors, forward and backward apart: what a ring attends with."""

from functools import partial

import torch
from jaxtyping import Bool, Float

from step01_numpy.attention import Attend
from step02_torch.arrays import Array
from step02_torch.attention import scale_or_default
from step02_torch.flash_attention import flash_attention_backward as differentiate_by_tensors
from step03_gpu.tensors.operators import covered, flash_attention

__all__ = ["KERNELS", "flash_attention_backward", "on_rung"]


def flash_attention_backward(
    d_out: Float[Array, "*heads L D_v"],
    q: Float[Array, "*heads L D"],
    k: Float[Array, "*kv_heads S D"],
    v: Float[Array, "*kv_heads S D_v"],
    out: Float[Array, "*heads L D_v"],
    lse: Float[Array, "*heads L"],
    mask: Bool[Array, "..."] | None = None,
    *,
    bias: Float[Array, "..."] | None = None,
    causal: bool = False,
    window: tuple | None = None,
    offset: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    rung: int | None = None,
) -> tuple[Float[Array, "*heads L D"], Float[Array, "*kv_heads S D"], Float[Array, "*kv_heads S D_v"]]:
    """
    Compute step02's `flash_attention_backward` by the kernels.

    Parameters
    ----------
    d_out, q, k, v, out, lse, mask, bias, causal, window, offset, scale, softcap
        As there: out and lse may be of more keys than k has.
    rung
        As in `operators.flash_attention`.
    """
    if rung == 0 or (rung is None and not covered(q, v, bias, softcap)):
        options = {"causal": causal, "window": window, "offset": offset, "scale": scale, "softcap": softcap}
        return differentiate_by_tensors(d_out, q, k, v, out, lse, mask, bias=bias, **options)
    for name, x in (("bias", bias), ("softcap", softcap)):
        if x is not None:
            raise ValueError(f"rung {rung} takes no {name}; rung=0 does")
    left, right = (None, None) if window is None else window
    rule = (causal, window is not None, left, right, offset, scale_or_default(scale, q), rung)
    operator = torch.ops.attention_step_by_step.flash_attention_backward
    return operator(d_out, q, k, v, out, lse, mask, *rule)


def on_rung(rung: int | None) -> Attend:
    """Return the pair held to one rung, or with None to the best for each call: kernels for CUDA tensors."""
    return Attend(partial(flash_attention, rung=rung), partial(flash_attention_backward, rung=rung))


KERNELS = on_rung(None)
