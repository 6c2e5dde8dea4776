"""Rotary positions: turn queries and keys by their positions; their product then sees only the distance."""

from math import pi

import numpy as np
from jaxtyping import Float, Int

from step01_numpy.arrays import Array
from step01_numpy.common.support import checks
from step01_numpy.positions import frequencies


def rotary_frequencies(
    d_rotary: int, *, base: float = 10000.0, scaling: tuple | None = None, like=None
) -> Float[Array, " half"]:
    """
    Return the angle by which each pair of coordinates turns at each position, in radians, in float64.

    Parameters
    ----------
    d_rotary, base, like
        As in `frequencies`; d_rotary coordinates turn.
    scaling : (factor, low, high, n_positions), optional
        Llama 3.1's way to longer texts than the `n_positions` of its first training: pairs that turn less
        than `low` times over those positions turn `factor` times more slowly, pairs that turn more than
        `high` times as before, pairs between by a mean of both.

    References
    ----------
    Su et al. 2021, section 3.2.2, arXiv:2104.09864; scaling: code of Llama 3.1, reported in arXiv:2407.21783.
    """
    checks.divides("2", 2, "d_rotary", d_rotary)
    plain = frequencies(d_rotary, base=base, like=like)
    if scaling is None:
        return plain
    factor, low, high, n_positions = scaling
    turns = n_positions * plain / (2 * pi)
    share = np.clip((turns - low) / (high - low), 0, 1)
    return share * plain + (1 - share) * plain / factor


def rotary_angles(
    positions: Int[Array, "*shape"], d_rotary: int, *, base: float = 10000.0, scaling: tuple | None = None
) -> tuple[Float[Array, "*shape half"], Float[Array, "*shape half"]]:
    """Return cos and sin of the angles by which pairs have turned at each position: `rotary_frequencies`."""
    turns = rotary_frequencies(d_rotary, base=base, scaling=scaling, like=positions)
    angles = positions[..., None] * turns
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
        Pair coordinates 2i and 2i + 1 (Su et al. 2021, equation 34), not i and i + d_rotary/2 (Llama).

    Examples
    --------
    >>> print(rotate(np.array([[3.0, 1.0]]), cos=np.array([[0.0]]), sin=np.array([[1.0]])))
    [[-1.  3.]]
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
    """What `MultiHeadAttention` takes as `rotary=`: the options of `rotary_frequencies` and `rotate`."""

    def __init__(
        self, d_rotary: int, *, base: float = 10000.0, scaling: tuple | None = None, interleaved: bool = False
    ):
        checks.divides("2", 2, "d_rotary", d_rotary)
        self.d_rotary, self.base, self.scaling, self.interleaved = d_rotary, base, scaling, interleaved

    def forward(self, x: Float[Array, "B H L D"], positions: Int[Array, "..."]) -> Float[Array, "B H L D"]:
        """Turn x, whose rows stand at `positions`, (B, L) or (1, L)."""
        return rotate(x, *self._angles(positions), interleaved=self.interleaved)

    def backward(
        self, d_out: Float[Array, "B H L D"], positions: Int[Array, "..."]
    ) -> Float[Array, "B H L D"]:
        """Differentiate `forward` with respect to x."""
        return rotate_backward(d_out, *self._angles(positions), interleaved=self.interleaved)

    def _angles(self, positions):
        options = {"base": self.base, "scaling": self.scaling}
        return rotary_angles(positions[:, None, :], self.d_rotary, **options)  # (B, 1, L, half)
