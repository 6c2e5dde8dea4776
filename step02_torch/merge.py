"""Merging: attention over some keys and attention over others make attention over all of them."""

import torch
from jaxtyping import Float

from step01_numpy.common.support import checks
from step02_torch.arrays import Array, widen
from step02_torch.softmax import softmax


def log_sum_exp(scores: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """
    Return log Σ exp(scores) along `axis`: the number that normalises a row, in nats.

    Returns
    -------
    lse : scores' shape without `axis`
        -inf where every score is -inf, with gradients of 0. Of 16-bit scores it is float32.

    Examples
    --------
    >>> print(log_sum_exp(torch.tensor([1.0, 2.0, 5.5]).log()).exp())
    tensor(8.5000)
    """
    wide = widen(scores)
    largest = wide.detach().amax(dim=axis, keepdim=True)  # it cancels out, so it needs no gradient
    largest = largest.masked_fill(~largest.isfinite(), 0)
    total = (wide - largest).exp().sum(dim=axis, keepdim=True)
    lse = largest + total.masked_fill(total == 0, 1).log()
    return lse.masked_fill(total == 0, -torch.inf).squeeze(axis)


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
        Naming the argument, what was expected and what came. Also for an out with a history and an lse
        without one, as `flash_attention` returns them: its gradients would be wrong.

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

    >>> sums = torch.tensor([[1.0], [1.5]]).log()
    >>> out, lse = merge_attention(torch.tensor([[1.0]]), sums[0], torch.tensor([[2.0]]), sums[1])
    >>> print(out, lse.exp())
    tensor([[1.6000]]) tensor([2.5000])
    """
    _check(out, lse, other_out, other_lse)
    lses = torch.stack([lse, other_lse])  # (2, *heads, L)
    share, other_share = softmax(lses, axis=0)[..., None]
    merged = share * widen(out) + other_share * widen(other_out)
    return merged.to(out.dtype), log_sum_exp(lses, axis=0)


def _check(out, lse, other_out, other_lse):
    given = {"out": out, "lse": lse, "other_out": other_out, "other_lse": other_lse}
    for name, x in given.items():
        checks.floating(Array, name, x)
    checks.shape("lse", lse, out.shape[:-1])
    checks.shape("other_out", other_out, out.shape)
    checks.shape("other_lse", other_lse, out.shape[:-1])
    if out.dtype != other_out.dtype:
        raise TypeError(f"other_out has dtype {other_out.dtype}; expected that of out, {out.dtype}")
    for name in ("", "other_") if torch.is_grad_enabled() else ():
        if given[f"{name}out"].requires_grad and not given[f"{name}lse"].requires_grad:
            raise ValueError(f"{name}lse has no gradient and {name}out has one; expected both or none")
