"""Positions: attention itself does not see the order of its keys; these four ways tell it."""

import torch
from jaxtyping import Float, Int

from step01_numpy.common import checks
from step01_numpy.positions import alibi_slopes
from step02_torch.arrays import Array
from step02_torch.masks import key_positions
from step02_torch.parameters import Layer, Parameter, normal

__all__ = [
    "LearnedPositions",
    "Rotary",
    "alibi_bias",
    "alibi_slopes",
    "rotary_angles",
    "rotate",
    "sinusoidal_positions",
]


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
    like : Tensor, optional
        A tensor on the device, and in the floating dtype, that is wanted.

    Notes
    -----
    Row p holds sin(p / base^(2i/d_model)) in column 2i and the cosine of the same angle in column 2i + 1.

    References
    ----------
    Vaswani et al. 2017, section 3.5, arXiv:1706.03762.
    """
    checks.divides("2", 2, "d_model", d_model)
    like = torch.empty(0) if like is None else like
    positions = torch.arange(n_positions, device=like.device)
    cos, sin = rotary_angles(positions, d_model, base=base)  # (n_positions, d_model / 2)
    return torch.stack([sin, cos], dim=-1).reshape(n_positions, d_model).to(like.dtype)


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
        super().__init__()
        checks.positive("n_positions", n_positions)
        self.weight = Parameter(normal(0.02, (n_positions, d_model), rng))

    def forward(self, positions: Int[Array, "*shape"]) -> Float[Array, "*shape d_model"]:
        """Return the row of each position."""
        checks.tokens("positions", positions, len(self.weight))
        return self.weight[positions]


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
    exponents = torch.arange(0, d_rotary, 2, device=positions.device, dtype=torch.float64) / d_rotary
    angles = positions[..., None] / base**exponents
    return angles.cos(), angles.sin()


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
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    d_rotary = 2 * cos.shape[-1]
    turning, still = x[..., :d_rotary], x[..., d_rotary:]
    a, b = _pairs(turning, interleaved)
    turned = a * cos - b * sin, a * sin + b * cos
    return torch.cat([_join(*turned, interleaved), still], dim=-1)


def _pairs(x, interleaved):
    if interleaved:
        return x[..., 0::2], x[..., 1::2]
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]


def _join(a, b, interleaved):
    if interleaved:
        return torch.stack([a, b], dim=-1).reshape(*a.shape[:-1], -1)
    return torch.cat([a, b], dim=-1)


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

    def _angles(self, positions):
        return rotary_angles(positions[:, None, :], self.d_rotary, base=self.base)  # (B, 1, L, half)


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
