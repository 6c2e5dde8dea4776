"""What flash attention's lse has no digits for: the rows' sums once more, where lse is large."""

from functools import partial

import numpy as np

from step01_numpy.common.support import host
from step01_numpy.engine.flash_tiles import as_columns, matmul, slices

_FAR = 16.0  # nats; below, half a unit in the last place of lse is at most 4 eps, and so is a weight's error
_ROUNDING = 16  # eps · |lse|: by so much may two ways of summing a row differ


def sum_again(rule, plan, d_out, q, norm, largest, row_sum, k, v, n_pieces, tasks):
    """
    Find what a large lse cannot hold: a row's largest score, less lse, and the sums relative to it.

    Of a sum behind a score of 1e4 three digits have room, behind -1e9 none; and tiles of another shape round
    such scores otherwise. Rows whose lse is of more keys than these, as after merging, are left as they are:
    there the sum is another by more than rounding. So are those whose lse is small.

    Returns
    -------
    d_out, q, norm, largest, row_sum
        d_out divided by the sum, as weights would be, and row_sum = Σ_j d_weights_j weights_j with it.
    """
    found = np.zeros((3, n_pieces, *norm.shape), q.dtype)  # the largest score, and two sums
    found[0] = -np.inf
    host.share(partial(_sum, rule, plan, d_out, q, norm, k, v, found), tasks)
    shift = found[0].max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # rows that see no key, and those left out
        total, weighted = (found[1:] * np.exp(found[0] - shift)).sum(axis=1)
        own = abs(shift + np.log(total)) <= _ROUNDING * np.finfo(q.dtype).eps * abs(norm)
    total = np.where(own, total, 1)
    row_sum = np.where(own, weighted / total, row_sum) / total
    return d_out / total[..., None], q, norm, np.where(own, shift, 0), row_sum


def _sum(rule, plan, d_out, q, norm, k, v, found, tasks) -> None:
    """Sum one piece of a key/value head after another, in the tiles of the backward."""
    buffers = np.empty((2, plan.rows * plan.keys_backward), q.dtype)
    for kv_head, number, piece in tasks:
        k_t, v_t = as_columns(k[kv_head]), as_columns(v[kv_head])[:-1]
        for head, block in blocks_of(q, kv_head, plan.rows):
            if not is_far(norm[head][block]):
                continue
            largest, total, weighted = (x[number][head][block] for x in found)
            shifted = with_norm(q[head][block], norm[head][block], rule.scale)
            for rows, keys in rule.tiles(block, plan.keys_backward, plan.edge, piece):
                own = slice(rows.start - block.start, rows.stop - block.start)
                scores = relative_scores(rule, shifted[own], k_t[:, keys], head, rows, keys, buffers[0])
                rule.hide(scores, -np.inf, head, rows, keys)
                shift, fade = raise_largest(largest[own], scores)
                scores -= shift[:, None]
                weights = np.exp(scores, out=scores)
                d_weights = matmul(d_out[head][rows], v_t[:, keys], buffers[1])
                total[own] = total[own] * fade + weights.sum(axis=1)
                weighted[own] = weighted[own] * fade + np.vecdot(weights, d_weights)


def raise_largest(largest, scores):
    """Raise the rows' running maximum to a tile's: return what to take off its scores, and sums' factor."""
    previous, largest[:] = largest.copy(), np.maximum(largest, scores.max(axis=1))
    shift = np.where(np.isfinite(largest), largest, 0)
    return shift, np.exp(previous - shift)  # what was summed so far was relative to the previous maximum


def with_norm(q, norm, scale) -> np.ndarray:
    """Return [q, -norm], scaled: times [k, 1] it is the scores with the norm taken off."""
    return np.concatenate([q * scale, -norm[:, None]], axis=1)


def relative_scores(rule, shifted, k_t, *place) -> np.ndarray:
    """Return a tile's scores less its rows' norm, nothing hidden yet."""
    if rule.softcap is None and rule.bias is None:
        return rule.scores(shifted, k_t, *place)
    scores = rule.scores(shifted[:, :-1], k_t[:-1], *place)
    scores += shifted[:, -1:]
    return scores


def is_far(norm) -> bool:
    """Whether some row's lse is so large that its rounding would show in the weights."""
    return bool((abs(norm) >= _FAR).any())


def blocks_of(q, kv_head, size) -> list:
    """Cut the queries of the heads that share a key/value head into blocks: (head, rows) of each."""
    heads = [(*kv_head, i) for i in range(q.shape[-3])]
    return [(head, rows) for head in heads for rows in slices(0, q.shape[-2], size)]
