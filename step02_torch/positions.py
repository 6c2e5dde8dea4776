"""Positions: attention itself does not see the order of its keys; these ways tell it, and `rotary.py`'s."""

import torch
from jaxtyping import Float, Int

from step01_numpy.common.support import checks
from step01_numpy.positions import alibi_slopes
from step02_torch.arrays import Array
from step02_torch.masks import key_positions

__all__ = [
    "alibi_bias",
    "alibi_slopes",
    "frequencies",
    "sinusoidal_positions",
    "sinusoids",
]


def frequencies(d_model: int, *, base: float = 10000.0, like=None) -> Float[Array, " half"]:
    """
    Return base^(-2i/d_model), the angle by which pair i of columns goes on at each position, in radians.

    In float64, on the device of `like`; d_model is even.

    Examples
    --------
    >>> print(frequencies(4))
    tensor([1.0000, 0.0100], dtype=torch.float64)
    """
    checks.divides("2", 2, "d_model", d_model)
    device = None if like is None else like.device
    return 1 / base ** (torch.arange(0, d_model, 2, device=device, dtype=torch.float64) / d_model)


def sinusoids(
    positions: Int[Array, "*shape"], d_model: int, *, base: float = 10000.0, interleaved: bool = True
) -> Float[Array, "*shape d_model"]:
    """
    Return one fixed row for each position, to be added to the embeddings: sine and cosine of its angles.

    Sines in the even columns, cosines in the odd ones (Vaswani et al. 2017, section 3.5, arXiv:1706.03762);
    not interleaved, sines in the first half and cosines in the second, as in Marian. In float64.
    """
    angles = positions[..., None] * frequencies(d_model, base=base, like=positions)  # (..., d_model / 2)
    sin, cos = angles.sin(), angles.cos()
    if interleaved:
        return torch.stack([sin, cos], dim=-1).reshape(*positions.shape, d_model)
    return torch.cat([sin, cos], dim=-1)


def sinusoidal_positions(
    n_positions: int, d_model: int, *, base: float = 10000.0, like=None
) -> Float[Array, "n_positions d_model"]:
    """Return the `sinusoids` of positions 0 to n_positions - 1, in the dtype and on the device of `like`."""
    like = torch.empty(0) if like is None else like
    return sinusoids(torch.arange(n_positions, device=like.device), d_model, base=base).to(like.dtype)


def alibi_bias(
    n_heads: int, n_queries: int, n_keys: int | None = None, *, offset: int | None = None, like=None
) -> Float[Array, "H L S"]:
    """
    Return attention's `bias` that makes each head prefer near keys: -slope · |distance|.

    The parameters are those of `causal_mask`; it has the floating dtype of `like`.
    """
    like = torch.empty(0) if like is None else like
    query, key = key_positions(n_queries, n_keys, offset=offset, like=like)
    slopes = torch.tensor(alibi_slopes(n_heads), dtype=torch.float64, device=like.device)[:, None, None]
    return (-slopes * (query - key).abs()).to(like.dtype)
