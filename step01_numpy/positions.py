"""Positions: attention itself does not see the order of its keys; these four ways tell it."""

from math import log2

import numpy as np
from jaxtyping import Float, Int

from step01_numpy.arrays import Array, lookup_backward
from step01_numpy.common import checks
from step01_numpy.masks import key_positions
from step01_numpy.parameters import Layer, Parameter, normal


def sinusoidal_positions(
    n_positions: int, d_model: int, *, base: float = 10000.0, like=None
) -> Float[Array, "n_positions d_model"]:
    """
    Return one fixed row for each position, to be added to the embeddings.

    Parameters
    ----------
    n_positions, d_model : int
        d_model is even.
    base : float
    like : Array, optional
        An array on the device, and in the floating dtype, that is wanted.

    Notes
    -----
    Row p holds sin(p / base^(2i/d_model)) in column 2i and the cosine of the same angle in column 2i + 1.

    References
    ----------
    Vaswani et al. 2017, section 3.5, arXiv:1706.03762.
    """
    checks.divides("2", 2, "d_model", d_model)
    like = np.empty(0, dtype=np.float32) if like is None else like
    positions = np.arange(n_positions, like=like)
    cos, sin = rotary_angles(positions, d_model, base=base)  # (n_positions, d_model / 2)
    return np.stack([sin, cos], axis=-1).reshape(n_positions, d_model).astype(like.dtype)


class LearnedPositions(Layer):
    """
    One learned row for each position.

    Parameters
    ----------
    n_positions, d_model : int
    rng : numpy.random.Generator, optional
        Source of the initial rows, normal with deviation 0.02.
    """

    def __init__(self, n_positions: int, d_model: int, *, rng=None):
        checks.positive("n_positions", n_positions)
        self.weight = Parameter(normal(0.02, (n_positions, d_model), rng))

    def forward(self, positions: Int[Array, "*shape"]) -> Float[Array, "*shape d_model"]:
        """Return the row of each position."""
        checks.tokens("positions", positions, len(self.weight.data))
        self.saved = positions
        return self.weight.data[positions]

    def backward(self, d_out: Float[Array, "*shape d_model"]) -> None:
        """Collect each position's gradients; positions themselves have none."""
        self.weight.accumulate(lookup_backward(d_out, self.saved, self.weight.data))


def rotary_angles(
    positions: Int[Array, "*shape"], d_rotary: int, *, base: float = 10000.0
) -> tuple[Float[Array, "*shape half"], Float[Array, "*shape half"]]:
    """
    Return cos and sin of the angle by which each pair of coordinates turns, in float64.

    Parameters
    ----------
    positions : (...)
    d_rotary : int
        How many coordinates turn; even.
    base : float

    Notes
    -----
    Pair i of a vector at position p turns by p / base^(2i/d_rotary).
    """
    checks.divides("2", 2, "d_rotary", d_rotary)
    exponents = np.arange(0, d_rotary, 2, like=positions) / d_rotary
    angles = positions[..., None] / base**exponents
    return np.cos(angles), np.sin(angles)


def rotate(
    x: Float[Array, "*heads L D"],
    cos: Float[Array, "*rows half"],
    sin: Float[Array, "*rows half"],
    *,
    interleaved: bool = False,
) -> Float[Array, "*heads L D"]:
    """
    Turn each pair of coordinates of x by its angle; q·k then depends on the distance of the positions.

    Parameters
    ----------
    x : (*heads, L, D)
    cos, sin : broadcastable to (*heads, L, d_rotary / 2)
        Coordinates behind the first d_rotary stay as they are.
    interleaved : bool
        Pair coordinates 2i and 2i + 1, as the paper does; otherwise i and i + d_rotary/2, as Llama does.

    References
    ----------
    Su et al. 2021, equation 34, arXiv:2104.09864.
    """
    cos, sin = cos.astype(x.dtype), sin.astype(x.dtype)
    d_rotary = 2 * cos.shape[-1]
    turning, still = x[..., :d_rotary], x[..., d_rotary:]
    a, b = _pairs(turning, interleaved)
    turned = a * cos - b * sin, a * sin + b * cos
    return np.concatenate([_join(*turned, interleaved), still], axis=-1)


def rotate_backward(
    d_out: Float[Array, "*heads L D"],
    cos: Float[Array, "*rows half"],
    sin: Float[Array, "*rows half"],
    *,
    interleaved: bool = False,
) -> Float[Array, "*heads L D"]:
    """Differentiate `rotate`: a rotation's transpose turns back."""
    return rotate(d_out, cos, -sin, interleaved=interleaved)


def _pairs(x, interleaved):
    if interleaved:
        return x[..., 0::2], x[..., 1::2]
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]


def _join(a, b, interleaved):
    if interleaved:
        return np.stack([a, b], axis=-1).reshape(*a.shape[:-1], -1)
    return np.concatenate([a, b], axis=-1)


class Rotary:
    """
    Rotary positions, as `MultiHeadAttention` takes them in `rotary=`.

    Parameters
    ----------
    d_rotary : int
        How many coordinates of each head turn; even.
    base : float
    interleaved : bool
        As in `rotate`.
    """

    def __init__(self, d_rotary: int, *, base: float = 10000.0, interleaved: bool = False):
        checks.divides("2", 2, "d_rotary", d_rotary)
        self.d_rotary, self.base, self.interleaved = d_rotary, base, interleaved

    def forward(self, x: Float[Array, "B H L D"], positions: Int[Array, "..."]) -> Float[Array, "B H L D"]:
        """Turn x, whose rows stand at `positions`, (B, L) or (1, L)."""
        return rotate(x, *self._angles(positions), interleaved=self.interleaved)

    def backward(
        self, d_out: Float[Array, "B H L D"], positions: Int[Array, "..."]
    ) -> Float[Array, "B H L D"]:
        """Differentiate `forward` with respect to x."""
        return rotate_backward(d_out, *self._angles(positions), interleaved=self.interleaved)

    def _angles(self, positions):
        return rotary_angles(positions[:, None, :], self.d_rotary, base=self.base)  # (B, 1, L, half)


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
