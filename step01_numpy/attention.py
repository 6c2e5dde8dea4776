"""Scaled dot-product attention, softmax(q kᵀ / √D) v, and its gradients (Vaswani et al. 2017)."""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from step01_numpy.arrays import Array, widen
from step01_numpy.common.support import checks, gradients
from step01_numpy.masks import combine_masks, hide
from step01_numpy.softmax import softmax, softmax_backward


def simple_attention(
    q: Float[Array, "*heads L D"], k: Float[Array, "*heads S D"], v: Float[Array, "*heads S D_v"]
) -> tuple[Float[Array, "*heads L D_v"], Float[Array, "*heads L S"]]:
    """
    Return softmax(q kᵀ / √D) v, and its weights: what `scaled_dot_product_attention` is without options.

    Examples
    --------
    One query and two keys of size 4. Scores of 0 and ln 9 / √4 = ln 3 become weights of 1/4 and 3/4:

    >>> q, k = np.log([[9.0, 1, 1, 1]]), np.array([[0, 1.0, 0, 0], [1, 0, 0, 0]])
    >>> out, weights = simple_attention(q, k, v=np.array([[0.0, 8.0], [2.0, 8.0]]))
    >>> print(weights, out)
    [[0.25 0.75]] [[1.5 8. ]]
    """
    matches = q @ k.swapaxes(-1, -2)  # (*heads, L, S): how well each query matches each key
    scores = matches / sqrt(q.shape[-1])
    weights = softmax(scores)  # each query's weights sum to 1
    out = weights @ v
    return out, weights


def simple_attention_backward(
    d_out: Float[Array, "*heads L D_v"],
    q: Float[Array, "*heads L D"],
    k: Float[Array, "*heads S D"],
    v: Float[Array, "*heads S D_v"],
    weights: Float[Array, "*heads L S"],
) -> tuple[Float[Array, "*heads L D"], Float[Array, "*heads S D"], Float[Array, "*heads S D_v"]]:
    """Differentiate `simple_attention`, line by line from the last to the first: return d_q, d_k, d_v."""
    gradients.attention(Array, q, k, v, d_out=d_out, weights=weights)
    d_weights, d_v = d_out @ v.swapaxes(-1, -2), weights.swapaxes(-1, -2) @ d_out  # out = weights @ v
    d_scores = softmax_backward(d_weights, weights)  # weights = softmax(scores)
    d_matches = d_scores / sqrt(q.shape[-1])  # scores = matches / √D
    d_q, d_k = d_matches @ k, d_matches.swapaxes(-1, -2) @ q  # matches = q kᵀ
    return d_q, d_k, d_v


def scaled_dot_product_attention(
    q: Float[Array, "*heads L D"],
    k: Float[Array, "*kv_heads S D"],
    v: Float[Array, "*kv_heads S D_v"],
    mask: Bool[Array, "..."] | None = None,
    *,
    bias: Float[Array, "..."] | None = None,
    causal: bool = False,
    window: tuple | None = None,
    offset: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> tuple[Float[Array, "*heads L D_v"], Float[Array, "*heads L S"]]:
    """
    Give each query the mean of the values, weighted by how well their keys match it.

    Parameters
    ----------
    q : (*heads, L, D)
        Queries; `heads` is (B, H) as a rule, or nothing at all.
    k, v : (*heads, S, D), (*heads, S, D_v)
        Keys and values. They may have fewer heads, H_kv, that divide H: query head h then uses
        key/value head h // (H / H_kv).
    mask : boolean, broadcastable to (*heads, L, S), optional
        True = may attend.
    bias : floating, broadcastable to (*heads, L, S), optional
        Added to the capped scores; -inf hides. A constant: it gets no gradient.
    causal, window, offset
        Hide keys as `causal_mask` and `sliding_window_mask` do, window being (left, right).
    scale : float, optional
        Default 1/√D.
    softcap : float, optional
        c in c·tanh(scores / c), which keeps scores within ±c. Finite: None leaves them as they are.

    Returns
    -------
    out : (*heads, L, D_v)
        0 for a query that may attend to no key.
    weights : (*heads, L, S)
        At least 0; rows sum to 1, or to 0 for such a query. Both have q's dtype; 16-bit inputs are
        computed in float32.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was expected and what came.

    References
    ----------
    Vaswani et al. 2017, equation 1, arXiv:1706.03762. Grouped heads: Ainslie et al. 2023, arXiv:2305.13245.
    Soft cap: Gemma 2, arXiv:2408.00118.
    """
    options = checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    window, offset, scale, softcap = options
    k, v = repeat_heads(widen(k), q), repeat_heads(widen(v), q)
    scores = cap(attention_scores(widen(q), k, scale), softcap)  # (*heads, L, S)
    if bias is not None:
        scores = scores + widen(bias)
    visible = combine_masks(*scores.shape[-2:], mask, causal=causal, window=window, offset=offset, like=q)
    weights = softmax(hide(scores, visible))
    return (weights @ v).astype(q.dtype, copy=False), weights.astype(q.dtype, copy=False)


def attention_backward(
    d_out: Float[Array, "*heads L D_v"],
    q: Float[Array, "*heads L D"],
    k: Float[Array, "*kv_heads S D"],
    v: Float[Array, "*kv_heads S D_v"],
    out: Float[Array, "*heads L D_v"],
    weights: Float[Array, "*heads L S"],
    mask: Bool[Array, "..."] | None = None,
    *,
    bias: Float[Array, "..."] | None = None,
    causal: bool = False,
    window: tuple | None = None,
    offset: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> tuple[Float[Array, "*heads L D"], Float[Array, "*kv_heads S D"], Float[Array, "*kv_heads S D_v"]]:
    """
    Differentiate `scaled_dot_product_attention`.

    Parameters
    ----------
    d_out : (*heads, L, D_v)
        Gradient of the loss with respect to `out`.
    out, weights
        What the forward returned.
    q, k, v, mask, bias, causal, window, offset, scale, softcap
        What it was given. Of what hides keys nothing is needed here: a hidden key is one whose weight is 0.

    Returns
    -------
    d_q, d_k, d_v
        In the shapes of q, k, v; exactly 0 for a query that may attend to no key.
    """
    _, _, scale, softcap = checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    gradients.attention(Array, q, k, v, d_out=d_out, out=out, weights=weights)
    n_kv_heads = k.shape[:-2]
    dtype, d_out, q, out, weights = q.dtype, widen(d_out), widen(q), widen(out), widen(weights)
    k, v = repeat_heads(widen(k), q), repeat_heads(widen(v), q)
    d_v = weights.swapaxes(-1, -2) @ d_out  # out = weights @ v
    d_weights = d_out @ v.swapaxes(-1, -2)
    row_sum = (d_out * out).sum(axis=-1, keepdims=True)  # Σ_j d_weights_j weights_j, by D_v products, not S
    d_scores = weights * (d_weights - row_sum)  # weights = softmax(scores)
    if softcap is not None:
        d_scores = cap_backward(d_scores, attention_scores(q, k, scale), softcap)
    d_scores = d_scores * scale_or_default(scale, q)  # scores = q kᵀ · scale
    d_q = d_scores @ k
    d_k = d_scores.swapaxes(-1, -2) @ q
    d_k, d_v = repeat_heads_backward(d_k, n_kv_heads), repeat_heads_backward(d_v, n_kv_heads)
    return tuple(x.astype(dtype, copy=False) for x in (d_q, d_k, d_v))


def attention_scores(
    q: Float[Array, "*heads L D"], k: Float[Array, "*heads S D"], scale: float | None = None
) -> Float[Array, "*heads L S"]:
    """
    Match every query with every key: q kᵀ · scale.

    Without the scale, 1/√D by default, scores of independent entries of variance 1 would have variance D
    and push softmax to where its gradient vanishes (Vaswani et al. 2017, section 3.2.1).

    Examples
    --------
    All rows of four entries of 1 or -1, whose variance is 1, each matched with each, before and after 1/√4:

    >>> rows = np.array([[1 - 2 * (i >> bit & 1) for bit in range(4)] for i in range(16)], float)
    >>> print(attention_scores(rows, rows, scale=1.0).var(), attention_scores(rows, rows).var())
    4.0 1.0
    """
    return (q * scale_or_default(scale, q)) @ k.swapaxes(-1, -2)


def scale_or_default(scale: float | None, q: Float[Array, "*heads L D"]) -> float:
    """Return the scale as a Python float, which leaves the arrays' dtype alone: 1/√D when not given."""
    return 1 / sqrt(q.shape[-1]) if scale is None else float(scale)


def cap(scores: Float[Array, "*shape"], softcap: float | None) -> Float[Array, "*shape"]:
    """Keep scores softly within ±softcap: c·tanh(scores / c)."""
    return scores if softcap is None else softcap * np.tanh(scores / softcap)


def cap_backward(
    d_capped: Float[Array, "*shape"], scores: Float[Array, "*shape"], softcap: float
) -> Float[Array, "*shape"]:
    """Differentiate `cap`: the derivative of c·tanh(s / c) is 1 - tanh²(s / c)."""
    gradients.like("d_capped", d_capped, scores)
    return d_capped * (1 - np.tanh(scores / softcap) ** 2)


def repeat_heads(x: Float[Array, "..."], q: Float[Array, "..."]) -> Float[Array, "..."]:
    """
    Repeat each key/value head for the n = H / H_kv queries that share it: g becomes g·n, …, g·n + n - 1.

    Examples
    --------
    >>> print(repeat_heads(np.array([[[1.0]], [[2.0]]]), q=np.zeros((4, 1, 1))).ravel())
    [1. 1. 2. 2.]
    """
    return x if x.shape[:-2] == q.shape[:-2] else np.repeat(x, q.shape[-3] // x.shape[-3], axis=-3)


def repeat_heads_backward(d_x: Float[Array, "..."], heads: tuple) -> Float[Array, "..."]:
    """Differentiate `repeat_heads`: a head that served n queries collects n gradients."""
    if d_x.shape[:-2] == heads:
        return d_x
    gradients.grouped("d_x", d_x, heads)
    return d_x.reshape(*heads, -1, *d_x.shape[-2:]).sum(axis=-3)


class Attend(NamedTuple):
    """
    An attention and its backward, as the layers take it in `attend=`.

    `forward(q, k, v, mask, **options) -> (out, saved)` and
    `backward(d_out, q, k, v, out, saved, mask, **options) -> (d_q, d_k, d_v)`.
    """

    forward: Callable
    backward: Callable


STANDARD = Attend(scaled_dot_product_attention, attention_backward)
