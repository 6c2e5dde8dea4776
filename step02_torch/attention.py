"""Scaled dot-product attention, softmax(q kᵀ / √D) v (Vaswani et al. 2017). Autograd does the backward."""

from collections.abc import Callable
from math import sqrt

from jaxtyping import Bool, Float

from step01_numpy.common.support import checks
from step02_torch.arrays import Array, follow_autocast, widen
from step02_torch.masks import combine_masks, hide
from step02_torch.softmax import softmax


def simple_attention(
    q: Float[Array, "*heads L D"], k: Float[Array, "*heads S D"], v: Float[Array, "*heads S D_v"]
) -> tuple[Float[Array, "*heads L D_v"], Float[Array, "*heads L S"]]:
    """
    Return softmax(q kᵀ / √D) v, and its weights: what `scaled_dot_product_attention` is without options.

    Examples
    --------
    One query and two keys of size 4. Scores of 0 and ln 9 / √4 = ln 3 become weights of 1/4 and 3/4:

    >>> q, k = torch.tensor([[9.0, 1, 1, 1]]).log(), torch.tensor([[0, 1.0, 0, 0], [1, 0, 0, 0]])
    >>> out, weights = simple_attention(q, k, v=torch.tensor([[0.0, 8.0], [2.0, 8.0]]))
    >>> print(weights, out)
    tensor([[0.2500, 0.7500]]) tensor([[1.5000, 8.0000]])
    """
    matches = q @ k.swapaxes(-1, -2)  # (*heads, L, S): how well each query matches each key
    scores = matches / sqrt(q.shape[-1])
    weights = softmax(scores)  # each query's weights sum to 1
    out = weights @ v
    return out, weights


@follow_autocast
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
        Added to the capped scores; -inf hides. A constant: autograd gives it no gradient.
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
        scores = scores + bias.detach().to(scores.dtype)
    visible = combine_masks(*scores.shape[-2:], mask, causal=causal, window=window, offset=offset, like=q)
    weights = softmax(hide(scores, visible))
    return (weights @ v).to(q.dtype), weights.to(q.dtype)


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

    >>> rows = torch.cartesian_prod(*[torch.tensor([1.0, -1.0])] * 4)
    >>> for scores in (attention_scores(rows, rows, scale=1.0), attention_scores(rows, rows)):
    ...     print(scores.var(correction=0))
    tensor(4.)
    tensor(1.)
    """
    return (q * scale_or_default(scale, q)) @ k.swapaxes(-1, -2)


def scale_or_default(scale: float | None, q: Float[Array, "*heads L D"]) -> float:
    """Return the scale as a Python float: 1/√D when not given."""
    return 1 / sqrt(q.shape[-1]) if scale is None else float(scale)


def cap(scores: Float[Array, "*shape"], softcap: float | None) -> Float[Array, "*shape"]:
    """Keep scores softly within ±softcap: c·tanh(scores / c)."""
    return scores if softcap is None else softcap * (scores / softcap).tanh()


def repeat_heads(x: Float[Array, "..."], q: Float[Array, "..."]) -> Float[Array, "..."]:
    """
    Repeat each key/value head for the n = H / H_kv queries that share it: g becomes g·n, …, g·n + n - 1.

    Examples
    --------
    >>> print(repeat_heads(torch.tensor([[[1.0]], [[2.0]]]), q=torch.zeros(4, 1, 1)).ravel())
    tensor([1., 1., 2., 2.])
    """
    return x if x.shape[:-2] == q.shape[:-2] else x.repeat_interleave(q.shape[-3] // x.shape[-3], dim=-3)


# An attention as the modules take it in `attend=`: (q, k, v, mask, **options) -> (out, saved).
Attend = Callable[..., tuple[Array, Array]]

STANDARD = scaled_dot_product_attention
