"""Merging: attention over some keys and attention over others make attention over all of them."""

import numpy as np
from jaxtyping import Float

from step01_numpy.arrays import Array, widen
from step01_numpy.common.support import checks, gradients
from step01_numpy.softmax import softmax, softmax_backward


def log_sum_exp(scores: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """
    Return log Σ exp(scores) along `axis`: the number that normalises a row, in nats.

    Returns
    -------
    lse : scores' shape without `axis`
        -inf where every score is -inf. Of 16-bit scores it is float32: what subtracts it needs the digits.

    Examples
    --------
    >>> print(np.exp(log_sum_exp(np.log([[1.0, 2.0, 5.5]]))))
    [8.5]
    """
    wide = widen(scores)
    largest = wide.max(axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    total = np.exp(wide - largest).sum(axis=axis, keepdims=True)
    lse = largest + np.log(np.where(total == 0, 1, total))
    return np.where(total == 0, -np.inf, lse).squeeze(axis)


def log_sum_exp_backward(
    d_lse: Float[Array, "..."], scores: Float[Array, "..."], lse: Float[Array, "..."], axis: int = -1
) -> Float[Array, "..."]:
    """
    Differentiate `log_sum_exp`.

    Notes
    -----
    d lse / d scores_i = exp(scores_i - lse) = weights_i. A row of -inf has lse = -inf, read as 0: its
    gradients are exactly 0.
    """
    shape = [n for i, n in enumerate(scores.shape) if i != axis % scores.ndim]
    gradients.array("lse", lse, shape, gradients.sum_dtype(scores))
    gradients.like("d_lse", d_lse, lse)
    finite = np.where(lse == -np.inf, 0, lse)
    weights = np.exp(widen(scores) - np.expand_dims(finite, axis))
    return (np.expand_dims(d_lse, axis) * weights).astype(scores.dtype, copy=False)


def merge_attention(
    out: Float[Array, "*heads L D"],
    lse: Float[Array, "*heads L"],
    other_out: Float[Array, "*heads L D"],
    other_lse: Float[Array, "*heads L"],
) -> tuple[Float[Array, "*heads L D"], Float[Array, "*heads L"]]:
    """
    Join the attentions of the same queries over two sets of keys that have none in common.

    Parameters
    ----------
    out, lse : (*heads, L, D), (*heads, L)
        As `flash_attention` returns them for the first set of keys.
    other_out, other_lse : (*heads, L, D), (*heads, L)
        For the second.

    Returns
    -------
    out : (*heads, L, D)
        In the dtype of `out`; 16-bit numbers are merged in float32.
    lse : (*heads, L)
        What `flash_attention` returns for all keys together. Where no set had a visible key: 0 and -inf.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was expected and what came.

    Notes
    -----
    exp(lse) is the sum that a set's weights were divided by, so that the sets share the total as
    softmax([lse, other_lse]): merging is attention over two keys whose scores are the lse and whose values
    are the outs. The order of merging does not matter. Tiles of keys, the devices of a ring and the pieces of
    a long cache all become one in this way.

    References
    ----------
    Milakov and Gimelshein 2018, section 3.1, arXiv:1805.02867; Liu et al. 2023, section 3, arXiv:2310.01889.

    Examples
    --------
    Weights that sum to 1 gave a mean of 1, others that sum to 1.5 one of 2: (1 · 1 + 1.5 · 2) / 2.5.

    >>> out, lse = merge_attention(np.array([[1.0]]), np.log([1.0]), np.array([[2.0]]), np.log([1.5]))
    >>> print(out, np.exp(lse))
    [[1.6]] [2.5]
    """
    _check(out, lse, other_out, other_lse)
    lses = np.stack([lse, other_lse])  # (2, *heads, L)
    share, other_share = softmax(lses, axis=0)[..., None]
    merged = share * widen(out) + other_share * widen(other_out)
    return merged.astype(out.dtype, copy=False), log_sum_exp(lses, axis=0)


def merge_attention_backward(
    d_out: Float[Array, "*heads L D"],
    d_lse: Float[Array, "*heads L"],
    out: Float[Array, "*heads L D"],
    lse: Float[Array, "*heads L"],
    other_out: Float[Array, "*heads L D"],
    other_lse: Float[Array, "*heads L"],
) -> tuple[
    Float[Array, "*heads L D"],
    Float[Array, "*heads L"],
    Float[Array, "*heads L D"],
    Float[Array, "*heads L"],
]:
    """
    Differentiate `merge_attention`.

    Parameters
    ----------
    d_out, d_lse : (*heads, L, D), (*heads, L)
        Gradients of the loss with respect to what it returned.
    out, lse, other_out, other_lse
        What it was given.

    Returns
    -------
    d_out, d_lse, d_other_out, d_other_lse
        In the shapes of what it was given; exactly 0 where a set had no visible key.

    Notes
    -----
    d lse_1 = share_1 · (d_lse + d_out · (out_1 - merged out)). Attention over all keys is differentiated
    without this: given the merged out and lse, `flash_attention_backward` of each set finds its own share.
    """
    _check(out, lse, other_out, other_lse)
    gradients.like("d_out", d_out, out)
    gradients.like("d_lse", d_lse, lse)
    lses, outs = np.stack([lse, other_lse]), np.stack([widen(out), widen(other_out)])
    shares, wide = softmax(lses, axis=0), widen(d_out)
    d_outs = (shares[..., None] * wide).astype(out.dtype, copy=False)  # merged = Σ shares · outs
    d_shares = (wide * outs).sum(axis=-1)
    d_lses = softmax_backward(d_shares, shares, axis=0)  # shares = softmax(lses)
    d_lses = d_lses + d_lse * shares  # the merged lse = log Σ exp(lses)
    return d_outs[0], d_lses[0], d_outs[1], d_lses[1]


def _check(out, lse, other_out, other_lse):
    given = {"out": out, "lse": lse, "other_out": other_out, "other_lse": other_lse}
    for name, x in given.items():
        checks.floating(Array, name, x)
    checks.shape("lse", lse, out.shape[:-1])
    checks.shape("other_out", other_out, out.shape)
    checks.shape("other_lse", other_lse, out.shape[:-1])
    if out.dtype != other_out.dtype:
        raise TypeError(f"other_out has dtype {other_out.dtype}; expected that of out, {out.dtype}")
