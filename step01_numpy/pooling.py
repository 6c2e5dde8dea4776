"""One vector for a whole sentence: the mean of its rows, the first or the largest; brought to length 1."""

import numpy as np
from jaxtyping import Bool, Float, Int

from step01_numpy.arrays import Array, widen
from step01_numpy.common.support import checks, gradients

_SHORTEST = 1e-12  # a row shorter than this is not brought to length 1: nothing is divided by less


def mean_pool(hidden: Float[Array, "B L d"], mask: Bool[Array, "B L"]) -> Float[Array, "B d"]:
    """
    Average the rows of each sentence, its padding left out.

    Parameters
    ----------
    hidden : (B, L, d)
    mask : boolean, (B, L)
        True = a real token.

    Returns
    -------
    pooled : (B, d)
        0 where no token is real.

    References
    ----------
    Reimers and Gurevych 2019, section 3, arXiv:1908.10084.
    """
    _check(hidden, mask)
    real = np.where(mask[..., None], widen(hidden), 0)  # not hidden · mask: padding may hold anything
    return (real.sum(axis=1) / _n_real(mask, real)).astype(hidden.dtype, copy=False)


def mean_pool_backward(d_out: Float[Array, "B d"], mask: Bool[Array, "B L"]) -> Float[Array, "B L d"]:
    """Differentiate `mean_pool`: each of n real tokens gets d_out / n, padding gets 0."""
    _check_gradient(d_out, mask)
    share = widen(d_out) / _n_real(mask, widen(d_out))
    return np.where(mask[..., None], share[:, None, :], 0).astype(d_out.dtype, copy=False)


def first_pool(hidden: Float[Array, "B L d"], mask: Bool[Array, "B L"]) -> Float[Array, "B d"]:
    """
    Take the row of each sentence's first real token, BERT's [CLS].

    Returns
    -------
    pooled : (B, d)
        The first row where no token is real.
    """
    _check(hidden, mask)
    return hidden[_rows(mask), mask.argmax(axis=1)]


def first_pool_backward(d_out: Float[Array, "B d"], mask: Bool[Array, "B L"]) -> Float[Array, "B L d"]:
    """Differentiate `first_pool`: all of d_out goes to the row that was taken."""
    _check_gradient(d_out, mask)
    d_hidden = np.zeros_like(d_out, shape=(*mask.shape, d_out.shape[-1]))
    d_hidden[_rows(mask), mask.argmax(axis=1)] = d_out
    return d_hidden


def max_pool(hidden: Float[Array, "B L d"], mask: Bool[Array, "B L"]) -> Float[Array, "B d"]:
    """
    Take the largest of each sentence's numbers, column by column, its padding left out.

    Returns
    -------
    pooled : (B, d)
        0 where no token is real.
    """
    _check(hidden, mask)
    pooled = np.where(mask[..., None], hidden, -np.inf).max(axis=1)
    return np.where(mask.any(axis=1, keepdims=True), pooled, 0).astype(hidden.dtype, copy=False)


def max_pool_backward(
    d_out: Float[Array, "B d"], hidden: Float[Array, "B L d"], mask: Bool[Array, "B L"]
) -> Float[Array, "B L d"]:
    """Differentiate `max_pool`: d_out goes to the row that had the largest number, the first of equals."""
    gradients.array("d_out", d_out, (len(mask), hidden.shape[-1]), hidden.dtype)
    largest = np.where(mask[..., None], hidden, -np.inf).argmax(axis=1)  # (B, d)
    is_largest = np.arange(mask.shape[1], like=mask)[:, None] == largest[:, None, :]
    return np.where(is_largest & mask[..., None], d_out[:, None, :], 0).astype(d_out.dtype, copy=False)


def _check_gradient(d_out, mask):
    checks.rank("d_out", d_out, 2)
    gradients.array("d_out", d_out, (len(mask), d_out.shape[1]), d_out.dtype)


def _check(hidden, mask):
    checks.rank("hidden", hidden, 3)
    checks.boolean("mask", mask)
    checks.shape("mask", mask, hidden.shape[:2])


def _rows(mask):
    return np.arange(len(mask), like=mask)


def _n_real(mask, like):
    """Return how many tokens of each sentence are real, (B, 1), and 1 where none is."""
    return np.maximum(mask.sum(axis=1, keepdims=True), 1).astype(like.dtype)


def normalise(x: Float[Array, "*rows d"]) -> Float[Array, "*rows d"]:
    """
    Bring each row to length 1: the cosine of two rows is then their inner product.

    Returns
    -------
    out : (..., d)
        x / max(|x|, 1e-12), as in `torch.nn.functional.normalize`; a row of zeros stays one.
    """
    wide = widen(x)
    return (wide / _length(wide)).astype(x.dtype, copy=False)


def normalise_backward(d_out: Float[Array, "*rows d"], x: Float[Array, "*rows d"]) -> Float[Array, "*rows d"]:
    """
    Differentiate `normalise`.

    Returns
    -------
    d_x : (..., d)
        Orthogonal to x, since stretching a row changes nothing; and d_out / 1e-12 for a row too short.

    Notes
    -----
    out = x / |x|, and |x| has the gradient out, hence d_x = (d_out - out · Σ_j d_out_j out_j) / |x|.
    """
    gradients.like("d_out", d_out, x)
    wide, d_out = widen(x), widen(d_out)
    length = _length(wide)
    out = wide / length
    along = np.where(length > _SHORTEST, (d_out * out).sum(axis=-1, keepdims=True), 0)
    return ((d_out - out * along) / length).astype(x.dtype, copy=False)


def _length(x):
    """Return |x| = √Σ x² of each row, or the least that we divide by, (..., 1)."""
    return np.maximum(np.sqrt((x * x).sum(axis=-1, keepdims=True)), _SHORTEST)


_POOLS = {"mean": mean_pool, "cls": first_pool, "max": max_pool}


def embed(
    model, tokens: Int[Array, "B L"], mask: Bool[Array, "B L"], *, unit: bool = True, pool: str = "mean"
) -> Float[Array, "B d"]:
    """
    Give each sentence one vector, made of its rows.

    Parameters
    ----------
    model : LanguageModel
    tokens, mask : (B, L)
        True = a real token.
    unit : bool
        Whether the vectors are brought to length 1.
    pool : "mean", "cls" or "max"
        `mean_pool`, `first_pool` or `max_pool`.
    """
    checks.one_of("pool", pool, tuple(_POOLS))
    rows = model.encode(tokens, None if mask.all() else mask)  # nothing to hide: no mask to apply
    pooled = _POOLS[pool](rows, mask)
    return normalise(pooled) if unit else pooled
