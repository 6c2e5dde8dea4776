"""Flash attention by all of the host's cores: threads, warm buffers, and no maximum where none is needed."""

from functools import partial
from math import ceil, prod

import numpy as np
from jaxtyping import Bool, Float

from step01_numpy.arrays import widen
from step01_numpy.attention import Attend, cap_backward
from step01_numpy.common.support import checks, gradients, host
from step01_numpy.engine.flash_plan import plan
from step01_numpy.engine.flash_sums import (
    blocks_of,
    is_far,
    raise_largest,
    relative_scores,
    sum_again,
    with_norm,
)
from step01_numpy.engine.flash_tiles import as_columns, by_group, make_rule, matmul, slices

__all__ = ["FLASH"]

# In nats: beyond, float32 would lose digits that it keeps when the largest score is taken off first.
_REACH = 27.0
_TAME = 1e-20, 1e15  # values of such size, times e^±_REACH, neither overflow nor lose digits
_FAINT = 1e-15  # a vector may be as long as this where its square is found to be 0


def attend(
    q: Float[np.ndarray, "*heads L D"],
    k: Float[np.ndarray, "*kv_heads S D"],
    v: Float[np.ndarray, "*kv_heads S D_v"],
    mask: Bool[np.ndarray, "..."] | None = None,
    *,
    bias: Float[np.ndarray, "..."] | None = None,
    causal: bool = False,
    window: tuple | None = None,
    offset: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> tuple[Float[np.ndarray, "*heads L D_v"], Float[np.ndarray, "*heads L"]]:
    """
    Compute `flash_attention` on the host.

    Parameters
    ----------
    q, k, v, mask, bias, causal, window, offset, scale, softcap
        As there, NumPy's own arrays.

    Returns
    -------
    out : (*heads, L, D_v)
    lse : (*heads, L)
    """
    options = checks.attention(np.ndarray, q, k, v, mask, bias, window, offset, scale, softcap)
    out = np.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    q, k, v = widen(q), widen(k), widen(v)
    lse = np.empty(q.shape[:-1], q.dtype)
    rule = make_rule(q, k, mask, bias, causal, *options)
    grouped = by_group(q, k), by_group(out, k), by_group(lse, k, n_axes=1)
    blocks = slices(0, q.shape[-2], plan().rows)[::-1]
    # With `causal` the longest blocks come first, the crumbs last; and threads begin with a head each.
    tasks = [(head, rows) for rows in blocks for head in np.ndindex(grouped[0].shape[:-2])]
    host.share(partial(_forward, rule, *grouped, k, v, {}), tasks)
    return out, lse


def _forward(rule, q, out, lse, k, v, key_sides, tasks) -> None:
    """Attend with one block of queries after another; every thread runs this, all on the same tasks."""
    buffer = np.empty(plan().rows * plan().keys, q.dtype)
    for head, rows in tasks:
        kv_head = head[:-1]
        if kv_head not in key_sides:
            longest = _longest(k[kv_head]) if _tame(v[kv_head]) else np.inf
            key_sides[kv_head] = np.ascontiguousarray(k[kv_head]).T, v[kv_head], longest
        block = _attend(rule, head, rows, q[head][rows], *key_sides[kv_head], buffer)
        out[head][rows], lse[head][rows] = block


def _attend(rule, head, block, q, k_t, v, longest, buffer):
    """Walk along the keys with a block of queries, keeping a running maximum and a running sum."""
    bounded = _bounded(rule, q, longest)
    exp = plan().exp if bounded else np.exp
    q = q * rule.scale  # (n, D)
    out, total = np.zeros((len(q), v.shape[-1]), q.dtype), np.zeros(len(q), q.dtype)
    largest = np.full(len(q), 0 if bounded else -np.inf, q.dtype)
    ones = np.ones(plan().keys, q.dtype)
    for rows, keys in rule.tiles(block, plan().keys, plan().edge):
        own = slice(rows.start - block.start, rows.stop - block.start)  # the rows' places in the block
        scores = rule.scores(q[own], k_t[:, keys], head, rows, keys, buffer)  # (n, w)
        if bounded:  # exp takes such scores as they are: no maximum is needed
            weights = exp(scores, out=scores)
            rule.hide(weights, 0, head, rows, keys)
        else:
            rule.hide(scores, -np.inf, head, rows, keys)
            shift, fade = raise_largest(largest[own], scores)
            total[own] *= fade
            out[own] *= fade[:, None]
            scores -= shift[:, None]
            weights = exp(scores, out=scores)
        total[own] += weights @ ones[: weights.shape[1]]  # faster than weights.sum(axis=1)
        out[own] += weights @ v[keys]
    empty = total == 0  # queries that saw no key
    total[empty] = 1
    out /= total[:, None]
    return out, np.where(empty, -np.inf, largest + np.log(total))


def attend_backward(
    d_out: Float[np.ndarray, "*heads L D_v"],
    q: Float[np.ndarray, "*heads L D"],
    k: Float[np.ndarray, "*kv_heads S D"],
    v: Float[np.ndarray, "*kv_heads S D_v"],
    out: Float[np.ndarray, "*heads L D_v"],
    lse: Float[np.ndarray, "*heads L"],
    mask: Bool[np.ndarray, "..."] | None = None,
    *,
    bias: Float[np.ndarray, "..."] | None = None,
    causal: bool = False,
    window: tuple | None = None,
    offset: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> tuple[
    Float[np.ndarray, "*heads L D"], Float[np.ndarray, "*kv_heads S D"], Float[np.ndarray, "*kv_heads S D_v"]
]:
    """
    Compute `flash_attention_backward` on the host.

    Returns
    -------
    d_q, d_k, d_v
        In the shapes and dtype of q, k, v.
    """
    options = checks.attention(np.ndarray, q, k, v, mask, bias, window, offset, scale, softcap)
    gradients.attention(np.ndarray, q, k, v, d_out=d_out, out=out, lse=lse)
    dtype, shape, kv_heads = q.dtype, q.shape, k.shape[:-2]
    d_out, q, k, v, out = (widen(x) for x in (d_out, q, k, v, out))
    rule = make_rule(q, k, mask, bias, causal, *options)
    d_out, q, out = (by_group(x, k) for x in (d_out, q, out))
    norm = by_group(np.where(lse == -np.inf, 0, lse), k, n_axes=1)
    # A task is a key/value head or, where heads are few, a piece of one, which gets a d_q of its own: tasks
    # never add to the same numbers, and the result does not depend on which thread was faster.
    n_pieces = min(ceil(8 / prod(kv_heads)), ceil(k.shape[-2] / plan().keys))
    pieces = slices(0, k.shape[-2], ceil(k.shape[-2] / n_pieces))
    tasks = [(kv_head, *piece) for piece in enumerate(pieces) for kv_head in np.ndindex(kv_heads)]
    row_side = d_out, q, norm, np.zeros_like(norm), np.vecdot(d_out, out)
    if is_far(norm):
        row_side = sum_again(rule, plan(), *row_side, k, v, len(pieces), tasks)
    d_q, d_k, d_v = (np.zeros(s, q.dtype) for s in ((len(pieces), *q.shape), k.shape, v.shape))
    host.share(partial(_backward, rule, *row_side, k, v, d_q, d_k, d_v), tasks)
    return tuple(x.astype(dtype, copy=False) for x in (d_q.sum(axis=0).reshape(shape), d_k, d_v))


def _backward(rule, d_out, q, norm, largest, row_sum, k, v, d_q, d_k, d_v, tasks) -> None:
    """Differentiate one piece of a key/value head after another."""
    buffers = np.empty((2, plan().rows * plan().keys_backward), q.dtype)
    for kv_head, number, piece in tasks:
        key_side = [x[kv_head] for x in (k, v, d_k, d_v)]
        columns = as_columns(k[kv_head]), _longest(k[kv_head]), as_columns(v[kv_head])
        for head, rows in blocks_of(q, kv_head, plan().rows):
            row_side = (x[head][rows] for x in (d_out, q, norm, largest, row_sum))
            args = rule, head, rows, piece, *row_side, *columns, *key_side, buffers
            d_q[number][head][rows] = _attend_backward(*args)
        d_k[kv_head][piece] *= rule.scale


def _attend_backward(
    rule, head, block, piece, d_out, q, norm, largest, row_sum, k_t, longest, v_t, k, v, d_k, d_v, buffers
):
    """Return d_q of a block of queries; add their share to d_k, still without the scale, and to d_v."""
    far = is_far(norm)
    bounded = not far and _bounded(rule, q, longest)
    exp = plan().exp if bounded else np.exp
    shifted = with_norm(q, norm, rule.scale)  # (n, D + 1)
    d_out_shifted = np.concatenate([d_out, -row_sum[:, None]], axis=1)
    d_q = np.zeros_like(q)
    for rows, keys in rule.tiles(block, plan().keys_backward, plan().edge, piece):
        own = slice(rows.start - block.start, rows.stop - block.start)
        scores = relative_scores(rule, shifted[own], k_t[:, keys], head, rows, keys, buffers[0])  # (n, w)
        if far:
            scores -= largest[own, None]
        if not bounded:
            rule.hide(scores, -np.inf, head, rows, keys)
        weights = exp(scores, out=scores)  # those of the forward, made again
        if bounded:
            rule.hide(weights, 0, head, rows, keys)
        d_v[keys] += weights.T @ d_out[own]  # out = weights @ v
        d_scores = matmul(d_out_shifted[own], v_t[:, keys], buffers[1])  # d_weights - row_sum
        d_scores *= weights  # weights = softmax(scores)
        if rule.softcap is not None:
            d_scores = cap_backward(d_scores, shifted[own, :-1] @ k_t[:-1, keys], rule.softcap)
        d_q[own] += d_scores @ k[keys]  # scores = q kᵀ · scale
        d_k[keys] += d_scores.T @ q[own]
    return d_q * rule.scale


def _bounded(rule, q, longest) -> bool:
    """Whether no score can leave ±_REACH, by |q·k| <= |q| |k|."""
    return rule.bias is None and _longest(q) * longest * abs(rule.scale) < _REACH


def _longest(x) -> float:
    with np.errstate(over="ignore"):  # then it is inf, and nothing is bounded
        return max(float(np.vecdot(x, x).max()) ** 0.5, _FAINT)


def _tame(v) -> bool:
    """Whether every value, each for itself, may be summed with weights of e^±_REACH."""
    sizes = abs(v)
    smallest = sizes.min() or np.where(sizes == 0, 1, sizes).min()  # a 0 takes no harm
    return bool(_TAME[0] < smallest and sizes.max() < _TAME[1])


FLASH = Attend(attend, attend_backward)
