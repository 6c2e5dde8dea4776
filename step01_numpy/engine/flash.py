"""Flash attention by all of the host's cores: threads, warm buffers, and no maximum where none is needed."""

from functools import partial
from math import ceil, prod

import numpy as np
from jaxtyping import Bool, Float

from step01_numpy.arrays import widen
from step01_numpy.attention import Attend, cap_backward
from step01_numpy.common.support import checks, gradients, host
from step01_numpy.engine.flash_products import matmul, transposed_matmul
from step01_numpy.engine.flash_sums import heads_of, is_far, raise_largest, relative_scores, sum_again
from step01_numpy.engine.flash_tiles import as_columns, by_group, make_rule, slices, with_ones

__all__ = ["FLASH"]

# In nats: beyond, float32 would lose digits that it keeps when the largest score is taken off first.
_REACH = 27.0
_TAME = 1e-20, 1e15  # values of such size, times e^±_REACH, neither overflow nor lose digits
_WORTH_THREADS, _LONG = 1 << 17, 512  # scores of a head; queries, or keys, of a piece
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
    dtype = q.dtype
    q, k, v = widen(q), widen(k), widen(v)
    out, lse = np.empty((*q.shape[:-1], v.shape[-1]), q.dtype), np.empty(q.shape[:-1], q.dtype)
    rule = make_rule(q, k, mask, bias, causal, *options)
    grouped = by_group(q, k), by_group(out, k), by_group(lse, k, n_axes=1)
    length, at_most = _division(q.shape[-2], k.shape[-2], prod(q.shape[:-2]))
    blocks = slices(0, q.shape[-2], min(rule.plan.rows, length))[::-1]
    # With `causal` the longest blocks come first, the crumbs last; and threads begin with a head each.
    tasks = [(head, rows) for rows in blocks for head in np.ndindex(grouped[0].shape[:-2])]
    host.share(partial(_forward, rule, *grouped, k, v, {}), tasks, at_most)
    return out.astype(dtype, copy=False), lse


def _division(length, other, n_heads) -> tuple[int, int | None]:
    """
    Return how long the pieces are that heads are cut into, and how many threads may share them: None for any.

    There shall be pieces for eight threads, if they are long enough. Where heads are small, threads would but
    wait for each other's Python. What comes out does not depend on how many threads there are.
    """
    if length * other < _WORTH_THREADS:
        return length, 1
    return max(_LONG, ceil(length * n_heads / 8)), None


def _forward(rule, q, out, lse, k, v, longest, tasks) -> None:
    """Attend with one block of queries after another; every thread runs this, all on the same tasks."""
    plan = rule.plan
    buffers = plan.buffer(q.dtype, plan.keys), np.empty(plan.rows * v.shape[-1], q.dtype)
    for head, rows in tasks:
        kv_head = head[:-1]
        if kv_head not in longest:
            longest[kv_head] = _longest(k[kv_head]) if _tame(v[kv_head]) else np.inf
        query_side = q[head][rows], out[head][rows], lse[head][rows]
        _attend(rule, head, rows, *query_side, k[kv_head], v[kv_head], longest[kv_head], buffers)


def _attend(rule, head, block, q, out, lse, k, v, longest, buffers) -> None:
    """Walk along the keys with a block of queries, keeping a running maximum and a running sum."""
    plan, bounded = rule.plan, _bounded(rule, q, longest)
    exp = plan.exp if bounded else np.exp
    q = q * rule.scale  # (n, D)
    out[:], total = 0, np.zeros(len(q), q.dtype)
    largest = np.full(len(q), 0 if bounded else -np.inf, q.dtype)
    ones = np.ones(len(k), q.dtype)
    for rows, keys in rule.tiles(block, plan.keys):
        own = slice(rows.start - block.start, rows.stop - block.start)  # the rows' places in the block
        scores = rule.scores(q[own], k[keys].T, head, rows, keys, buffers[0])  # (n, w)
        if bounded:  # exp takes such scores as they are: no maximum is needed
            weights = exp(scores, out=scores)
            rule.hide(weights, 0, head, rows, keys)
        else:
            rule.hide(scores, -np.inf, head, rows, keys)
            shift, fade = raise_largest(largest[own], scores.max(axis=1))
            total[own] *= fade
            out[own] *= fade[:, None]
            scores -= shift[:, None]
            weights = exp(scores, out=scores)
        total[own] += weights @ ones[: weights.shape[1]]  # faster than weights.sum(axis=1)
        out[own] += matmul(weights, v[keys], buffers[1], plan.strip)
    empty = total == 0  # queries that saw no key
    total[empty] = 1
    out /= total[:, None]
    lse[:] = np.where(empty, -np.inf, largest + np.log(total))


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
    rule = make_rule(q, k, mask, bias, causal, *options).transposed(q.shape[-2])
    d_out, q, out = (by_group(x, k) for x in (d_out, q, out))
    norm = by_group(np.where(lse == -np.inf, 0, lse), k, n_axes=1)
    # A task is a key/value head or, where heads are few, a piece of one, which gets a d_q of its own: tasks
    # never add to the same numbers, and the result does not depend on which thread was faster.
    length, at_most = _division(k.shape[-2], q.shape[-2], prod(kv_heads))
    pieces = slices(0, k.shape[-2], length)
    tasks = [(kv_head, *piece) for piece in enumerate(pieces) for kv_head in np.ndindex(kv_heads)]
    share = partial(host.share, tasks=tasks, at_most=at_most)
    far = sum_again(rule, d_out, q, out, norm, k, v, len(pieces), share) if is_far(norm) else None
    d_q, d_k, d_v = (np.empty(s, q.dtype) for s in ((len(pieces), *q.shape), k.shape, v.shape))
    share(partial(_backward, rule, (d_out, q, out, norm), far, k, v, d_q, d_k, d_v))
    d_q = d_q.sum(axis=0) if len(pieces) > 1 else d_q
    return tuple(x.astype(dtype, copy=False) for x in (d_q.reshape(shape), d_k, d_v))


def _backward(rule, query_side, far, k, v, d_q, d_k, d_v, tasks) -> None:
    """Differentiate one piece of a key/value head after another."""
    plan = rule.plan
    widths = plan.keys_backward, k.shape[-1], v.shape[-1]
    buffers = [plan.buffer(k.dtype, *widths) for _ in range(2)]
    for kv_head, number, piece in tasks:
        key_side = [x[kv_head] for x in (k, v, d_k, d_v)]
        d_k[kv_head][piece], d_v[kv_head][piece], d_q[number][kv_head] = 0, 0, 0
        for head in heads_of(d_q[number], kv_head):
            d_out, q, out, norm = (x[head] for x in query_side)
            sums = (d_out, None, np.vecdot(d_out, out)) if far is None else (x[head] for x in far)
            args = rule, head, piece, q, norm, *sums, *key_side, d_q[number][head], buffers
            with np.errstate(over="ignore"):  # e^x of what is hidden
                _attend_backward(*args)
            d_q[number][head] *= rule.scale
        d_k[kv_head][piece] *= rule.scale


def _attend_backward(rule, head, piece, q, norm, d_out, largest, row_sum, k, v, d_k, d_v, d_q, buffers):
    """
    Add what a head's queries and a piece of the keys give to d_q and d_k, still without the scale, and d_v.

    The tiles are those of the transposed scores, keys by queries: four of the five products are faster so.
    """
    plan = rule.plan
    exp = plan.exp if largest is None else np.exp
    k_ones, v_ones = with_ones(k), with_ones(v)
    for block in slices(piece.start, piece.stop, plan.rows):
        for keys, queries in rule.tiles(block, plan.keys_backward):
            place = head, keys, queries
            q_t = as_columns(q[queries], -norm[queries], rule.scale)
            scores = relative_scores(rule, k_ones[keys], q_t, *place, buffers[0])  # (n, w)
            if largest is not None:
                scores -= largest[queries]
            weights = exp(scores, out=scores)  # those of the forward, made again
            rule.hide(weights, 0, *place)
            d_v[keys] += matmul(weights, d_out[queries], buffers[1], plan.strip)  # out = weights @ v
            d_out_t = as_columns(d_out[queries], -row_sum[queries])
            d_scores = matmul(v_ones[keys], d_out_t, buffers[1], plan.strip)  # d_weights - row_sum
            d_scores *= weights  # weights = softmax(scores)
            if rule.softcap is not None:
                d_scores = cap_backward(d_scores, k[keys] @ q_t[:-1], rule.softcap)
            d_k[keys] += matmul(d_scores, q[queries], buffers[0], plan.strip)  # scores = q kᵀ · scale
            d_q[queries] += transposed_matmul(d_scores, k[keys], buffers[0], plan.strip)


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
