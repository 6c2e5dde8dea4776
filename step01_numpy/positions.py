"""Positions: attention itself does not see the order of its keys; these ways tell it, and `rotary.py`'s."""

from math import log2

import numpy as np
from jaxtyping import Float, Int

from step01_numpy.arrays import Array
from step01_numpy.common.support import checks
from step01_numpy.masks import key_positions


def frequencies(d_model: int, *, base: float = 10000.0, like=None) -> Float[Array, " half"]:
    """
    Return base^(-2i/d_model), the angle by which pair i of columns goes on at each position, in radians.

    In float64, on the device of `like`; d_model is even.

    Examples
    --------
    >>> print(frequencies(4))
    [1.   0.01]
    """
    checks.divides("2", 2, "d_model", d_model)
    like = np.empty(0) if like is None else like
    return 1 / base ** (np.arange(0, d_model, 2, like=like) / d_model)


def sinusoids(
    positions: Int[Array, "*shape"], d_model: int, *, base: float = 10000.0, interleaved: bool = True
) -> Float[Array, "*shape d_model"]:
    """
    Return one fixed row for each position, to be added to the embeddings: sine and cosine of its angles.

    Sines in the even columns, cosines in the odd ones (Vaswani et al. 2017, section 3.5, arXiv:1706.03762);
    not interleaved, sines in the first half and cosines in the second, as in Marian. In float64.
    """
    angles = positions[..., None] * frequencies(d_model, base=base, like=positions)  # (..., d_model / 2)
    sin, cos = np.sin(angles), np.cos(angles)
    if interleaved:
        return np.stack([sin, cos], axis=-1).reshape(*positions.shape, d_model)
    return np.concatenate([sin, cos], axis=-1)


def sinusoidal_positions(
    n_positions: int, d_model: int, *, base: float = 10000.0, like=None
) -> Float[Array, "n_positions d_model"]:
    """Return the `sinusoids` of positions 0 to n_positions - 1, in the dtype and on the device of `like`."""
    like = np.empty(0, dtype=np.float32) if like is None else like
    return sinusoids(np.arange(n_positions, like=like), d_model, base=base).astype(like.dtype)


def alibi_slopes(n_heads: int) -> list[float]:
    """
    Return each head's slope for `alibi_bias`.

    For a power of two, head h of 1 … H gets 2^(-8h/H); otherwise the slopes of the power below, then every
    second slope of the power above (Press et al. 2021, section 3 and its code, arXiv:2108.12409).

    Examples
    --------
    >>> alibi_slopes(4), alibi_slopes(3)
    ([0.25, 0.0625, 0.015625, 0.00390625], [0.0625, 0.00390625, 0.25])
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

    The parameters are those of `causal_mask`; it has the floating dtype of `like`.
    """
    like = np.empty(0, dtype=np.float32) if like is None else like
    query, key = key_positions(n_queries, n_keys, offset=offset, like=like)
    slopes = np.array(alibi_slopes(n_heads), like=like)[:, None, None]
    return (-slopes * np.abs(query - key)).astype(like.dtype)
