"""Masks: which query may attend to which key. True = may attend; masks combine with `&`."""

import numpy as np
from jaxtyping import Bool, Float, Int

from step01_numpy.arrays import Array
from step01_numpy.common.support import options


def causal_mask(
    n_queries: int, n_keys: int | None = None, *, offset: int | None = None, like=None
) -> Bool[Array, "L S"]:
    """
    Let each query see itself and the keys before it.

    Parameters
    ----------
    n_queries, n_keys : int
        L and S; S = L when not given.
    offset : int, optional
        Query i stands at position `i + offset` among the keys. Default S - L: the queries are the last
        ones, as with a KV cache. PyTorch's `is_causal` means offset 0 instead (top left).
    like : Array, optional
        An array on the device where the mask is wanted.

    Returns
    -------
    mask : (L, S)
        True where j <= i + offset.

    Examples
    --------
    >>> print(causal_mask(3, 5).astype(int))
    [[1 1 1 0 0]
     [1 1 1 1 0]
     [1 1 1 1 1]]
    """
    _, offset = options.band(n_queries, n_keys, None, offset)
    query, key = key_positions(n_queries, n_keys, offset=offset, like=like)
    return key <= query


def sliding_window_mask(
    n_queries: int,
    n_keys: int | None,
    left: int | None,
    right: int | None = 0,
    *,
    offset: int | None = None,
    like=None,
) -> Bool[Array, "L S"]:
    """
    Let each query see `left` keys before its own position and `right` keys after it.

    Parameters
    ----------
    left, right : int or None
        At least 0; None = no bound on that side.
    n_queries, n_keys, offset, like
        As in `causal_mask`.

    Returns
    -------
    mask : (L, S)
        True where i + offset - left <= j <= i + offset + right.
    """
    (left, right), offset = options.band(n_queries, n_keys, (left, right), offset)
    query, key = key_positions(n_queries, n_keys, offset=offset, like=like)
    ahead = key - query  # (L, S): by how many positions a key lies ahead of the query
    mask = np.ones_like(ahead, dtype=bool) if left is None else ahead >= -left
    return mask if right is None else mask & (ahead <= right)


def padding_mask(lengths: Int[Array, " B"], n_keys: int) -> Bool[Array, "B 1 1 S"]:
    """
    Hide the padding behind each sequence's end.

    Parameters
    ----------
    lengths, n_keys : (B,), int
        Real keys of each sequence, 0 to S; and S.

    Returns
    -------
    mask : (B, 1, 1, S)
        True where j < lengths[b]; broadcasts over heads and queries.

    Examples
    --------
    >>> print(padding_mask(np.array([2, 3]), 4)[:, 0, 0].astype(int))
    [[1 1 0 0]
     [1 1 1 0]]
    """
    return (np.arange(n_keys, like=lengths) < lengths[:, None])[:, None, None, :]


def key_positions(n_queries: int, n_keys: int | None, *, offset: int | None = None, like=None):
    """Return each query's position among the keys, (L, 1), and the keys' own, (1, S)."""
    n_queries, n_keys = options.lengths(n_queries, n_keys)
    offset = n_keys - n_queries if offset is None else options.position("offset", offset)
    like = np.empty(0) if like is None else like
    query = np.arange(n_queries, like=like)[:, None] + offset
    return query, np.arange(n_keys, like=like)[None, :]


def combine_masks(
    n_queries: int, n_keys: int, mask=None, *, causal=False, window=None, offset=None, like=None
) -> Bool[Array, "..."] | None:
    """
    Join everything that hides keys into one mask, or None where nothing does.

    What `mask` allows, and with `causal` what a `causal_mask` allows, and with window = (left, right) what a
    `sliding_window_mask` allows; the other parameters are theirs.
    """
    left, right = options.sides(window)
    right = 0 if causal else right
    if n_queries == 1 and offset is None:
        right = None  # a single query is the last: nothing lies behind it
    if left is None and right is None:
        return mask
    band = sliding_window_mask(n_queries, n_keys, left, right, offset=offset, like=like)
    return band if mask is None else mask & band


def hide(scores: Float[Array, "..."], mask: Bool[Array, "..."] | None) -> Float[Array, "..."]:
    """Set the scores of keys that may not be attended to -inf, so that softmax gives them exactly 0."""
    return scores if mask is None else np.where(mask, scores, -np.inf)
