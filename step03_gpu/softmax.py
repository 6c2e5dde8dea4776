"""
Softmax on the device, forward and backward; a row of -inf throughout gives weights of 0.

Each line is one kernel that reads and writes the whole array: in place where nothing else needs it.
"""

from jaxtyping import Float

from step01_numpy.common.support import gradients
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
    wide = widen(scores)
    largest = wide.max(axis=axis, keepdims=True)
    exp = wide - xp.where(xp.isfinite(largest), largest, 0)
    xp.exp(exp, out=exp)
    total = exp.sum(axis=axis, keepdims=True)
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
    gradients.like("d_weights", d_weights, weights)
    wide = widen(weights)
    row_sum = (d_weights * wide).sum(axis=axis, keepdims=True)
    d_scores = d_weights - row_sum
    d_scores *= wide
    return d_scores.astype(weights.dtype, copy=False)
