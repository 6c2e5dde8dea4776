"""
One vector for a whole sentence: the mean of its rows, the first or the largest; brought to length 1. Autograd
does the backward.
"""

import torch
from jaxtyping import Bool, Float, Int

from step01_numpy.common.support import checks
from step02_torch.arrays import Array, is_known, widen

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
    real = widen(hidden).masked_fill(~mask[..., None], 0)  # not hidden · mask: padding may hold anything
    return (real.sum(dim=1) / _n_real(mask, real)).to(hidden.dtype)


def first_pool(hidden: Float[Array, "B L d"], mask: Bool[Array, "B L"]) -> Float[Array, "B d"]:
    """
    Take the row of each sentence's first real token, BERT's [CLS].

    Returns
    -------
    pooled : (B, d)
        The first row where no token is real.
    """
    _check(hidden, mask)
    return hidden[torch.arange(len(mask), device=mask.device), mask.int().argmax(dim=1)]


def max_pool(hidden: Float[Array, "B L d"], mask: Bool[Array, "B L"]) -> Float[Array, "B d"]:
    """
    Take the largest of each sentence's numbers, column by column, its padding left out.

    Returns
    -------
    pooled : (B, d)
        0 where no token is real.
    """
    _check(hidden, mask)
    pooled = hidden.masked_fill(~mask[..., None], -torch.inf).max(dim=1).values
    return pooled.masked_fill(~mask.any(dim=1, keepdim=True), 0)


def _check(hidden, mask):
    checks.rank("hidden", hidden, 3)
    checks.boolean("mask", mask)
    checks.shape("mask", mask, hidden.shape[:2])


def _n_real(mask, like):
    """Return how many tokens of each sentence are real, (B, 1), and 1 where none is."""
    return mask.sum(dim=1, keepdim=True).clamp_min(1).to(like.dtype)


def normalise(x: Float[Array, "*rows d"]) -> Float[Array, "*rows d"]:
    """
    Bring each row to length 1: the cosine of two rows is then their inner product.

    Returns
    -------
    out : (..., d)
        x / max(|x|, 1e-12), as in `torch.nn.functional.normalize`; a row of zeros stays one.
    """
    wide = widen(x)
    return (wide / _length(wide)).to(x.dtype)


def _length(x):
    """Return |x| = √Σ x² of each row, or the least that we divide by, (..., 1)."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)  # its gradient at 0 is 0; that of √ is not
    return length.clamp_min(_SHORTEST)


_POOLS = {"mean": mean_pool, "cls": first_pool, "max": max_pool}


@torch.no_grad()
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
    nothing_hidden = is_known(mask) and mask.all()  # then there is no mask to apply
    rows = model.encode(tokens, None if nothing_hidden else mask)
    pooled = _POOLS[pool](rows, mask)
    return normalise(pooled) if unit else pooled
