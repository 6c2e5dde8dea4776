"""An attention as somebody would write it who has never seen ours: NumPy, two functions, 45 lines."""

import numpy as np


def visible(q, k, mask, causal):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    seen = np.ones((n_queries, n_keys), bool) if mask is None else mask
    if causal:
        seen = seen & np.tril(np.ones((n_queries, n_keys), bool), n_keys - n_queries)
    return seen


def repeat(x, q):
    return np.repeat(x, q.shape[1] // x.shape[1], axis=1)


def softmax(x):
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def attention(q, k, v, mask=None, causal=False):
    """Return out and the weights."""
    seen = visible(q, k, mask, causal)
    scores = q @ repeat(k, q).swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    weights = softmax(np.where(seen, scores, -1e300)) * seen
    return weights @ repeat(v, q), weights


def softmax_backward(d_weights, weights):
    return weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True))


def attention_backward(d_out, q, k, v, out, weights):
    """Return the gradients of q, k and v."""
    groups = (*k.shape[:2], -1)
    wide_k, wide_v = repeat(k, q), repeat(v, q)
    d_scores = softmax_backward(d_out @ wide_v.swapaxes(-1, -2), weights) / np.sqrt(q.shape[-1])
    d_q = d_scores @ wide_k
    d_k = d_scores.swapaxes(-1, -2) @ q
    d_v = weights.swapaxes(-1, -2) @ d_out
    d_k = d_k.reshape(*groups, *d_k.shape[-2:]).sum(axis=2)
    d_v = d_v.reshape(*groups, *d_v.shape[-2:]).sum(axis=2)
    return d_q, d_k, d_v
