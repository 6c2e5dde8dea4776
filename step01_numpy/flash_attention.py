"""FlashAttention (Dao et al. 2022): the numbers of `attention.py`, tile by tile; no L×S matrix is stored."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from step01_numpy.arrays import Array, widen
from step01_numpy.attention import cap, cap_backward, repeat_heads, repeat_heads_backward, scale_or_default
from step01_numpy.common.support import checks, gradients
from step01_numpy.masks import combine_masks, hide

_QUERIES, _KEYS = 256, 512  # in a tile


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

    References
    ----------
    Dao et al. 2022, algorithm 1, arXiv:2205.14135, with the queries in the outer loop as in Dao 2023,
    algorithm 1, arXiv:2307.08691; the running sum: Milakov and Gimelshein 2018, arXiv:1805.02867.

    Examples
    --------
    One query, four keys in two tiles. A sum is relative to the largest score so far:

    >>> tiles = np.array([[1.0, 2.0], [4.0, 3.0]])
    >>> previous = tiles[0].max()
    >>> total = np.exp(tiles[0] - previous).sum()
    >>> print(previous, total.round(3))
    2.0 1.368
    >>> largest = max(previous, tiles[1].max())
    >>> total = total * np.exp(previous - largest) + np.exp(tiles[1] - largest).sum()
    >>> print(largest, total.round(3))
    4.0 1.553
    >>> print((largest + np.log(total)).round(3), np.log(np.exp(tiles).sum()).round(3))
    4.44 4.44
    """
    options = checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    rule = _rule(q, k, mask, bias, causal, *options)
    out = np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype, like=q)
    q, k, v = widen(q), widen(k), widen(v)
    lse = np.zeros(q.shape[:-1], q.dtype, like=q)
    for rows in _slices(0, q.shape[-2], _QUERIES):
        out[..., rows, :], lse[..., rows] = _attend(rule, q[..., rows, :], k, v, rows)
    return out, lse


def _attend(rule, q, k, v, rows):
    """Walk along the keys with the n queries in `rows`, keeping a running maximum and a running sum."""
    out = np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype, like=q)
    shift = total = np.zeros((*q.shape[:-1], 1), q.dtype, like=q)
    largest = total - np.inf
    for keys in rule.tiles(rows):
        _, scores = rule.scores(q, k, rows, keys)  # (*heads, n, w)
        previous, largest = largest, np.maximum(largest, scores.max(axis=-1, keepdims=True))
        shift = np.where(np.isfinite(largest), largest, 0)
        fade = np.exp(previous - shift)  # what was summed so far was relative to the previous maximum
        weights = np.exp(scores - shift)
        total = total * fade + weights.sum(axis=-1, keepdims=True)
        out = out * fade + weights @ repeat_heads(v[..., keys, :], q)
    empty = total == 0  # queries that saw no key
    total = np.where(empty, 1, total)
    return out / total, np.where(empty, -np.inf, shift + np.log(total))[..., 0]


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
    Differentiate `flash_attention` (algorithm 4 there); every option matters: lse gives the weights again.

    Returns
    -------
    d_q, d_k, d_v
        In the shapes and dtype of q, k, v; exactly 0 for a query that may attend to no key.
    """
    options = checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    gradients.attention(Array, q, k, v, d_out=d_out, out=out, lse=lse)
    rule = _rule(q, k, mask, bias, causal, *options)
    dtype, d_out, q, k, v, out = q.dtype, *(widen(x) for x in (d_out, q, k, v, out))
    d_q, d_k, d_v = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for rows in _slices(0, q.shape[-2], _QUERIES):
        row_side = (x[..., rows, :] for x in (d_out, q, out, lse[..., None]))
        d_q[..., rows, :] = _attend_backward(rule, *row_side, k, v, d_k, d_v, rows)
    return tuple(x.astype(dtype, copy=False) for x in (d_q, d_k, d_v))


def _attend_backward(rule, d_out, q, out, lse, k, v, d_k, d_v, rows):
    """Return d_q of the n queries in `rows`, and add their share to d_k and d_v."""
    heads = k.shape[:-2]
    norm, tiles = np.where(lse == -np.inf, 0, lse), rule.tiles(rows)  # (*heads, n, 1)
    if (abs(norm) > 16).any():  # its rounding shows in the weights: see what they sum to
        total = sum(np.exp(rule.scores(q, k, rows, x)[1] - norm).sum(axis=-1, keepdims=True) for x in tiles)
        rounded = abs(total - 1) <= 16 * np.finfo(q.dtype).eps * abs(norm)  # or lse is of more keys
        d_out = d_out / np.where(rounded, total, 1)
    row_sum = (d_out * out).sum(axis=-1, keepdims=True)  # Σ_j d_weights_j weights_j
    d_q = np.zeros_like(q)
    for keys in tiles:
        raw, scores = rule.scores(q, k, rows, keys)  # (*heads, n, w)
        weights = np.exp(scores - norm)  # those of the forward, made again
        d_v[..., keys, :] += repeat_heads_backward(weights.swapaxes(-1, -2) @ d_out, heads)
        d_weights = d_out @ repeat_heads(v[..., keys, :], q).swapaxes(-1, -2)  # out = weights @ v
        d_scores = weights * (d_weights - row_sum)  # weights = softmax(scores)
        if rule.softcap is not None:
            d_scores = cap_backward(d_scores, raw, rule.softcap)
        d_scores = d_scores * rule.scale  # scores = q kᵀ · scale
        d_q += d_scores @ repeat_heads(k[..., keys, :], q)
        d_k[..., keys, :] += repeat_heads_backward(d_scores.swapaxes(-1, -2) @ q, heads)
    return d_q


class _Rule(NamedTuple):
    """How a tile of scores comes about, and which of its keys are visible."""

    n_keys: int
    mask: Array | None  # (*heads, L, S), as is bias: broadcast views, which take no memory
    bias: Array | None
    left: int | None
    right: int | None
    offset: int
    scale: float
    softcap: float | None

    def tiles(self, rows: slice) -> list[slice]:
        """Cut the keys that any query in `rows` may see into tiles."""
        first, last = 0, self.n_keys
        if self.left is not None:
            first = max(first, rows.start + self.offset - self.left)
        if self.right is not None:
            last = min(last, rows.stop + self.offset + self.right)
        return _slices(first, last, _KEYS)

    def scores(self, q, k, rows, keys) -> tuple[Array, Array]:
        """Return a tile's scores as they are, and as softmax takes them: capped, biased, hidden."""
        raw = (q * self.scale) @ repeat_heads(k[..., keys, :], q).swapaxes(-1, -2)
        scores = cap(raw, self.softcap)
        if self.bias is not None:
            scores = scores + widen(self.bias[..., rows, keys])
        mask = None if self.mask is None else self.mask[..., rows, keys]
        offset = self.offset + rows.start - keys.start  # where the tile's first query stands among its keys
        window = self.left, self.right
        return raw, hide(scores, combine_masks(*raw.shape[-2:], mask, window=window, offset=offset, like=q))


def _rule(q, k, mask, bias, causal, window, offset, scale, softcap) -> _Rule:
    shape = (*q.shape[:-1], k.shape[-2])
    mask, bias = (x if x is None else np.broadcast_to(x, shape) for x in (mask, bias))
    left, right = (None, None) if window is None else window
    offset = shape[-1] - shape[-2] if offset is None else offset
    right = 0 if causal else right
    return _Rule(shape[-1], mask, bias, left, right, offset, scale_or_default(scale, q), softcap)


def _slices(first: int, last: int, step: int) -> list[slice]:
    return [slice(i, min(i + step, last)) for i in range(first, last, step)]
