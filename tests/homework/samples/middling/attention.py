"""Attention by its formula; the soft cap and heads in groups are left for later."""

import numpy as np

from step01_numpy.masks import combine_masks, hide
from step01_numpy.softmax import softmax


def scaled_dot_product_attention(
    q, k, v, mask=None, *, bias=None, causal=False, window=None, offset=None, scale=None, softcap=None
):
    scale = 1 / np.sqrt(q.shape[-1]) if scale is None else scale
    scores = scale * q @ np.swapaxes(k, -1, -2)
    if bias is not None:
        scores = scores + bias
    allowed = combine_masks(*scores.shape[-2:], mask, causal=causal, window=window, offset=offset, like=q)
    weights = softmax(hide(scores, allowed))
    return weights @ v, weights
