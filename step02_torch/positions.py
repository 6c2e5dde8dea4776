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
    Return the angle by which each pair of columns goes on at each position, in radians, in float64.

    Parameters
    ----------
    d_model : int
        Even.
    base : float
    like : Tensor, optional
        A tensor on the device that is wanted.

    Notes
    -----
    Pair i goes on by base^(-2i/d_model): from 1 down to nearly 1/base.
    """
    checks.divides("2", 2, "d_model", d_model)
    device = None if like is None else like.device
    return 1 / base ** (torch.arange(0, d_model, 2, device=device, dtype=torch.float64) / d_model)


def sinusoids(
    positions: Int[Array, "*shape"], d_model: int, *, base: float = 10000.0, interleaved: bool = True
) -> Float[Array, "*shape d_model"]:
    """
    Return one fixed row for each position, in float64, to be added to the embeddings.

    Parameters
    ----------
    positions : (...)
    d_model, base
        As in `frequencies`.
    interleaved : bool
        Sines in the even columns and cosines in the odd ones, as in the paper; otherwise sines in the first
        half and cosines in the second, as in Marian.

    Notes
    -----
    Sine and cosine number i of position p are those of p times frequency i.

    References
    ----------
    Vaswani et al. 2017, section 3.5, arXiv:1706.03762.
    """
    angles = positions[..., None] * frequencies(d_model, base=base, like=positions)  # (..., d_model / 2)
    sin, cos = angles.sin(), angles.cos()
    if interleaved:
        return torch.stack([sin, cos], dim=-1).reshape(*positions.shape, d_model)
    return torch.cat([sin, cos], dim=-1)


def sinusoidal_positions(
    n_positions: int, d_model: int, *, base: float = 10000.0, like=None
) -> Float[Array, "n_positions d_model"]:
    """
    Return the `sinusoids` of positions 0 to n_positions - 1.

    Parameters
    ----------
    n_positions, d_model : int
    base : float
    like : Tensor, optional
        A tensor on the device, and in the floating dtype, that is wanted.
    """
    like = torch.empty(0) if like is None else like
    return sinusoids(torch.arange(n_positions, device=like.device), d_model, base=base).to(like.dtype)


def alibi_bias(
    n_heads: int, n_queries: int, n_keys: int | None = None, *, offset: int | None = None, like=None
) -> Float[Array, "H L S"]:
    """
    Return attention's `bias` that makes each head prefer near keys: -slope · |distance|.

    Parameters
    ----------
    n_heads, n_queries, n_keys : int
        H, L and S; S = L when not given.
    offset : int, optional
        As in `causal_mask`.
    like : Tensor, optional
        A tensor on the device, and in the floating dtype, that is wanted.
    """
    like = torch.empty(0) if like is None else like
    n_keys = n_queries if n_keys is None else n_keys
    query, key = key_positions(n_queries, n_keys, offset=offset, like=like)
    slopes = torch.tensor(alibi_slopes(n_heads), dtype=torch.float64, device=like.device)[:, None, None]
    return (-slopes * (query - key).abs()).to(like.dtype)
