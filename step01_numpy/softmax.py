"""Softmax, forward and backward; a row that is -inf throughout gives weights of 0."""

import numpy as np
from jaxtyping import Float

from step01_numpy.arrays import Array, widen
from step01_numpy.common.support import gradients


def softmax(scores: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """
    Turn scores into weights: exp(scores - max) / sum(exp(scores - max)).

    The maximum changes nothing but keeps exp in range.

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

    Examples
    --------
    exp turns these three scores into 1, 2 and 5, which sum to 8:

    >>> print(softmax(np.log([1.0, 2.0, 5.0])))
    [0.125 0.25  0.625]
    """
    wide = widen(scores)
    largest = wide.max(axis=axis, keepdims=True)
    shifted = wide - np.where(np.isfinite(largest), largest, 0)
    exp = np.exp(shifted, out=shifted)  # in place: for a large array, new memory costs more than exp
    total = exp.sum(axis=axis, keepdims=True)
    exp /= np.maximum(total, 1)  # the largest score adds 1 to it: only an empty row's total is below
    return exp.astype(scores.dtype, copy=False)


def softmax_backward(
    d_weights: Float[Array, "*shape"], weights: Float[Array, "*shape"], axis: int = -1
) -> Float[Array, "*shape"]:
    """
    Differentiate `softmax`: d weights_j / d scores_i = weights_j (δ_ij - weights_i), hence what is returned.

    It sums to 0 along `axis`, since moving all scores together changes no weight.

    Examples
    --------
    The whole Jacobian at weights 1/8, 2/8, 5/8, in 64ths; row j is how weight j answers to each score:

    >>> weights = np.array([[1, 2, 5]] * 3) / 8
    >>> print(64 * softmax_backward(np.eye(3), weights))
    [[  7.  -2.  -5.]
     [ -2.  12. -10.]
     [ -5. -10.  15.]]
    """
    gradients.like("d_weights", d_weights, weights)
    wide = widen(weights)
    row_sum = (d_weights * wide).sum(axis=axis, keepdims=True)
    return (wide * (d_weights - row_sum)).astype(weights.dtype, copy=False)
