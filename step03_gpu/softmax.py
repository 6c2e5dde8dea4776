"""
Softmax and log-sum-exp on the device, forward and backward; a row of -inf throughout gives weights of 0.

Each line is one kernel that reads and writes the whole array: in place where nothing else needs it.
"""

from jaxtyping import Float

from step03_gpu.arrays import Array, array_module, widen


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
    xp = array_module(scores)
    exp, total, _ = _exp_and_sum(widen(scores), axis)
    exp /= xp.where(total == 0, 1, total)
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
    d_scores = d_weights - row_sum
    d_scores *= wide
    return d_scores.astype(weights.dtype, copy=False)


def log_sum_exp(scores: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """
    Return log Σ exp(scores) along `axis`: the number that normalises a row, in nats.

    Returns
    -------
    lse : scores' shape without `axis`
        -inf where every score is -inf. Of 16-bit scores it is float32: what subtracts it needs the digits.
    """
    xp = array_module(scores)
    _, total, largest = _exp_and_sum(widen(scores), axis)
    empty = total == 0
    lse = largest + xp.log(xp.where(empty, 1, total))
    return xp.where(empty, -xp.inf, lse).squeeze(axis)


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
    xp = array_module(scores)
    finite = xp.where(lse == -xp.inf, 0, lse)
    weights = xp.exp(widen(scores) - xp.expand_dims(finite, axis))
    return (xp.expand_dims(d_lse, axis) * weights).astype(scores.dtype)


def _exp_and_sum(scores, axis):
    """Return exp(scores - largest), its sum, and the largest score, or 0 where that is not finite."""
    xp = array_module(scores)
    largest = scores.max(axis=axis, keepdims=True)
    largest = xp.where(xp.isfinite(largest), largest, 0)
    exp = scores - largest
    xp.exp(exp, out=exp)
    return exp, exp.sum(axis=axis, keepdims=True), largest
