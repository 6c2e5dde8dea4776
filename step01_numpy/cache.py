"""The cache of decoding: what a token has been as a key and a value, it stays for all that follow."""

import numpy as np
from jaxtyping import Float, Int

from step01_numpy.arrays import Array
from step01_numpy.common.support import options


class KVCache:
    """
    The keys and values of positions seen before, so that decoding computes each of them once.

    Parameters
    ----------
    limit : int, optional
        How many of the newest positions are kept; all when not given. A window that reaches `limit` keys back
        needs no more: memory then stays the same however long the text grows.

    Attributes
    ----------
    keys, values : (B, H_kv, S, D), or None while empty
    length : int
        Number of positions seen.

    Examples
    --------
    Three positions come, of which two are kept; then one more comes and sees those two and itself:

    >>> cache = KVCache(limit=2)
    >>> _ = cache.append(*np.arange(6.0).reshape(2, 1, 1, 3, 1))
    >>> keys, values = cache.append(*np.full((2, 1, 1, 1, 1), 9.0))
    >>> keys.ravel().tolist(), values.ravel().tolist(), cache.length
    ([1.0, 2.0, 9.0], [4.0, 5.0, 9.0], 4)
    """

    def __init__(self, limit: int | None = None):
        self.limit, self.length = None if limit is None else options.integer("limit", limit), 0
        self.keys = self.values = None

    def append(self, k: Float[Array, "B H L D"], v: Float[Array, "B H L D_v"]) -> tuple[Array, Array]:
        """Add the newest positions and return all that they may see, (keys, values)."""
        self.length += k.shape[-2]
        if self.keys is not None:
            k = np.concatenate([self.keys, k], axis=-2)
            v = np.concatenate([self.values, v], axis=-2)
        first = 0 if self.limit is None else max(0, k.shape[-2] - self.limit)
        self.keys, self.values = k[..., first:, :], v[..., first:, :]
        return k, v

    def reorder(self, rows: Int[Array, " B"]) -> None:
        """Let row b continue what was row `rows[b]`, as beam search does when it drops a beam."""
        if self.keys is not None:
            self.keys, self.values = self.keys[rows], self.values[rows]
