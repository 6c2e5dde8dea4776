"""A `KVCache` in buffers with room behind what is kept, so that a step of decoding copies none of it."""

import numpy as np
from jaxtyping import Float, Int

from step01_numpy.arrays import Array
from step01_numpy.cache import KVCache


def grow(cache):
    """Let a model's cache go on in caches that grow in place; return it. One without keys stays as it is."""
    if hasattr(cache, "blocks"):
        cache.blocks = [tuple(map(GrowingCache, pair)) for pair in cache.blocks]
    return cache


class GrowingCache:
    """
    What a `KVCache` is, and goes on to be: the same attributes and methods.

    Parameters
    ----------
    cache : KVCache
        What was seen until now; it is not changed, and its arrays are copied with the next append.
    """

    def __init__(self, cache: KVCache):
        self.limit, self.length = cache.limit, cache.length
        self._keys, self._values = _Rows(cache.keys), _Rows(cache.values)

    keys = property(lambda self: self._keys.kept())
    values = property(lambda self: self._values.kept())

    def append(self, k: Float[Array, "B H L D"], v: Float[Array, "B H L D_v"]) -> tuple[Array, Array]:
        """Add the newest positions and return all that they may see, (keys, values)."""
        self.length += k.shape[-2]
        return self._keys.append(k, self.limit), self._values.append(v, self.limit)

    def reorder(self, rows: Int[Array, " B"]) -> None:
        """Let row b continue what was row `rows[b]`, as beam search does when it drops a beam."""
        for cached in (self._keys, self._values):
            cached.buffer = None if cached.buffer is None else cached.buffer[rows]


class _Rows:
    """
    Rows in a buffer with room behind them: a new one is written there, and the old ones stay where they are.

    To join old and new would copy all that is kept at every step. Here it is copied when the room is used up,
    into a buffer of twice the size: how often, grows with the logarithm of the length.
    """

    def __init__(self, kept):
        self.buffer, self.first, self.end = kept, 0, 0 if kept is None else kept.shape[-2]

    def kept(self):
        return None if self.buffer is None else self.buffer[..., self.first : self.end, :]

    def append(self, x, limit):
        """Return what was kept and x behind it; the newest `limit` of all these rows are kept."""
        if self.buffer is None or self.end + x.shape[-2] > self.buffer.shape[-2]:
            self._move(x)
        self.buffer[..., self.end : self.end + x.shape[-2], :] = x
        self.end += x.shape[-2]
        visible = self.kept()
        self.first = self.first if limit is None else max(self.first, self.end - limit)
        return visible

    def _move(self, x):
        """Move what is kept to the front of a buffer twice as long as that and x."""
        old, n_kept = self.kept(), self.end - self.first
        shape = (*x.shape[:-2], 2 * (n_kept + x.shape[-2]), x.shape[-1])
        self.buffer, self.first, self.end = np.empty_like(x, shape=shape), 0, n_kept
        if old is not None:
            self.buffer[..., :n_kept, :] = old
