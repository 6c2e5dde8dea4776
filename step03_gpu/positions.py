"""Positions on the device: step01's functions, which follow the arrays they are given."""

from step01_numpy import positions as host
from step01_numpy.positions import alibi_slopes, frequencies, sinusoids
from step03_gpu.arrays import Array, from_numpy

__all__ = [
    "alibi_bias",
    "alibi_slopes",
    "frequencies",
    "sinusoidal_positions",
    "sinusoids",
]


def sinusoidal_positions(n_positions: int, d_model: int, *, base: float = 10000.0, like=None) -> Array:
    """Return step01's table, (n_positions, d_model), on the device of `like` or the default one."""
    return host.sinusoidal_positions(n_positions, d_model, base=base, like=_anywhere(like))


def alibi_bias(
    n_heads: int, n_queries: int, n_keys: int | None = None, *, offset: int | None = None, like=None
) -> Array:
    """Return step01's bias, (H, L, S), on the device of `like` or the default one."""
    return host.alibi_bias(n_heads, n_queries, n_keys, offset=offset, like=_anywhere(like))


def _anywhere(like):
    return from_numpy(host.np.empty(0, dtype="float32")) if like is None else like
