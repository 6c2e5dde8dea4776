"""Softmax and log-sum-exp; a row that is -inf throughout gives weights of 0. Autograd does the backward."""

import torch
from jaxtyping import Float

from step02_torch.arrays import Array, widen


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
        At least 0; sum to 1 along `axis`, or to 0 where all are -inf (`torch.softmax` gives NaN there).

    Notes
    -----
    weights = exp(scores - max) / sum(exp(scores - max)). A row of -inf throughout passes as one of zeros.
    """
    wide = widen(scores)
    empty = wide.detach().amax(dim=axis, keepdim=True) == -torch.inf
    if not empty.any():
        return wide.softmax(dim=axis).to(scores.dtype)
    return wide.masked_fill(empty, 0).softmax(dim=axis).masked_fill(empty, 0).to(scores.dtype)


def log_sum_exp(scores: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """
    Return log Σ exp(scores) along `axis`: the number that normalises a row, in nats.

    Returns
    -------
    lse : scores' shape without `axis`
        -inf where every score is -inf, with gradients of 0. Of 16-bit scores it is float32.
    """
    _, total, largest = _exp_and_sum(widen(scores), axis)
    empty = total == 0
    lse = largest + total.masked_fill(empty, 1).log()
    return lse.masked_fill(empty, -torch.inf).squeeze(axis)


def _exp_and_sum(scores, axis):
    """Return exp(scores - largest), its sum, and the largest score, or 0 where that is not finite."""
    largest = scores.detach().amax(dim=axis, keepdim=True)  # it cancels out, so it needs no gradient
    largest = largest.masked_fill(~largest.isfinite(), 0)
    exp = (scores - largest).exp()
    return exp, exp.sum(dim=axis, keepdim=True), largest
