"""
Scaled dot-product attention, softmax(q kᵀ / √D) v, and its gradients, as array operations on the device.

Two matrix products and some ten passes over the (L, S) scores, each a kernel that reads and writes all of
them: it is the traffic of those passes, not the arithmetic, that a fused kernel saves.
"""

from jaxtyping import Bool, Float

from step01_numpy.attention import (
    Attend,
    attention_scores,
    repeat_heads_backward,
    scale_or_default,
    simple_attention,
    simple_attention_backward,
)
from step01_numpy.common.support import checks, gradients
from step03_gpu.arrays import Array, array_module, widen
from step03_gpu.masks import combine_masks, hide
from step03_gpu.softmax import softmax

__all__ = [
    "STANDARD",
    "Attend",
    "attention_backward",
    "attention_scores",
    "cap",
    "cap_backward",
    "repeat_heads",
    "scale_or_default",
    "scaled_dot_product_attention",
    "repeat_heads_backward",
    "simple_attention",
    "simple_attention_backward",
]


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
        scores += widen(bias)
    visible = combine_masks(*scores.shape[-2:], mask, causal=causal, window=window, offset=offset, like=q)
    weights = softmax(hide(scores, visible))
    out = weights @ v
    return out.astype(q.dtype, copy=False), weights.astype(q.dtype, copy=False)


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
    _, _, scale, softcap = checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    gradients.attention(Array, q, k, v, d_out=d_out, out=out, weights=weights)
    n_kv_heads = k.shape[:-2]
    dtype, d_out, q, out, weights = q.dtype, widen(d_out), widen(q), widen(out), widen(weights)
    k, v = repeat_heads(widen(k), q), repeat_heads(widen(v), q)
    d_v = weights.swapaxes(-1, -2) @ d_out  # out = weights @ v
    d_scores = d_out @ v.swapaxes(-1, -2)  # d_weights, which turns into d_scores in place
    d_scores -= (d_out * out).sum(axis=-1, keepdims=True)
    d_scores *= weights  # weights = softmax(scores)
    if softcap is not None:
        d_scores = cap_backward(d_scores, attention_scores(q, k, scale), softcap)
    d_scores *= scale_or_default(scale, q)  # scores = q kᵀ · scale
    d_q = d_scores @ k
    d_k = d_scores.swapaxes(-1, -2) @ q
    d_k, d_v = repeat_heads_backward(d_k, n_kv_heads), repeat_heads_backward(d_v, n_kv_heads)
    return d_q.astype(dtype), d_k.astype(dtype), d_v.astype(dtype)


def cap(scores: Float[Array, "*shape"], softcap: float | None) -> Float[Array, "*shape"]:
    """Keep scores softly within ±softcap: c·tanh(scores / c)."""
    return scores if softcap is None else softcap * array_module(scores).tanh(scores / softcap)


def cap_backward(
    d_capped: Float[Array, "*shape"], scores: Float[Array, "*shape"], softcap: float
) -> Float[Array, "*shape"]:
    """Differentiate `cap`: the derivative of c·tanh(s / c) is 1 - tanh²(s / c)."""
    gradients.like("d_capped", d_capped, scores)
    return d_capped * (1 - array_module(scores).tanh(scores / softcap) ** 2)


def repeat_heads(x: Float[Array, "..."], q: Float[Array, "..."]) -> Float[Array, "..."]:
    """
    Repeat each key/value head for the group of query heads that share it.

    Head g becomes heads g·n, …, g·n + n - 1 with n = H / H_kv.
    """
    return x if x.shape[:-2] == q.shape[:-2] else x.repeat(q.shape[-3] // x.shape[-3], axis=-3)


STANDARD = Attend(scaled_dot_product_attention, attention_backward)
