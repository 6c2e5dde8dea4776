"""Which tiles of the scores flash attention computes, how, and what is hidden in them."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from step01_numpy.arrays import widen
from step01_numpy.attention import cap, scale_or_default
from step01_numpy.engine.flash_plan import Plan, plan
from step01_numpy.engine.flash_products import matmul
from step01_numpy.masks import sliding_window_mask


class Rule(NamedTuple):
    """How a tile of scores comes about, and which of its keys are visible."""

    n_keys: int
    mask: np.ndarray | None  # (*kv_heads, group, L, S), as is bias: broadcast views, which take no memory
    bias: np.ndarray | None
    left: int | None
    right: int | None
    offset: int
    scale: float
    softcap: float | None
    plan: Plan

    def transposed(self, n_queries: int) -> "Rule":
        """Return the rule of the transposed scores: which queries see a key."""
        mask, bias = (x if x is None else x.swapaxes(-1, -2) for x in (self.mask, self.bias))
        band = self.right, self.left, -self.offset
        return Rule(n_queries, mask, bias, *band, self.scale, self.softcap, self.plan)

    def tiles(self, rows: slice, width: int) -> list[tuple[slice, slice]]:
        """
        Cut what the queries in `rows` may see into tiles: (rows, keys) of each.

        Keys that all of them see come in tiles of `width`, or more where rows are few; those that some see in
        tiles of `plan.edge`, each with those rows alone that see any of its keys.
        """
        width, edge = self.plan.width(width, rows.stop - rows.start), self.plan.edge
        first, last = 0, self.n_keys
        before, after = first, last  # the keys from `before` to `after` are seen by all
        if self.left is not None:
            first = max(first, rows.start + self.offset - self.left)
            before = max(first, rows.stop - 1 + self.offset - self.left)
        if self.right is not None:
            last = min(last, rows.stop + self.offset + self.right)
            after = min(last, rows.start + 1 + self.offset + self.right)
        before += (first - before) % edge  # whole tiles of the edge: no crumbs of a key or two
        after -= (after - before) % edge
        if before < after:
            parts = [(first, before, edge), (before, after, width), (after, last, edge)]
        else:
            parts = [(first, last, edge)]
        tiles = [(self._rows(rows, keys), keys) for part in parts for keys in slices(*part)]
        return [(rows, keys) for rows, keys in tiles if rows.start < rows.stop]

    def _rows(self, rows, keys):
        """Leave out the rows that see none of these keys."""
        start, stop = rows.start, rows.stop
        if self.right is not None:
            start = max(start, keys.start - self.offset - self.right)
        if self.left is not None:
            stop = min(stop, keys.stop - self.offset + self.left)
        return slice(start, stop)

    def scores(self, q, k_t, head, rows, keys, buffer) -> np.ndarray:
        """Return a tile's scores, nothing hidden yet; q comes with the scale in it."""
        scores = cap(matmul(q, k_t, buffer, self.plan.strip), self.softcap)
        return scores if self.bias is None else scores + widen(self.bias[head][rows, keys])

    def hide(self, x, value, head, rows, keys) -> None:
        """Set x, of a tile's shape, to `value` where a query may not see a key: mostly nowhere."""
        n, w = x.shape
        offset = self.offset + rows.start - keys.start  # where the tile's first query stands among its keys
        if self.right is not None and (cut := min(n, w - 1 - offset - self.right)) > 0:
            np.copyto(x[:cut], value, where=_outside(cut, w, None, self.right, offset))
        if self.left is not None and (cut := max(0, self.left - offset + 1)) < n:
            np.copyto(x[cut:], value, where=_outside(n - cut, w, self.left, None, offset + cut))
        if self.mask is not None:
            np.copyto(x, value, where=~self.mask[head][rows, keys])


def make_rule(q, k, mask, bias, causal, window, offset, scale, softcap) -> Rule:
    """Make the rule from the arguments of an attention."""
    shape = (*q.shape[:-1], k.shape[-2])
    mask, bias = (x if x is None else by_group(np.broadcast_to(x, shape), k) for x in (mask, bias))
    left, right = (None, None) if window is None else window
    offset = shape[-1] - shape[-2] if offset is None else offset
    scale = scale_or_default(scale, q)
    return Rule(shape[-1], mask, bias, left, 0 if causal else right, offset, scale, softcap, plan(k))


def by_group(x, k, n_axes=2) -> np.ndarray:
    """Sort query heads by the key/value head that they share, (*kv_heads, group, ...), without copying."""
    return x.reshape(*k.shape[:-2], -1, *x.shape[-n_axes:])


def slices(first: int, last: int, step: int) -> list[slice]:
    """Cut a range into slices of `step`, the last of what is left."""
    return [slice(i, min(i + step, last)) for i in range(first, last, step)]


def as_columns(x: np.ndarray, last: np.ndarray, factor: float = 1.0) -> np.ndarray:
    """Return the transpose of a matrix, times a factor, above one more row."""
    out = np.empty((x.shape[1] + 1, len(x)), x.dtype)
    out[:-1] = x.T
    out[:-1] *= factor
    out[-1] = last
    return out


def with_ones(x: np.ndarray) -> np.ndarray:
    """Return a matrix with one more column, of ones."""
    return np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1)


@lru_cache(maxsize=32)
def _outside(n_queries, n_keys, left, right, offset) -> np.ndarray:
    return ~sliding_window_mask(n_queries, n_keys, left, right, offset=offset)
