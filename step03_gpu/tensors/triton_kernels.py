"""
Flash attention's kernels in Triton: a program for each block of queries or keys, every sum in one place.

All arrays are contiguous, heads flattened into one axis: q (B·H, L, D), k and v (B·H_kv, S, D), lse and sums
(B·H, L); D is a power of two. Query i sees key j when i + low <= j <= i + high and the mask, if any, agrees;
s_batch to s_key are its strides. Lengths, heads, band and strides are arguments of their own, for only so
`do_not_specialize` keeps a new length from being compiled anew; within, they go in tuples: lengths (L, S),
heads (H, H_kv), band (low, high), strides (B, H, L, S).
lse is in bits, log2 Σ 2^scores, as the forward summed it: by way of nats and back, each rounding, it would
no longer fit the scores that the backward makes again. Tiles that are seen whole take a loop without
comparisons; tiles that nobody sees are not visited.

The annotations are Triton's; `no_type_check` keeps other readers of annotations away.
"""

from typing import no_type_check

import triton
import triton.language as tl

SIZES = ["s_batch", "s_head", "s_query", "s_key", "n_heads", "n_kv_heads"]
SIZES += ["n_queries", "n_keys", "low", "high"]
LOG2E = tl.constexpr(1.4426950408889634)  # exp(x) = exp2(x · log2 e), and exp2 is what the hardware has


@triton.jit(do_not_specialize=SIZES)
@no_type_check
def forward(q, k, v, mask, s_batch, s_head, s_query, s_key, out, lse, scale,
            n_heads, n_kv_heads, n_queries, n_keys, low, high,
            D: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr):  # fmt: skip
    """Attend with one block of queries of one head (Dao 2023, algorithm 1, arXiv:2307.08691)."""
    strides, heads = (s_batch, s_head, s_query, s_key), (n_heads, n_kv_heads)
    lengths, band = (n_queries, n_keys), (low, high)
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_Q  # where causal, the longest start first
    head = tl.program_id(1).to(tl.int64)
    rows = first + tl.arange(0, BLOCK_Q)
    tiles = _load(q, head, rows, lengths[0], D, True), k, v, rows, head
    problem = mask, strides, heads, lengths, band
    none = tl.zeros((BLOCK_Q, D), tl.float32), tl.zeros((BLOCK_Q,), tl.float32)
    sums = none[0], none[1], none[1] - float("inf")
    last = tl.minimum(first + BLOCK_Q, lengths[0]) - 1
    start, whole, ragged, end = _spans(first, last, band[0], band[1], lengths[1], mask is None, BLOCK_K)
    sums = _add_keys(sums, tiles, problem, scale * LOG2E, start, whole, True, D, BLOCK_K)
    sums = _add_keys(sums, tiles, problem, scale * LOG2E, whole, ragged, False, D, BLOCK_K)
    total_out, total, largest = _add_keys(sums, tiles, problem, scale * LOG2E, ragged, end, True, D, BLOCK_K)
    safe = tl.where(total == 0, 1.0, total)
    bits = tl.where(total == 0, float("-inf"), largest + tl.log2(safe))
    _store(out, head, rows, lengths[0], total_out / safe[:, None], D)
    tl.store(lse + head * lengths[0] + rows, bits, mask=rows < lengths[0])


@triton.jit
@no_type_check
def _add_keys(sums, tiles, problem, scale, start, end,
              PARTLY: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Walk along the keys from `start` to `end` with a running sum and maximum; PARTLY: some are hidden."""
    out, total, largest = sums
    q, k, v, rows, head = tiles
    kv_head, lengths = _kv_head(head, problem), problem[3]
    for first in tl.range(start, end, BLOCK):
        keys = first + tl.arange(0, BLOCK)
        scores = tl.dot(q, _load(k, kv_head, keys, lengths[1], D, PARTLY).T, input_precision="ieee")
        if PARTLY:
            visible = _visible(rows[:, None], keys[None, :], head, problem)
            scores = tl.where(visible, scores, float("-inf"))
        before = largest
        largest = tl.maximum(largest, tl.max(scores, 1) * scale)
        reference = tl.where(largest == float("-inf"), 0.0, largest) if PARTLY else largest
        weights = tl.exp2(scores * scale - reference[:, None])
        fade = tl.exp2(before - reference)
        total = total * fade + tl.sum(weights, 1)
        tile_v = _load(v, kv_head, keys, lengths[1], D, PARTLY)
        out = tl.dot(weights.to(tile_v.dtype), tile_v, out * fade[:, None], input_precision="ieee")
    return out, total, largest


@triton.jit(do_not_specialize=["n_rows"])
@no_type_check
def row_sum(d_out, out, sums, n_rows, D: tl.constexpr, BLOCK: tl.constexpr):
    """Sum d_out · out along each row: Σ_j d_weights_j weights_j, without the weights."""
    rows = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    product = _load(d_out, 0, rows, n_rows, D, True).to(tl.float32)
    product *= _load(out, 0, rows, n_rows, D, True).to(tl.float32)
    tl.store(sums + rows, tl.sum(product, 1), mask=rows < n_rows)


@triton.jit(do_not_specialize=SIZES)
@no_type_check
def key_gradients(q, k, v, mask, s_batch, s_head, s_query, s_key, d_out, lse, sums, d_k, d_v, scale,
                  n_heads, n_kv_heads, n_queries, n_keys, low, high,
                  D: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr):  # fmt: skip
    """Collect d_k and d_v of one block of keys from all that see it: all queries, all heads of the group."""
    strides, heads = (s_batch, s_head, s_query, s_key), (n_heads, n_kv_heads)
    lengths, band = (n_queries, n_keys), (low, high)
    first = tl.program_id(0) * BLOCK_K
    kv_head = tl.program_id(1).to(tl.int64)
    keys = first + tl.arange(0, BLOCK_K)
    tile_k, tile_v = (
        _load(k, kv_head, keys, lengths[1], D, True),
        _load(v, kv_head, keys, lengths[1], D, True),
    )
    problem = mask, strides, heads, lengths, band
    sums_kv = tl.zeros((BLOCK_K, D), tl.float32), tl.zeros((BLOCK_K, D), tl.float32)
    last = tl.minimum(first + BLOCK_K, lengths[1]) - 1
    start, whole, ragged, end = _spans(first, last, -band[1], -band[0], lengths[0], mask is None, BLOCK_Q)
    for member in range(0, heads[0] // heads[1]):
        head = kv_head * (heads[0] // heads[1]) + member
        tiles = tile_k, tile_v, q, d_out, lse, sums, keys, head
        sums_kv = _add_queries(sums_kv, tiles, problem, scale * LOG2E, start, whole, True, D, BLOCK_Q)
        sums_kv = _add_queries(sums_kv, tiles, problem, scale * LOG2E, whole, ragged, False, D, BLOCK_Q)
        sums_kv = _add_queries(sums_kv, tiles, problem, scale * LOG2E, ragged, end, True, D, BLOCK_Q)
    _store(d_k, kv_head, keys, lengths[1], sums_kv[0] * scale, D)
    _store(d_v, kv_head, keys, lengths[1], sums_kv[1], D)


@triton.jit
@no_type_check
def _add_queries(sums_kv, tiles, problem, scale, start, end,
                 PARTLY: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Walk along the queries from `start` to `end`; the weights come out transposed, (keys, queries)."""
    d_k, d_v = sums_kv
    k, v, q, d_out, lse, sums, keys, head = tiles
    lengths = problem[3]
    for first in tl.range(start, end, BLOCK):
        rows = first + tl.arange(0, BLOCK)
        tile_q = _load(q, head, rows, lengths[0], D, PARTLY)
        if k.dtype == tl.float32:  # in the forward's order, or it rounds otherwise and lse does not fit
            scores = tl.dot(tile_q, k.T, input_precision="ieee").T
        else:
            scores = tl.dot(k, tile_q.T)
        exponents = scores * scale - _load_row(lse, head, rows, lengths[0], PARTLY)[None, :]
        if PARTLY:
            visible = _visible(rows[None, :], keys[:, None], head, problem)
            exponents = tl.where(visible, exponents, float("-inf"))
        weights = tl.exp2(exponents)
        tile_d = _load(d_out, head, rows, lengths[0], D, PARTLY)
        d_v = tl.dot(weights.to(tile_d.dtype), tile_d, d_v, input_precision="ieee")  # out = weights @ v
        d_weights = tl.dot(v, tile_d.T, input_precision="ieee")
        d_scores = weights * (d_weights - _load_row(sums, head, rows, lengths[0], PARTLY)[None, :])
        d_k = tl.dot(d_scores.to(tile_q.dtype), tile_q, d_k, input_precision="ieee")
    return d_k, d_v


@triton.jit(do_not_specialize=SIZES)
@no_type_check
def query_gradients(q, k, v, mask, s_batch, s_head, s_query, s_key, d_out, lse, sums, d_q, scale,
                    n_heads, n_kv_heads, n_queries, n_keys, low, high,
                    D: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr):  # fmt: skip
    """Collect d_q of one block of queries from all keys that it sees."""
    strides, heads = (s_batch, s_head, s_query, s_key), (n_heads, n_kv_heads)
    lengths, band = (n_queries, n_keys), (low, high)
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_Q
    head = tl.program_id(1).to(tl.int64)
    rows = first + tl.arange(0, BLOCK_Q)
    own = _load(q, head, rows, lengths[0], D, True), _load(d_out, head, rows, lengths[0], D, True)
    numbers = _load_row(lse, head, rows, lengths[0], True), _load_row(sums, head, rows, lengths[0], True)
    tiles = own[0], own[1], numbers[0], numbers[1], k, v, rows, head
    problem = mask, strides, heads, lengths, band
    tile = tl.zeros((BLOCK_Q, D), tl.float32)
    last = tl.minimum(first + BLOCK_Q, lengths[0]) - 1
    start, whole, ragged, end = _spans(first, last, band[0], band[1], lengths[1], mask is None, BLOCK_K)
    tile = _add_keys_backward(tile, tiles, problem, scale * LOG2E, start, whole, True, D, BLOCK_K)
    tile = _add_keys_backward(tile, tiles, problem, scale * LOG2E, whole, ragged, False, D, BLOCK_K)
    tile = _add_keys_backward(tile, tiles, problem, scale * LOG2E, ragged, end, True, D, BLOCK_K)
    _store(d_q, head, rows, lengths[0], tile * scale, D)


@triton.jit
@no_type_check
def _add_keys_backward(d_q, tiles, problem, scale, start, end,
                       PARTLY: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Walk along the keys from `start` to `end` once more, making the weights again from lse."""
    q, d_out, lse, sums, k, v, rows, head = tiles
    kv_head, lengths = _kv_head(head, problem), problem[3]
    for first in tl.range(start, end, BLOCK):
        keys = first + tl.arange(0, BLOCK)
        tile_k = _load(k, kv_head, keys, lengths[1], D, PARTLY)
        exponents = tl.dot(q, tile_k.T, input_precision="ieee") * scale - lse[:, None]
        if PARTLY:
            visible = _visible(rows[:, None], keys[None, :], head, problem)
            exponents = tl.where(visible, exponents, float("-inf"))
        weights = tl.exp2(exponents)
        tile_v = _load(v, kv_head, keys, lengths[1], D, PARTLY)
        d_weights = tl.dot(d_out, tile_v.T, input_precision="ieee")
        d_scores = weights * (d_weights - sums[:, None])
        d_q = tl.dot(d_scores.to(tile_k.dtype), tile_k, d_q, input_precision="ieee")
    return d_q


@triton.jit
@no_type_check
def _spans(first, last, low, high, n, WHOLE: tl.constexpr, TILE: tl.constexpr):
    """Cut what rows `first` to `last` see into tiles: seen in part, seen whole, in part: four bounds."""
    start = tl.maximum(first + low, 0) // TILE * TILE
    end = tl.minimum(last + high + 1, n)
    whole = tl.cdiv(tl.maximum(last + low, 0), TILE) * TILE
    ragged = tl.maximum(tl.minimum(first + high + 1, n), 0) // TILE * TILE
    some = (ragged > whole) & WHOLE
    return start, tl.where(some, whole, start), tl.where(some, ragged, start), end


@triton.jit
@no_type_check
def _visible(rows, keys, head, problem):
    """Tell which keys a query sees, given both as indices, one as a column and the other as a row."""
    mask, strides, heads, lengths, band = problem
    real = (rows < lengths[0]) & (keys < lengths[1])
    visible = real & (rows + band[0] <= keys) & (keys <= rows + band[1])
    if mask is not None:
        where = mask + head // heads[0] * strides[0] + head % heads[0] * strides[1]
        where += rows.to(tl.int64) * strides[2] + keys.to(tl.int64) * strides[3]
        visible = visible & (tl.load(where, mask=real, other=0) != 0)
    return visible


@triton.jit
@no_type_check
def _kv_head(head, problem):
    heads = problem[2]
    return head // (heads[0] // heads[1])


@triton.jit
@no_type_check
def _load(x, head, rows, n_rows, D: tl.constexpr, PARTLY: tl.constexpr):
    where = x + head * n_rows * D + rows[:, None] * D + tl.arange(0, D)[None, :]
    return tl.load(where, mask=rows[:, None] < n_rows, other=0.0) if PARTLY else tl.load(where)


@triton.jit
@no_type_check
def _load_row(x, head, rows, n_rows, PARTLY: tl.constexpr):
    where = x + head * n_rows + rows
    return tl.load(where, mask=rows < n_rows, other=0.0) if PARTLY else tl.load(where)


@triton.jit
@no_type_check
def _store(x, head, rows, n_rows, tile, D: tl.constexpr):
    where = x + head * n_rows * D + rows[:, None] * D + tl.arange(0, D)[None, :]
    tl.store(where, tile.to(x.dtype.element_ty), mask=rows[:, None] < n_rows)
