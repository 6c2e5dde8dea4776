"""FlashAttention (Dao et al. 2022): the numbers of `attention.py`, tile by tile; no L×S matrix is stored."""

from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float

from step01_numpy.common.support import checks, gradients
from step02_torch.arrays import Array, follow_autocast, gradients_of, is_known, widen, without_autocast
from step02_torch.attention import cap, scale_or_default
from step02_torch.masks import combine_masks, hide
from step02_torch.softmax import softmax

__all__ = ["FLASH", "flash_attention"]  # the backward is for those who need it: autograd does it otherwise

_QUERIES, _KEYS = 256, 512  # in a tile


@follow_autocast
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
) -> tuple[Float[Array, "*heads L D_v"], Float[Array, "*heads L"]]:
    """
    Attend as `scaled_dot_product_attention` does, in memory that grows with L + S and not with L·S.

    Parameters
    ----------
    q, k, v, mask, bias, causal, window, offset, scale, softcap
        As there. A mask or bias is read in tiles, never expanded.

    Returns
    -------
    out : (*heads, L, D_v)
    lse : (*heads, L)
        log Σ exp(scores) in nats, from which the backward makes the weights again. -inf for a query that
        may attend to no key. float32 for 16-bit inputs; it has no gradient.

    References
    ----------
    Dao et al. 2022, algorithm 1, arXiv:2205.14135, with the queries in the outer loop as in Dao 2023,
    algorithm 1, arXiv:2307.08691; the running sum: Milakov and Gimelshein 2018, arXiv:1805.02867.
    """
    options = checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    rule = _rule(q, k, mask, bias, causal, *options)
    return _FlashAttention.apply(q, k, v, rule)


def _attend(rule, q, k, v, rows):
    """Walk along the keys with the n queries in `rows`, keeping a running maximum and a running sum."""
    out = q.new_zeros(*q.shape[:-1], v.shape[-1])
    shift = total = q.new_zeros(*q.shape[:-1], 1)
    largest = total - torch.inf
    for keys in rule.tiles(rows):
        _, scores = rule.scores(q, k, rows, keys)  # (*kv_heads, group, n, w)
        previous, largest = largest, torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        shift = torch.where(largest.isfinite(), largest, 0)
        fade = torch.exp(previous - shift)  # what was summed so far was relative to the previous maximum
        weights = torch.exp(scores - shift)
        total = total * fade + weights.sum(dim=-1, keepdim=True)
        out = out * fade + weights @ v[..., keys, :]
    empty = total == 0  # queries that saw no key
    total = torch.where(empty, 1, total)
    return out / total, torch.where(empty, -torch.inf, shift + torch.log(total))[..., 0]


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
) -> tuple[Float[Array, "*heads L D"], Float[Array, "*kv_heads S D"], Float[Array, "*kv_heads S D_v"]]:
    """
    Differentiate `flash_attention` where autograd cannot: out and lse may be of more keys than k and v hold.

    Autograd does this by itself for all keys at once. Where each device holds some of them, out and lse are
    merged from all, and each device finds the gradients of its own keys, and its share of d_q.

    Returns
    -------
    d_q, d_k, d_v
        In the shapes and dtype of q, k, v; exactly 0 for a query that may attend to no key.

    References
    ----------
    Dao et al. 2022, algorithm 4, arXiv:2205.14135.
    """
    options = checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    gradients.attention(Array, q, k, v, d_out=d_out, out=out, lse=lse)
    rule = _rule(q, k, mask, bias, causal, *options)
    return _backward(rule, d_out, q, k, v, out, lse)


def _backward(rule, d_out, q, k, v, out, lse):
    wide = [_by_group(widen(x), k) for x in (d_out, q, out, lse.unsqueeze(-1))]
    wide += [widen(k).unsqueeze(-3), widen(v).unsqueeze(-3)]
    d_q, d_k, d_v = torch.empty_like(wide[1]), torch.zeros_like(wide[-2]), torch.zeros_like(wide[-1])
    for rows in _slices(0, q.shape[-2], _QUERIES):
        row_side = (x[..., rows, :] for x in wide[:4])
        d_q[..., rows, :] = _attend_backward(rule, *row_side, *wide[4:], d_k, d_v, rows)
    return tuple(d.reshape(x.shape).to(x.dtype) for d, x in ((d_q, q), (d_k, k), (d_v, v)))


def _attend_backward(rule, d_out, q, out, lse, k, v, d_k, d_v, rows):
    """Return d_q of the n queries in `rows`, and add their share to d_k and d_v."""
    norm, tiles = torch.where(lse == -torch.inf, 0, lse), rule.tiles(rows)  # (*kv_heads, group, n, 1)
    if (
        not is_known(norm) or (abs(norm) > 16).any()
    ):  # its rounding shows in the weights: see what they sum to
        total = sum(torch.exp(rule.scores(q, k, rows, x)[1] - norm).sum(dim=-1, keepdim=True) for x in tiles)
        rounded = abs(total - 1) <= 16 * torch.finfo(q.dtype).eps * abs(norm)  # or lse is of more keys
        d_out = d_out / torch.where(rounded, total, 1)
    row_sum = (d_out * out).sum(dim=-1, keepdim=True)  # Σ_j d_weights_j weights_j
    d_q = torch.zeros_like(q)
    for keys in tiles:
        raw, scores = rule.scores(q, k, rows, keys)
        weights = torch.exp(scores - norm)  # those of the forward, made again
        d_v[..., keys, :] += _sum_group(weights.mT @ d_out)
        d_weights = d_out @ v[..., keys, :].mT  # out = weights @ v
        d_scores = weights * (d_weights - row_sum)  # weights = softmax(scores)
        if rule.softcap is not None:  # the derivative of c·tanh(s / c) is 1 - tanh²(s / c)
            d_scores = d_scores * (1 - torch.tanh(raw / rule.softcap) ** 2)
        d_scores = d_scores * rule.scale  # scores = q kᵀ · scale
        d_q += d_scores @ k[..., keys, :]
        d_k[..., keys, :] += _sum_group(d_scores.mT @ q)
    return d_q


class _FlashAttention(torch.autograd.Function):
    """Autograd would keep the weights of every tile; this keeps q, k, v, out and one number a row."""

    generate_vmap_rule = True

    @staticmethod
    def forward(q, k, v, rule):
        wide_q, wide_k, wide_v = _by_group(widen(q), k), widen(k).unsqueeze(-3), widen(v).unsqueeze(-3)
        rows_of_tiles = _slices(0, q.shape[-2], _QUERIES)
        parts = [_attend(rule, wide_q[..., rows, :], wide_k, wide_v, rows) for rows in rows_of_tiles]
        out, lse = (torch.cat(x, dim=dim) for x, dim in zip(zip(*parts, strict=True), (-2, -1), strict=True))
        return out.reshape(*q.shape[:-1], -1).to(q.dtype), lse.reshape(q.shape[:-1])

    @staticmethod
    def setup_context(ctx, inputs, output):
        *qkv, ctx.rule = inputs
        ctx.save_for_backward(*qkv, *output)
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, d_out, _):
        q, k, v, out, lse = ctx.saved_tensors
        if torch.is_grad_enabled():  # what is returned is to be differentiated too
            return *gradients_of(partial(_at_once, ctx.rule), (q, k, v), d_out), None
        with without_autocast(q):
            return *_backward(ctx.rule, d_out, q, k, v, out, lse), None


def _at_once(rule, q, k, v):
    """Attend in a single tile, all weights at hand, in operations that autograd knows."""
    rows, keys = slice(0, q.shape[-2]), slice(0, rule.n_keys)
    _, scores = rule.scores(_by_group(widen(q), k), widen(k).unsqueeze(-3), rows, keys)
    out = softmax(scores) @ widen(v).unsqueeze(-3)
    return out.reshape(*q.shape[:-1], -1).to(q.dtype)


class _Rule(NamedTuple):
    """How a tile of scores comes about, and which of its keys are visible."""

    n_keys: int
    mask: Array | None  # (*kv_heads, group, L, S), as is bias: views, which take no memory
    bias: Array | None
    left: int | None
    right: int | None
    offset: int
    scale: float
    softcap: float | None

    def tiles(self, rows: slice) -> list[slice]:
        """Cut the keys that any query in `rows` may see into tiles."""
        first, last = 0, self.n_keys
        if self.left is not None:
            first = max(first, rows.start + self.offset - self.left)
        if self.right is not None:
            last = min(last, rows.stop + self.offset + self.right)
        return _slices(first, last, _KEYS)

    def scores(self, q, k, rows, keys) -> tuple[Array, Array]:
        """Return a tile's scores as they are, and as softmax takes them: capped, biased, hidden."""
        raw = (q * self.scale) @ k[..., keys, :].mT
        scores = cap(raw, self.softcap)
        if self.bias is not None:
            scores = scores + self.bias[..., rows, keys].to(scores.dtype)
        mask = None if self.mask is None else self.mask[..., rows, keys]
        offset = self.offset + rows.start - keys.start  # where the tile's first query stands among its keys
        window = self.left, self.right
        return raw, hide(scores, combine_masks(*raw.shape[-2:], mask, window=window, offset=offset, like=q))


def _rule(q, k, mask, bias, causal, window, offset, scale, softcap) -> _Rule:
    shape = (*q.shape[:-1], k.shape[-2])
    mask, bias = (x if x is None else _by_group(x.detach().expand(shape), k) for x in (mask, bias))
    left, right = (None, None) if window is None else window
    offset = shape[-1] - shape[-2] if offset is None else offset
    right = 0 if causal else right
    return _Rule(shape[-1], mask, bias, left, right, offset, scale_or_default(scale, q), softcap)


def _by_group(x, k) -> Array:
    """Sort query heads by the key/value head that they share: (*kv_heads, group, ...)."""
    return x.reshape(*k.shape[:-2], -1, *x.shape[-2:])


def _sum_group(x) -> Array:
    return x.sum(dim=-3, keepdim=True)


def _slices(first: int, last: int, step: int) -> list[slice]:
    return [slice(i, min(i + step, last)) for i in range(first, last, step)]


FLASH = flash_attention
