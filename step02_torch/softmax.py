"""Softmax; a row that is -inf throughout gives weights of 0. Autograd does the backward."""

import torch
from jaxtyping import Float

from step02_torch.arrays import Array, is_known, widen


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

    Examples
    --------
    exp turns these three scores into 1, 2 and 5, which sum to 8; below, the whole Jacobian in 64ths, where
    row j is how weight j answers to each score:

    >>> scores = torch.tensor([1.0, 2.0, 5.0]).log()
    >>> print(softmax(scores))
    tensor([0.1250, 0.2500, 0.6250])
    >>> print((64 * torch.autograd.functional.jacobian(softmax, scores)).round())
    tensor([[  7.,  -2.,  -5.],
            [ -2.,  12., -10.],
            [ -5., -10.,  15.]])
    """
    wide = widen(scores)
    empty = wide.detach().amax(dim=axis, keepdim=True) == -torch.inf
    if is_known(empty) and not empty.any():  # spares two copies
        return wide.softmax(dim=axis).to(scores.dtype)
    return wide.masked_fill(empty, 0).softmax(dim=axis).masked_fill(empty, 0).to(scores.dtype)
