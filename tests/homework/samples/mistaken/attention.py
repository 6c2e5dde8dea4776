"""Attention that divides by the size of a head rather than by its root."""

import numpy as np

from step01_numpy.attention import repeat_heads
from step01_numpy.masks import combine_masks, hide
from step01_numpy.softmax import softmax


def scaled_dot_product_attention(
    q, k, v, mask=None, *, bias=None, causal=False, window=None, offset=None, scale=None, softcap=None
):
    k, v = repeat_heads(k, q), repeat_heads(v, q)
    scores = q @ k.swapaxes(-1, -2) * (1 / q.shape[-1] if scale is None else scale)
    if softcap is not None:
        scores = softcap * np.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    allowed = combine_masks(*scores.shape[-2:], mask, causal=causal, window=window, offset=offset, like=q)
    weights = softmax(hide(scores, allowed))
    return weights @ v, weights
