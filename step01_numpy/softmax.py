"""Softmax and log-sum-exp, forward and backward; a row that is -inf throughout gives weights of 0."""

import numpy as np
from jaxtyping import Float

from step01_numpy.arrays import Array, widen


def softmax(scores: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """
    Turn scores into weights.

    Parameters
    ----------
    scores : (...)
        -inf hides an entry.
    axis : int
        The axis over which the weights sum to 1.

    Returns
    -------
    weights : (...)
        At least 0; sum to 1 along `axis`, or to 0 where every score is -inf.

    Notes
    -----
    weights = exp(scores - max) / sum(exp(scores - max)). The maximum changes nothing but keeps exp in range.
    """
    exp, total, _ = _exp_and_sum(widen(scores), axis)
    exp /= np.maximum(total, 1)  # the largest score adds 1 to it: only an empty row's total is below
    return exp.astype(scores.dtype, copy=False)


def softmax_backward(
    d_weights: Float[Array, "*shape"], weights: Float[Array, "*shape"], axis: int = -1
) -> Float[Array, "*shape"]:
    """
    Differentiate `softmax`.

    Returns
    -------
    d_scores : (...)
        Sums to 0 along `axis`, since moving all scores together changes no weight.

    Notes
    -----
    d weights_j / d scores_i = weights_j (δ_ij - weights_i), hence
    d_scores = weights · (d_weights - Σ_j d_weights_j weights_j).
    """
    wide = widen(weights)
    row_sum = (d_weights * wide).sum(axis=axis, keepdims=True)
    return (wide * (d_weights - row_sum)).astype(weights.dtype, copy=False)


def log_sum_exp(scores: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """
    Return log Σ exp(scores) along `axis`: the number that normalises a row, in nats.

    Returns
    -------
    lse : scores' shape without `axis`
        -inf where every score is -inf. Of 16-bit scores it is float32: what subtracts it needs the digits.
    """
    _, total, largest = _exp_and_sum(widen(scores), axis)
    empty = total == 0
    lse = largest + np.log(np.where(empty, 1, total))
    return np.where(empty, -np.inf, lse).squeeze(axis)


def log_sum_exp_backward(
    d_lse: Float[Array, "..."], scores: Float[Array, "..."], lse: Float[Array, "..."], axis: int = -1
) -> Float[Array, "..."]:
    """
    Differentiate `log_sum_exp`.

    Notes
    -----
    d lse / d scores_i = exp(scores_i - lse) = weights_i. A row of -inf has lse = -inf, read as 0: its
    gradients are exactly 0.
    """
    finite = np.where(lse == -np.inf, 0, lse)
    weights = np.exp(widen(scores) - np.expand_dims(finite, axis))
    return (np.expand_dims(d_lse, axis) * weights).astype(scores.dtype, copy=False)


def _exp_and_sum(scores, axis):
    """Return exp(scores - largest), its sum, and the largest score, or 0 where that is not finite."""
    largest = scores.max(axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    exp = scores - largest
    np.exp(exp, out=exp)  # in place: for a large array, fetching new memory costs more than exp
    return exp, exp.sum(axis=axis, keepdims=True), largest
