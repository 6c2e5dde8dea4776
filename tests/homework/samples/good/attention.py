"""Attention, with einsum and a helper function of its own."""

import numpy as np

from step01_numpy.masks import combine_masks, hide
from step01_numpy.softmax import softmax


def scaled_dot_product_attention(
    q, k, v, mask=None, *, bias=None, causal=False, window=None, offset=None, scale=None, softcap=None
):
    k, v = for_each_query_head(k, q), for_each_query_head(v, q)
    scores = np.einsum("...ld,...sd->...ls", q, k)
    scores = scores * (1 / np.sqrt(q.shape[-1]) if scale is None else scale)
    if softcap is not None:
        scores = softcap * np.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    allowed = combine_masks(*scores.shape[-2:], mask, causal=causal, window=window, offset=offset, like=q)
    weights = softmax(hide(scores, allowed))
    return weights @ v, weights


def for_each_query_head(x, q):
    """Repeat the heads of keys or values, so that each query head has its own."""
    return x if q.ndim < 3 else np.repeat(x, q.shape[-3] // x.shape[-3], axis=-3)
