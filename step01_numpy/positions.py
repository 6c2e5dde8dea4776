"""Positions: attention itself does not see the order of its keys; these ways tell it, and `rotary.py`'s."""

from math import log2

import numpy as np
from jaxtyping import Float, Int

from step01_numpy.arrays import Array
from step01_numpy.common.support import checks
from step01_numpy.masks import key_positions


def frequencies(d_model: int, *, base: float = 10000.0, like=None) -> Float[Array, " half"]:
    """
    Return the angle by which each pair of columns goes on at each position, in radians, in float64.

    Parameters
    ----------
    d_model : int
        Even.
    base : float
    like : Array, optional
        An array on the device that is wanted.

    Notes
    -----
    Pair i goes on by base^(-2i/d_model): from 1 down to nearly 1/base.
    """
    checks.divides("2", 2, "d_model", d_model)
    like = np.empty(0) if like is None else like
    return 1 / base ** (np.arange(0, d_model, 2, like=like) / d_model)


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
    sin, cos = np.sin(angles), np.cos(angles)
    if interleaved:
        return np.stack([sin, cos], axis=-1).reshape(*positions.shape, d_model)
    return np.concatenate([sin, cos], axis=-1)


def sinusoidal_positions(
    n_positions: int, d_model: int, *, base: float = 10000.0, like=None
) -> Float[Array, "n_positions d_model"]:
    """
    Return the `sinusoids` of positions 0 to n_positions - 1.

    Parameters
    ----------
    n_positions, d_model : int
    base : float
    like : Array, optional
        An array on the device, and in the floating dtype, that is wanted.
    """
    like = np.empty(0, dtype=np.float32) if like is None else like
    return sinusoids(np.arange(n_positions, like=like), d_model, base=base).astype(like.dtype)


def alibi_slopes(n_heads: int) -> list[float]:
    """
    Return each head's slope for `alibi_bias`.

    Notes
    -----
    For a power of two, head h of 1 … H gets 2^(-8h/H); otherwise the slopes of the power below, then every
    second slope of the power above.

    References
    ----------
    Press et al. 2021, section 3 and its code, arXiv:2108.12409.
    """
    checks.positive("n_heads", n_heads)
    below = 2 ** int(log2(n_heads))
    slopes = [2 ** (-8 * (h + 1) / below) for h in range(below)]
    between = [2 ** (-4 * (h + 1) / below) for h in range(0, 2 * below, 2)]
    return slopes + between[: n_heads - below]


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
    like : Array, optional
        An array on the device, and in the floating dtype, that is wanted.
    """
    like = np.empty(0, dtype=np.float32) if like is None else like
    n_keys = n_queries if n_keys is None else n_keys
    query, key = key_positions(n_queries, n_keys, offset=offset, like=like)
    slopes = np.array(alibi_slopes(n_heads), like=like)[:, None, None]
    return (-slopes * np.abs(query - key)).astype(like.dtype)
