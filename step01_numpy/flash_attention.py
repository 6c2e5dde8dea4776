"""FlashAttention (Dao et al. 2022, arXiv:2205.14135): `attention.py` tile by tile. Threads: host only."""

from functools import lru_cache, partial
from math import ceil, e, log2, prod
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from step01_numpy.arrays import Array, widen
from step01_numpy.attention import Attend, cap, cap_backward, scale_or_default
from step01_numpy.common.support import checks, host
from step01_numpy.masks import sliding_window_mask

_ROWS, _ROWS_OF_BAND, _KEYS = 512, 192, 704  # tiles of this size stay in a core's cache; a band of visible
_ROWS_BACKWARD, _KEYS_BACKWARD = 256, 352  # keys has an edge, at which few rows waste less
_LOG2_E = log2(e)
_REACH = 40  # beyond, float32 would lose digits that it keeps when the largest score is taken off first


def flash_attention(
    q: Float[Array, "*heads L D"],
    k: Float[Array, "*kv_heads S D"],
    v: Float[Array, "*kv_heads S D_v"],
    mask: Bool[Array, "..."] | None = None,
    *,
    bias: Float[Array, "..."] | None = None,
    causal: bool = False,
    window: tuple | None = None,
    offset: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> tuple[Float[Array, "*heads L D_v"], Float[Array, "*heads L"]]:
    """
    Attend as `scaled_dot_product_attention` does, in memory that grows with L + S and not with L·S.

    Parameters
    ----------
    q, k, v, mask, bias, causal, window, offset, scale, softcap
        As there. A mask or bias is read in tiles, never expanded.

    Returns
    -------
    out : (*heads, L, D_v)
    lse : (*heads, L)
        log Σ exp(scores) in nats, from which the backward makes the weights again. -inf for a query that
        may attend to no key. float32 for 16-bit inputs.
    """
    checks.attention(np.ndarray, q, k, v, mask, bias, window, offset, scale, softcap)
    out = np.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    q, k, v = widen(q), widen(k), widen(v)
    lse = np.empty(q.shape[:-1], q.dtype)
    rule = _rule(q, k, mask, bias, causal, window, offset, scale, softcap)
    by_group = _by_group(q, k), _by_group(out, k), _by_group(lse, k, n_axes=1)
    n_rows = _ROWS if rule.left is None and rule.right is None else _ROWS_OF_BAND
    blocks = _slices(0, q.shape[-2], n_rows)[::-1]  # with `causal` the longest first, the crumbs last
    tasks = [(head, rows) for head in np.ndindex(by_group[0].shape[:-2]) for rows in blocks]
    host.share(partial(_forward, rule, *by_group, k, v, {}), tasks)
    return out, lse


def _forward(rule, q, out, lse, k, v, columns, tasks) -> None:
    """Attend with one block of queries after another; every thread runs this, all on the same tasks."""
    buffer = np.empty(_ROWS * _KEYS, q.dtype)
    for head, rows in tasks:
        kv_head = head[:-1]
        if kv_head not in columns:
            columns[kv_head] = host.columns(k[kv_head]), _longest(k[kv_head])
        block = _attend(rule, head, rows, q[head][rows], *columns[kv_head], v[kv_head], buffer)
        out[head][rows], lse[head][rows] = block


def _attend(rule, head, rows, q, k_t, longest, v, buffer):
    """Walk along the keys with the n queries in `rows`, keeping a running maximum and a running sum."""
    bounded = rule.bounded(q, longest)
    unit = _LOG2_E if bounded else 1.0
    q = q * (rule.scale * unit)  # (n, D)
    out, total = np.zeros((len(q), v.shape[-1]), q.dtype), np.zeros(len(q), q.dtype)
    largest = np.full(len(q), 0 if bounded else -np.inf, q.dtype)
    for keys in rule.tiles(rows, _KEYS):
        scores = rule.scores(q, k_t[:, keys], unit, head, rows, keys, buffer)  # (n, w)
        if bounded:  # exp2 takes such scores as they are, and twice as fast as exp: no maximum is needed
            weights = np.exp2(scores, out=scores)
            rule.hide(weights, 0, head, rows, keys)
        else:
            rule.hide(scores, -np.inf, head, rows, keys)
            previous, largest = largest, np.maximum(largest, scores.max(axis=1))
            shift = np.where(np.isfinite(largest), largest, 0)
            fade = np.exp(previous - shift)  # what was summed so far was relative to the previous maximum
            total *= fade
            out *= fade[:, None]
            scores -= shift[:, None]
            weights = np.exp(scores, out=scores)
        total += weights @ np.ones(weights.shape[1], q.dtype)  # faster than weights.sum(axis=1)
        out += weights @ v[keys]
    empty = total == 0  # queries that saw no key
    total[empty] = 1
    out /= total[:, None]
    return out, np.where(empty, -np.inf, largest + np.log(total))


def flash_attention_backward(
    d_out: Float[Array, "*heads L D_v"],
    q: Float[Array, "*heads L D"],
    k: Float[Array, "*kv_heads S D"],
    v: Float[Array, "*kv_heads S D_v"],
    out: Float[Array, "*heads L D_v"],
    lse: Float[Array, "*heads L"],
    mask: Bool[Array, "..."] | None = None,
    *,
    bias: Float[Array, "..."] | None = None,
    causal: bool = False,
    window: tuple | None = None,
    offset: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> tuple[Float[Array, "*heads L D"], Float[Array, "*kv_heads S D"], Float[Array, "*kv_heads S D_v"]]:
    """
    Differentiate `flash_attention`; every option matters, since the weights are made again from lse.

    Returns
    -------
    d_q, d_k, d_v
        In the shapes and dtype of q, k, v; exactly 0 for a query that may attend to no key.
    """
    dtype, shape, kv_heads = q.dtype, q.shape, k.shape[:-2]
    d_out, q, k, v, out = (widen(x) for x in (d_out, q, k, v, out))
    rule = _rule(q, k, mask, bias, causal, window, offset, scale, softcap)
    d_out, q, out, lse = (*(_by_group(x, k) for x in (d_out, q, out)), _by_group(lse, k, n_axes=1))
    # A task is a key/value head or, where heads are few, a piece of one, which gets a d_q of its own: tasks
    # never add to the same numbers, and the result does not depend on which thread was faster.
    n_pieces = min(ceil(8 / prod(kv_heads)), ceil(k.shape[-2] / _KEYS))
    pieces = _slices(0, k.shape[-2], ceil(k.shape[-2] / n_pieces))
    d_q, d_k, d_v = (np.zeros(s, q.dtype) for s in ((len(pieces), *q.shape), k.shape, v.shape))
    tasks = [(kv_head, *piece) for piece in enumerate(pieces) for kv_head in np.ndindex(kv_heads)]
    host.share(partial(_backward, rule, d_out, q, out, lse, k, v, d_q, d_k, d_v), tasks)
    return tuple(x.astype(dtype, copy=False) for x in (d_q.sum(axis=0).reshape(shape), d_k, d_v))


def _backward(rule, d_out, q, out, lse, k, v, d_q, d_k, d_v, tasks) -> None:
    """Differentiate one piece of a key/value head after another."""
    buffers = np.empty((2, _ROWS_BACKWARD * _KEYS_BACKWARD), q.dtype)
    for kv_head, number, piece in tasks:
        key_side = [x[kv_head] for x in (k, v, d_k, d_v)]
        columns = host.columns(k[kv_head]), _longest(k[kv_head]), host.columns(v[kv_head])
        for head in ((*kv_head, i) for i in range(q.shape[-3])):
            for rows in _slices(0, q.shape[-2], _ROWS_BACKWARD):
                query_side = (x[head][rows] for x in (d_out, q, out, lse))
                args = rule, head, rows, piece, *query_side, *columns, *key_side, buffers
                d_q[number][head][rows] = _attend_backward(*args)
        d_k[kv_head][piece] *= rule.scale


def _attend_backward(rule, head, rows, piece, d_out, q, out, lse, k_t, longest, v_t, k, v, d_k, d_v, buffers):
    """Return d_q of the n queries in `rows`; add their share to d_k, still without the scale, and to d_v."""
    bounded = rule.bounded(q, longest)
    exp, unit = (np.exp2, _LOG2_E) if bounded else (np.exp, 1.0)
    scaled = q * (rule.scale * unit)  # (n, D)
    norm = np.where(lse == -np.inf, 0, lse)[:, None] * unit  # (n, 1)
    row_sum = np.vecdot(d_out, out)[:, None]  # (n, 1)
    d_q = np.zeros_like(q)
    for keys in rule.tiles(rows, _KEYS_BACKWARD, piece):
        scores = rule.scores(scaled, k_t[:, keys], unit, head, rows, keys, buffers[0])  # (n, w)
        if not bounded:
            rule.hide(scores, -np.inf, head, rows, keys)
        scores -= norm
        weights = exp(scores, out=scores)  # those of the forward, made again
        if bounded:
            rule.hide(weights, 0, head, rows, keys)
        d_v[keys] += weights.T @ d_out  # out = weights @ v
        d_scores = host.matmul(d_out, v_t[:, keys], buffers[1])  # d_weights, before
        d_scores -= row_sum  # weights = softmax(scores)
        d_scores *= weights
        if rule.softcap is not None:
            d_scores = cap_backward(d_scores, scaled @ k_t[:, keys], rule.softcap * unit)
        d_q += d_scores @ k[keys]  # scores = q kᵀ · scale
        d_k[keys] += d_scores.T @ q
    return d_q * rule.scale


class _Rule(NamedTuple):
    """How a tile of scores comes about, and which of its keys are visible."""

    n_keys: int
    mask: np.ndarray | None  # (*kv_heads, group, L, S), as is bias: broadcast views, which take no memory
    bias: np.ndarray | None
    left: int | None
    right: int | None
    offset: int
    scale: float
    softcap: float | None

    def bounded(self, q, longest) -> bool:
        """Whether no score can leave ±_REACH · ln 2, by |q·k| <= |q| |k|."""
        return self.bias is None and _longest(q) * longest * abs(self.scale) * _LOG2_E < _REACH

    def tiles(self, rows: slice, width: int, piece: slice = slice(None)) -> list[slice]:
        """Cut the keys that any query in `rows` may see into equal tiles, at most `width` wide."""
        first, last, _ = piece.indices(self.n_keys)
        if self.left is not None:
            first = max(first, rows.start + self.offset - self.left)
        if self.right is not None:
            last = min(last, rows.stop + self.offset + self.right)
        n_tiles = max(1, ceil((last - first) / width))
        return _slices(first, last, max(1, ceil((last - first) / n_tiles / 16)) * 16)

    def scores(self, q, k_t, unit, head, rows, keys, buffer) -> np.ndarray:
        """Return a tile's scores, nothing hidden yet; q comes with the scale and the unit in it."""
        scores = cap(host.matmul(q, k_t, buffer), self.softcap and self.softcap * unit)
        return scores if self.bias is None else scores + widen(self.bias[head][rows, keys])

    def hide(self, x, value, head, rows, keys) -> None:
        """Set x, of a tile's shape, to `value` where a query may not see a key: mostly nowhere."""
        n, w = x.shape
        offset = self.offset + rows.start - keys.start  # where the tile's first query stands among its keys
        from_left = self.left is None or n - 1 + offset <= self.left
        if not (from_left and (self.right is None or w - 1 <= offset + self.right)):
            np.copyto(x, value, where=_outside(n, w, self.left, self.right, offset))
        if self.mask is not None:
            np.copyto(x, value, where=~self.mask[head][rows, keys])


def _rule(q, k, mask, bias, causal, window, offset, scale, softcap) -> _Rule:
    shape = (*q.shape[:-1], k.shape[-2])
    mask, bias = (x if x is None else _by_group(np.broadcast_to(x, shape), k) for x in (mask, bias))
    left, right = (None, None) if window is None else window
    offset = shape[-1] - shape[-2] if offset is None else offset
    scale = scale_or_default(scale, q)
    return _Rule(shape[-1], mask, bias, left, 0 if causal else right, offset, scale, softcap)


@lru_cache(maxsize=32)
def _outside(n_queries, n_keys, left, right, offset) -> np.ndarray:
    return ~sliding_window_mask(n_queries, n_keys, left, right, offset=offset)


def _by_group(x, k, n_axes=2) -> np.ndarray:
    """Sort query heads by the key/value head that they share, (*kv_heads, group, ...), without copying."""
    return x.reshape(*k.shape[:-2], -1, *x.shape[-n_axes:])


def _longest(x) -> float:
    return float(np.vecdot(x, x).max()) ** 0.5


def _slices(first: int, last: int, step: int) -> list[slice]:
    return [slice(i, min(i + step, last)) for i in range(first, last, step)]


FLASH = Attend(flash_attention, flash_attention_backward)
