"""Scaled dot-product attention, softmax(q kᵀ / √D) v, and its gradients (Vaswani et al. 2017)."""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from step01_numpy.arrays import Array, to_numpy, widen
from step01_numpy.common.support import checks
from step01_numpy.masks import combine_masks, hide
from step01_numpy.softmax import softmax


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
    causal : bool
        Key j is visible when j <= i + offset.
    window : (left, right), optional
        Key j is visible when i + offset - left <= j <= i + offset + right; None = no bound.
    offset : int, optional
        Position of the first query among the keys; default S - L: the queries are the last ones.
        (PyTorch's `is_causal` means offset 0.)
    scale : float, optional
        Default 1/√D.
    softcap : float, optional
        c in c·tanh(scores / c), which keeps scores within ±c.

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
    checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    k, v = repeat_heads(widen(k), q), repeat_heads(widen(v), q)
    scores = cap(attention_scores(widen(q), k, scale), softcap)  # (*heads, L, S)
    if bias is not None:
        scores = scores + widen(bias)
    visible = combine_masks(
        q.shape[-2], k.shape[-2], mask, causal=causal, window=window, offset=offset, like=q
    )
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
    q, k, v, scale, softcap
        What the forward was given.
    out, weights
        What it returned.
    mask, bias, causal, window, offset
        Accepted so that this and `flash_attention_backward` are interchangeable; not needed here, since
        a hidden key is one whose weight is 0.

    Returns
    -------
    d_q, d_k, d_v
        In the shapes of q, k, v; exactly 0 for a query that may attend to no key.

    Notes
    -----
    softmax's row sum Σ_j d_weights_j weights_j equals Σ d_out · out, which costs L·D_v instead of L·S.
    """
    n_kv_heads = k.shape[:-2]
    dtype, d_out, q, out, weights = q.dtype, widen(d_out), widen(q), widen(out), widen(weights)
    k, v = repeat_heads(widen(k), q), repeat_heads(widen(v), q)
    d_v = weights.swapaxes(-1, -2) @ d_out  # out = weights @ v
    d_weights = d_out @ v.swapaxes(-1, -2)
    row_sum = (d_out * out).sum(axis=-1, keepdims=True)
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
    return d_capped * (1 - np.tanh(scores / softcap) ** 2)


def repeat_heads(x: Float[Array, "..."], q: Float[Array, "..."]) -> Float[Array, "..."]:
    """
    Repeat each key/value head for the group of query heads that share it.

    Head g becomes heads g·n, …, g·n + n - 1 with n = H / H_kv.
    """
    return x if x.shape[:-2] == q.shape[:-2] else np.repeat(x, q.shape[-3] // x.shape[-3], axis=-3)


def repeat_heads_backward(d_x: Float[Array, "..."], heads: tuple) -> Float[Array, "..."]:
    """Differentiate `repeat_heads`: a head that served n queries collects n gradients."""
    if d_x.shape[:-2] == heads:
        return d_x
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


def record(attend: Attend, maps: list) -> Attend:
    """
    Wrap an attention so that every call appends what it saved to `maps`, as a NumPy array.

    With `STANDARD` these are the weights, (*heads, L, S), in the order of the calls.
    """

    def recording(*args, **options):
        out, saved = attend.forward(*args, **options)
        maps.append(to_numpy(saved))
        return out, saved

    return Attend(recording, attend.backward)
