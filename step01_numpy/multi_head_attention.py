"""Multi-head attention: several attentions side by side, each in its own small subspace."""

import numpy as np
from jaxtyping import Bool, Float, Int

from step01_numpy.arrays import Array
from step01_numpy.attention import STANDARD, Attend
from step01_numpy.common.support import checks
from step01_numpy.parameters import Layer, Linear


def split_heads(x: Float[Array, "B L d"], n_heads: int) -> Float[Array, "B H L D"]:
    """
    Cut each row into `n_heads` pieces, and let the heads come before the positions.

    Examples
    --------
    Two positions of four numbers become two heads, each with two positions of two numbers:

    >>> split_heads(np.arange(8.0).reshape(1, 2, 4), 2).tolist()
    [[[[0.0, 1.0], [4.0, 5.0]], [[2.0, 3.0], [6.0, 7.0]]]]
    """
    batch, length, _ = x.shape
    return x.reshape(batch, length, n_heads, -1).swapaxes(1, 2)


def merge_heads(x: Float[Array, "B H L D"]) -> Float[Array, "B L d"]:
    """Undo `split_heads`; each is the other's backward."""
    batch, _, length, _ = x.shape
    return x.swapaxes(1, 2).reshape(batch, length, -1)


class MultiHeadAttention(Layer):
    """
    Project to H queries, H_kv keys and values, attend in each head, merge, project.

    Parameters
    ----------
    d_model, n_heads : int
        n_heads divides d_model, unless the size of a head is given.
    n_kv_heads : int, optional
        H_kv, dividing H: fewer is grouped-query attention, 1 is multi-query attention.
    d_head : int, optional
        D, the size of a head; d_model / n_heads when not given.
    bias : bool
        Whether the four projections add a bias.
    rotary : Rotary, optional
        Turns queries and keys by their positions.
    attend : Attend
    rng : numpy.random.Generator, optional
        Source of the initial weights.

    References
    ----------
    Vaswani et al. 2017, section 3.2.2, arXiv:1706.03762; multi-query: Shazeer 2019, arXiv:1911.02150;
    grouped-query: Ainslie et al. 2023, arXiv:2305.13245.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        *,
        d_head: int | None = None,
        bias: bool = True,
        rotary=None,
        attend: Attend = STANDARD,
        rng=None,
    ):
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        d_head = checks.head_size(d_head, d_model, n_heads)
        checks.divides("n_kv_heads", n_kv_heads, "n_heads", n_heads)
        self.n_heads, self.n_kv_heads, self.rotary, self.attend = n_heads, n_kv_heads, rotary, attend
        d_q, d_kv = n_heads * d_head, n_kv_heads * d_head
        self.w_q = Linear(d_model, d_q, bias=bias, rng=rng)
        self.w_k = Linear(d_model, d_kv, bias=bias, rng=rng)
        self.w_v = Linear(d_model, d_kv, bias=bias, rng=rng)
        self.w_o = Linear(d_q, d_model, bias=bias, rng=rng)

    def forward(
        self,
        x: Float[Array, "B L d_model"],
        context: Float[Array, "B S d_model"] | None = None,
        mask: Bool[Array, "..."] | None = None,
        *,
        causal: bool = False,
        window: tuple | None = None,
        bias: Float[Array, "..."] | None = None,
        positions: Int[Array, "..."] | None = None,
        cache=None,
    ) -> Float[Array, "B L d_model"]:
        """
        Attend from x to the context, or to x itself where there is none; return (B, L, d_model).

        Parameters
        ----------
        x, context : (B, L, d_model), (B, S, d_model)
        mask, bias, causal, window
            As in `scaled_dot_product_attention`. With a cache, S counts all positions seen; of a mask, the
            columns of those still kept are used.
        positions : integers, (B, L), optional
            Where x's rows stand, for `rotary`; by default they follow the cached ones.
        cache : KVCache, optional
            Self-attention appends to it; cross-attention fills it once and then reads it.
        """
        checks.rank("x", x, 3)
        if self.rotary is not None and context is not None:
            raise ValueError("context is given; rotary positions serve self-attention only")
        options = {"causal": causal, "window": window, "bias": bias}
        positions = self._positions(x, cache) if positions is None else positions
        q, k, v = self._project(x, context, positions, cache)
        if cache is not None and mask is not None:
            mask = mask[..., -k.shape[-2] :]
        out, kept = self.attend.forward(q, k, v, mask, **options)
        self.saved = None if cache is not None else (q, k, v, out, kept, mask, options, positions, context)
        return self.w_o(merge_heads(out))

    def backward(
        self, d_out: Float[Array, "B L d_model"]
    ) -> tuple[Float[Array, "B L d_model"], Float[Array, "B S d_model"] | None]:
        """Return d_x and d_context, which is None where x was its own context. Not after a cached forward."""
        if self.saved is None:
            raise RuntimeError("backward follows a forward with a cache; train without one")
        *saved, options, positions, context = self.saved
        d_out = split_heads(self.w_o.backward(d_out), self.n_heads)
        d_q, d_k, d_v = self.attend.backward(d_out, *saved, **options)
        if self.rotary is not None:
            d_q, d_k = (self.rotary.backward(d, positions) for d in (d_q, d_k))
        d_x = self.w_q.backward(merge_heads(d_q))
        d_context = self.w_k.backward(merge_heads(d_k)) + self.w_v.backward(merge_heads(d_v))
        return (d_x + d_context, None) if context is None else (d_x, d_context)

    def qkv(self, x: Float[Array, "B L d_model"]):
        """Return the queries, keys and values that x's rows make of themselves, heads side by side."""
        return self.w_q(x), self.w_k(x), self.w_v(x)

    def _project(self, x, context, positions, cache):
        """Return the queries of x, and the keys and values that they may see, those of the cache included."""
        if context is not None and cache is not None and cache.length:
            return split_heads(self.w_q(x), self.n_heads), cache.keys, cache.values
        q, k, v = self.qkv(x) if context is None else (self.w_q(x), self.w_k(context), self.w_v(context))
        q = split_heads(q, self.n_heads)
        k, v = (split_heads(x, self.n_kv_heads) for x in (k, v))
        if self.rotary is not None:
            q, k = self.rotary.forward(q, positions), self.rotary.forward(k, positions)
        return (q, k, v) if cache is None else (q, *cache.append(k, v))

    def _positions(self, x, cache):
        start = 0 if cache is None else cache.length
        return np.arange(start, start + x.shape[1], like=x)[None, :]
