"""
Flash attention on the device: the same numbers in tiles of keys; no (L, S) array is ever stored.

As array operations (`rung=0`) all queries meet one tile of keys at a time: a GPU is filled by the queries
and heads, and an array operation cannot do better. Keeping a tile of queries in fast memory as well takes a
kernel: the rungs of `kernels/`, which `rungs.py` lists.
"""

from functools import partial

from jaxtyping import Bool, Float

from step01_numpy.common.support import checks, gradients
from step03_gpu.arrays import Array, array_module, widen
from step03_gpu.attention import (
    Attend,
    attention_scores,
    cap,
    cap_backward,
    repeat_heads,
    repeat_heads_backward,
    scale_or_default,
)
from step03_gpu.kernels import fitting
from step03_gpu.kernels.rungs import choose
from step03_gpu.masks import combine_masks, hide

__all__ = ["FLASH", "flash_attention", "flash_attention_backward", "on_rung"]

TILE = 256  # keys


def flash_attention(
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
    rung: int | str | None = None,
) -> tuple[Float[Array, "*heads L D_v"], Float[Array, "*heads L"]]:
    """
    Compute `scaled_dot_product_attention` tile by tile.

    Parameters
    ----------
    q, k, v, mask, bias, causal, window, offset, scale, softcap
        As in `scaled_dot_product_attention`.
    rung : int, or "decoding", optional
        Which kernels compute it; 0 = array operations. Default: on a GPU "decoding" for up to four queries,
        else the best rung that covers the call; on the host array operations, since kernels are emulated
        there, slowly.

    Returns
    -------
    out : (*heads, L, D_v)
    lse : (*heads, L)
        Log-sum-exp of each query's scores, in nats: all that the backward needs of the softmax. -inf for a
        query that may attend to no key.

    Notes
    -----
    With each tile the largest score m so far may grow; what was summed before is then scaled by
    exp(m_before - m).

    References
    ----------
    Milakov and Gimelshein 2018, algorithm 3, arXiv:1805.02867; Dao et al. 2022, algorithm 1,
    arXiv:2205.14135.
    """
    options = checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    window, offset, scale, softcap = options
    if rung := choose(rung, q, v, bias, softcap, forward=True):
        visible = {"causal": causal, "window": window, "offset": offset}
        return fitting.forward(rung, q, k, v, mask, scale=scale, **visible)
    xp, wide_q = array_module(q), widen(q)
    largest = xp.full((*q.shape[:-1], 1), -xp.inf, wide_q.dtype)
    total, out = xp.zeros_like(largest), xp.zeros((*q.shape[:-1], v.shape[-1]), wide_q.dtype)
    for keys, visible in _tiles(q, k, mask, causal, window, offset):
        scores = cap(attention_scores(wide_q, _heads(k, keys, q), scale), softcap)
        scores = hide(_plus(scores, bias, keys), visible)
        before, largest = largest, xp.maximum(largest, scores.max(axis=-1, keepdims=True))
        reference = xp.where(largest == -xp.inf, 0, largest)  # nothing seen yet: any number will do
        weights, rescale = xp.exp(scores - reference), xp.exp(before - reference)
        total = total * rescale + weights.sum(axis=-1, keepdims=True)
        out = out * rescale + weights @ _heads(v, keys, q)
    empty = total == 0
    total = xp.where(empty, 1, total)
    lse = xp.where(empty, -xp.inf, largest + xp.log(total))
    return (out / total).astype(q.dtype, copy=False), lse[..., 0]


def flash_attention_backward(
    d_out: Float[Array, "*heads L D_v"],
    q: Float[Array, "*heads L D"],
    k: Float[Array, "*kv_heads S D"],
    v: Float[Array, "*kv_heads S D_v"],
    out: Float[Array, "*heads L D_v"],
    lse: Float[Array, "*heads L"],
    mask: Bool[Array, "..."] | None = None,
    *,
    bias: Float[Array, "..."] | None = None,
    causal: bool = False,
    window: tuple | None = None,
    offset: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    rung: int | str | None = None,
) -> tuple[Float[Array, "*heads L D"], Float[Array, "*kv_heads S D"], Float[Array, "*kv_heads S D_v"]]:
    """
    Differentiate `flash_attention`, computing each tile's weights again: exp(scores - lse).

    Parameters
    ----------
    d_out : (*heads, L, D_v)
    q, k, v, mask, bias, causal, window, offset, scale, softcap, rung
        What the forward was given; it need not be the same rung.
    out, lse
        What it returned.

    Returns
    -------
    d_q, d_k, d_v
        In the shapes of q, k, v.

    Notes
    -----
    lse is rounded: by half a thousandth at 1e4. Beyond ±16 a row's weights are therefore summed again, by
    array operations and by the rungs, and that sum is taken where it is 1 but for rounding: lse may be of
    more keys than these.

    References
    ----------
    Dao et al. 2022, algorithm 4, arXiv:2205.14135.
    """
    options = checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    window, offset, scale, softcap = options
    gradients.attention(Array, q, k, v, d_out=d_out, out=out, lse=lse)
    if rung := choose(rung, q, v, bias, softcap):
        visible = {"causal": causal, "window": window, "offset": offset}
        return fitting.backward(rung, d_out, q, k, v, out, lse, mask, scale=scale, **visible)
    tiles = partial(_tiles, q, k, mask, causal, window, offset)  # anew each time: never all masks at once
    return _backward(d_out, q, k, v, out, lse[..., None], tiles, bias, scale, softcap)


def _backward(d_out, q, k, v, out, lse, tiles, bias, scale, softcap):
    """Walk along the tiles a second time; each makes its weights again."""
    xp, factor = array_module(q), scale_or_default(scale, q)
    wide_q, d_out, heads = widen(q), widen(d_out), k.shape[:-2]
    norm = xp.where(lse == -xp.inf, 0, lse)

    def attend(keys, visible):
        """Return a tile's scores as they are, and its weights."""
        raw = attention_scores(wide_q, _heads(k, keys, q), scale)
        return raw, xp.exp(hide(_plus(cap(raw, softcap), bias, keys), visible) - norm)

    if (abs(norm) > 16).any():  # its rounding shows in the weights: see what they sum to
        total = sum(attend(*tile)[1].sum(axis=-1, keepdims=True) for tile in tiles())
        rounded = abs(total - 1) <= 16 * xp.finfo(wide_q.dtype).eps * abs(norm)  # or lse is of more keys
        d_out = d_out / xp.where(rounded, total, 1)
    row_sum = (d_out * widen(out)).sum(axis=-1, keepdims=True)  # Σ_j d_weights_j weights_j
    d_q, d_k, d_v = (xp.zeros(x.shape, wide_q.dtype) for x in (q, k, v))
    for keys, visible in tiles():
        tile_k, tile_v = _heads(k, keys, q), _heads(v, keys, q)
        raw, weights = attend(keys, visible)
        d_scores = weights * (d_out @ tile_v.swapaxes(-1, -2) - row_sum)
        if softcap is not None:
            d_scores = cap_backward(d_scores, raw, softcap)
        d_scores = d_scores * factor
        d_q += d_scores @ tile_k
        d_k[..., keys, :] = repeat_heads_backward(d_scores.swapaxes(-1, -2) @ wide_q, heads)
        d_v[..., keys, :] = repeat_heads_backward(weights.swapaxes(-1, -2) @ d_out, heads)
    return tuple(x.astype(q.dtype, copy=False) for x in (d_q, d_k, d_v))


def _tiles(q, k, mask, causal, window, offset):
    """Yield each tile of keys that some query may see, as a slice, with its mask (None: all visible)."""
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    offset = n_keys - n_queries if offset is None else offset
    left, right = (None, None) if window is None else window
    right = 0 if causal else right
    first = 0 if left is None else max(0, offset - left)  # the first query's first key
    end = n_keys if right is None else min(n_keys, n_queries + offset + right)
    for start in range(first // TILE * TILE, end, TILE):
        keys = slice(start, min(start + TILE, n_keys))
        tile_mask = None if mask is None else _part(mask, keys)
        yield (
            keys,
            combine_masks(
                n_queries,
                keys.stop - start,
                tile_mask,
                causal=causal,
                window=window,
                offset=offset - start,
                like=q,
            ),
        )


def _heads(x, keys, q):
    return repeat_heads(widen(x[..., keys, :]), q)


def _part(x, keys):
    return x if x.ndim == 0 or x.shape[-1] == 1 else x[..., keys]


def _plus(scores, bias, keys):
    return scores if bias is None else scores + widen(_part(bias, keys))


def on_rung(rung: int | str) -> Attend:
    """Return flash attention on one rung of the ladder, for a module's `attend=`."""
    return Attend(partial(flash_attention, rung=rung), partial(flash_attention_backward, rung=rung))


FLASH = Attend(flash_attention, flash_attention_backward)
