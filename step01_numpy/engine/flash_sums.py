"""What flash attention's lse has no digits for: the rows' sums once more, where lse is large."""

from functools import partial

import numpy as np

from step01_numpy.engine.flash_products import matmul
from step01_numpy.engine.flash_tiles import as_columns, slices, with_ones

_FAR = 16.0  # nats; below, half a unit in the last place of lse is at most 4 eps, and so is a weight's error
_ROUNDING = 16  # eps · |lse|: by so much may two ways of summing a row differ


def sum_again(rule, d_out, q, out, norm, k, v, n_pieces, share):
    """
    Find what a large lse cannot hold: a row's largest score, less lse, and the sums relative to it.

    Of a sum behind a score of 1e4 three digits have room, behind -1e9 none; and tiles of another shape round
    such scores otherwise. Rows whose lse is of more keys than these, as after merging, are left as they are:
    there the sum is another by more than rounding. So are those whose lse is small.

    Returns
    -------
    d_out, largest, row_sum
        d_out divided by the sum, as weights would be, and row_sum = Σ_j d_weights_j weights_j with it.
    """
    found = np.zeros((3, n_pieces, *norm.shape), q.dtype)  # the largest score, and two sums
    found[0] = -np.inf
    share(partial(_sum, rule, d_out, q, norm, k, v, found))
    shift = found[0].max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # rows that see no key, and those left out
        total, weighted = (found[1:] * np.exp(found[0] - shift)).sum(axis=1)
        own = abs(shift + np.log(total)) <= _ROUNDING * np.finfo(q.dtype).eps * abs(norm)
    total = np.where(own, total, 1)
    row_sum = np.where(own, weighted / total, np.vecdot(d_out, out)) / total
    return d_out / total[..., None], np.where(own, shift, 0), row_sum


def _sum(rule, d_out, q, norm, k, v, found, tasks) -> None:
    """Sum one piece of a key/value head after another, in the tiles of the backward: keys by queries."""
    plan = rule.plan
    buffers = [plan.buffer(q.dtype, plan.keys_backward) for _ in range(2)]
    for kv_head, number, piece in tasks:
        k_ones, own_v = with_ones(k[kv_head]), v[kv_head]
        for head in heads_of(q, kv_head):
            if not is_far(norm[head]):
                continue
            largest, total, weighted = (x[number][head] for x in found)
            for block in slices(piece.start, piece.stop, plan.rows):
                for keys, queries in rule.tiles(block, plan.keys_backward):
                    place = head, keys, queries
                    q_t = as_columns(q[head][queries], -norm[head][queries], rule.scale)
                    scores = relative_scores(rule, k_ones[keys], q_t, *place, buffers[0])
                    rule.hide(scores, -np.inf, *place)
                    shift, fade = raise_largest(largest[queries], scores.max(axis=0))
                    scores -= shift
                    weights = np.exp(scores, out=scores)
                    d_weights = matmul(own_v[keys], d_out[head][queries].T, buffers[1], plan.strip)
                    total[queries] = total[queries] * fade + weights.sum(axis=0, dtype=np.float64)
                    d_weights *= weights
                    weighted[queries] = weighted[queries] * fade + d_weights.sum(axis=0, dtype=np.float64)


def raise_largest(largest, found):
    """Raise the rows' running maximum to a tile's: return what to take off its scores, and sums' factor."""
    previous, largest[:] = largest.copy(), np.maximum(largest, found)
    shift = np.where(np.isfinite(largest), largest, 0)
    return shift, np.exp(previous - shift)  # what was summed so far was relative to the previous maximum


def relative_scores(rule, k_ones, q_t, *place) -> np.ndarray:
    """Return a tile's scores less the norm of its queries, nothing hidden yet: [k, 1] [q, -norm]ᵀ."""
    if rule.softcap is None and rule.bias is None:
        return rule.scores(k_ones, q_t, *place)
    scores = rule.scores(k_ones[:, :-1], q_t[:-1], *place)
    scores += q_t[-1]
    return scores


def is_far(norm) -> bool:
    """Whether some row's lse is so large that its rounding would show in the weights."""
    return bool((abs(norm) >= _FAR).any())


def heads_of(q, kv_head) -> list:
    """Return the query heads that share a key/value head."""
    return [(*kv_head, i) for i in range(q.shape[-3])]
