"""Gradients of the rungs where scores are so large that lse has lost the digits of the sum behind it."""

import numpy as np
import pytest
import torch

from step03_gpu import flash_attention, flash_attention_backward, from_numpy, to_numpy
from step03_gpu.emulator import warp_order
from step03_gpu.flash_attention import on_rung
from tests.attention.test_attention import allowed, torch_attention
from tests.attention.test_option_grid import HEADS, peers
from tests.kernels.test_tensor_cores import DTYPES, check
from tests.tolerances import EPS, assert_all_equal64, assert_earned

NAMES = ("out", "d_q", "d_k", "d_v")
LENGTHS = 40, 70


def draw(rng, dtype, n_queries, n_keys, size=32, heads=(HEADS, 2), batch=()):
    q, d_out = (rng.normal(size=(*batch, heads[0], n_queries, size)).astype(dtype) for _ in range(2))
    return q, *(rng.normal(size=(*batch, heads[1], n_keys, size)).astype(dtype) for _ in range(2)), d_out


def attend(rung, q, k, v, d_out, **options):
    """Return out, lse and the gradients."""
    placed = [from_numpy(x) for x in (q, k, v)]
    out, lse = flash_attention(*placed, **options, rung=rung)
    found = flash_attention_backward(from_numpy(d_out), *placed, out, lse, **options, rung=rung)
    return [to_numpy(x) for x in (out, lse, *found)]


def earn(found, worst, reference, dtype):
    """Compare out and gradients, each as close to float64 as PyTorch's."""
    for i, name in enumerate(NAMES):
        assert_earned(found[i], worst[i], reference[i], dtype, 3 if i else 2, name)


@pytest.mark.grid
@pytest.mark.parametrize("rung", [1, 2, 3])
@pytest.mark.parametrize("largest", [100, 460, 3800])
@pytest.mark.parametrize("causal", [False, True])
def test_float32(rng, rung, largest, causal):
    lengths = 130, 210  # many rows, or PyTorch's largest error is a matter of luck
    q, k, v, d_out = draw(rng, np.float32, *lengths)
    q *= np.float32(largest / 4)
    see = np.broadcast_to(allowed(causal=causal, n_queries=lengths[0], n_keys=lengths[1]), lengths)
    out, _, *gradients = attend(rung, q, k, v, d_out, causal=causal)
    earn([out, *gradients], *peers(rng, (q, k, v, d_out), see, None, None), "float32")


@pytest.mark.grid
@pytest.mark.parametrize("rung", [1, 2, 3])
@pytest.mark.parametrize("size", [1000, 60000])
@pytest.mark.parametrize("causal", [False, True])
def test_float32_where_no_score_is_rounded(rng, rung, size, causal):
    """Half of each key is 1, the rest 0: scores are whole quarters, near each other and far from 0."""
    q, k, v, d_out = draw(rng, np.float32, *LENGTHS, 16)
    q = (size + np.round(q)).astype(np.float32)
    k = rng.permuted(np.broadcast_to(np.arange(16) % 2, k.shape), axis=-1).astype(np.float32)
    see = np.broadcast_to(allowed(causal=causal, n_queries=LENGTHS[0], n_keys=LENGTHS[1]), LENGTHS)
    out, lse, *gradients = attend(rung, q, k, v, d_out, causal=causal)
    assert lse.min() > 1.9 * size
    earn([out, *gradients], *peers(rng, (q, k, v, d_out), see, None, None), "float32")


@pytest.mark.grid
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", [30, 3000])
@pytest.mark.parametrize("size", [64, 128])
def test_16_bits_on_tensor_cores(rng, dtype, spread, size):
    q, k, v, d_out = draw(rng, DTYPES[dtype], 70, 130, size, batch=(1,))
    check([q * DTYPES[dtype](spread), k, v, d_out], dtype, causal=True)


@pytest.mark.parametrize(
    ("rung", "dtype", "size", "scale"),
    [
        (5, "bfloat16", 133120, None),
        (5, "bfloat16", 3e4, -0.125),
        (5, "float16", 1e4, None),
        (2, "bfloat16", 133120, None),
        (3, "float16", 1e4, None),
        (2, "float32", 5e8, None),
        (3, "float32", 5e8, -0.125),
    ],
)
def test_scores_that_are_all_alike(rng, rung, dtype, size, scale):
    """q = k = v, all alike (pytorch/pytorch#121558): every weight is 1/n, and no score has a gradient."""
    x = np.full((1, 2, 40, 64), size, DTYPES.get(dtype, dtype))
    d_out = rng.normal(size=x.shape).astype(x.dtype)
    terms = np.abs(d_out).astype(np.float64).sum(axis=-1).max() * float(x[0, 0, 0, 0]) ** 2 / 8
    for causal in (False, True):
        out, _, d_q, d_k, d_v = attend(rung, x, x, x, d_out, causal=causal, scale=scale)
        see = np.broadcast_to(allowed(causal=causal, n_queries=40, n_keys=40), (40, 40))
        expected = (see / see.sum(axis=1, keepdims=True)).T @ d_out.astype(np.float64)
        np.testing.assert_allclose(out.astype(np.float64), x.astype(np.float64), rtol=4 * EPS["float32"])
        assert abs(d_v - expected).max() <= 3 * 4 * EPS[dtype] * abs(expected).max()
        for found in (
            d_q,
            d_k,
        ):  # d_out · v in two orders in float32; the first key's weights sum to 4.3 at most
            assert abs(found.astype(np.float64)).max() <= 4.3 * 4 * EPS["float32"] * terms


@pytest.mark.parametrize("scale", [-300.0, 1e3, -1e-3, 0.0])
@pytest.mark.parametrize(("rung", "dtype"), [(1, "float32"), (3, "float64"), (5, "float16")])
def test_any_scale(rng, rung, dtype, scale):
    """The row's largest score belongs to the smallest product where the scale is negative."""
    if rung == 5:
        check(draw(rng, np.float16, *LENGTHS, batch=(1,)), "float16", scale=scale)
        return
    q, k, v, d_out = draw(rng, dtype, *LENGTHS, batch=(1,))
    out, _, *gradients = attend(rung, q, k, v, d_out, scale=scale)
    see = np.ones(LENGTHS, bool)
    peer, reference = (
        torch_attention(q, k, v, d_out, see, None, scale, t) for t in (torch.float32, torch.float64)
    )
    if dtype == "float64":
        assert_all_equal64([out, *gradients], reference)
        return
    earn([out, *gradients], peer, reference, "float32")


@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_sum_is_made_of_the_scores_that_the_backward_has(rng, first):
    """Whichever rung went forward: rung 2 adds products in another order, and rounds a score otherwise."""
    q, k, v, d_out = draw(rng, np.float32, *LENGTHS)
    q *= np.float32(1000)
    placed = [from_numpy(x) for x in (q, k, v)]
    out, lse = flash_attention(*placed, rung=first)
    ones = from_numpy(np.ones_like(d_out))
    *_, d_v = flash_attention_backward(ones, *placed, out, lse, rung=4)
    total = to_numpy(d_v).astype(np.float64)[..., 0].sum()  # of all weights: one a query
    assert to_numpy(lse).max() > 4000
    assert abs(total / (HEADS * LENGTHS[0]) - 1) <= 4 * EPS["float32"]


@pytest.mark.parametrize(("rung", "dtype"), [(4, "float32"), (5, "float16")])
def test_a_row_that_is_summed_again_has_a_row_sum_of_its_own(rng, rung, dtype):
    """Of the weights made now: d_out · out, of weights rounded otherwise, is not asked."""
    kind = DTYPES.get(dtype, np.float32)
    q, k, v, d_out = draw(rng, kind, *LENGTHS, batch=(1,))
    q *= kind(500)
    q, k, v, d_out = (from_numpy(x) for x in (q, k, v, d_out))
    out, lse = flash_attention(q, k, v, rung=rung)
    assert abs(to_numpy(lse)).min() > 128
    expected = flash_attention_backward(d_out, q, k, v, out, lse, rung=rung)
    found = flash_attention_backward(d_out, q, k, v, 0 * out, lse, rung=rung)
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_array_equal(to_numpy(x), to_numpy(y))


@pytest.mark.parametrize("n_own", [1, 60, 69])
@pytest.mark.parametrize("size", [1.0, 40.0])
def test_keys_that_are_not_all_find_their_own_share(rng, n_own, size):
    """The lse of all keys is no rounded lse of some: their weights sum to less than 1, and shall."""
    q, k, v, d_out = draw(rng, np.float64, *LENGTHS)
    q *= size
    out, lse, *expected = attend(4, q, k, v, d_out)
    parts = []
    for keys in (slice(0, n_own), slice(n_own, None)):
        arrays = d_out, q, k[:, keys].copy(), v[:, keys].copy(), out, lse
        parts.append([to_numpy(x) for x in on_rung(4).backward(*(from_numpy(x) for x in arrays))])
    (d_q, d_k, d_v), (other_q, other_k, other_v) = parts
    found = d_q + other_q, np.concatenate([d_k, other_k], axis=1), np.concatenate([d_v, other_v], axis=1)
    assert_all_equal64(found, expected)


@pytest.mark.parametrize(("rung", "dtype"), [(3, "float32"), (5, "bfloat16")])
def test_rows_of_either_kind_in_one_tile(rng, rung, dtype):
    """Large scores, small ones and none at all, side by side."""
    kind = DTYPES.get(dtype, dtype)
    q, k, v, d_out = draw(rng, kind, *LENGTHS, batch=(1,))
    q[..., ::3, :] *= kind(500) if rung == 5 else np.float32(500)
    mask = np.ones((LENGTHS[0], 1), bool)
    mask[[0, 7, 39]] = False
    out, lse, *gradients = attend(rung, q, k, v, d_out, mask=from_numpy(mask))
    see = np.broadcast_to(mask, LENGTHS)
    peer, reference = (
        torch_attention(q, k, v, d_out, see, dtype=t) for t in (getattr(torch, dtype), torch.float64)
    )
    earn([out, *gradients], peer, reference, dtype)
    assert not gradients[0][..., ~mask[:, 0], :].any()
    assert (np.isneginf(lse) == ~mask[:, 0]).all()


@pytest.mark.parametrize("order", [("reverse", 0), ("random", 1)])
@pytest.mark.parametrize(("rung", "dtype"), [(3, "float32"), (5, "float16")])
def test_no_barrier_is_missing(rng, rung, dtype, order):
    """Whichever warp goes first, the bits are the same."""
    kind = DTYPES.get(dtype, dtype)
    q, k, v, d_out = draw(rng, kind, 70, 200, 32, heads=(1, 1), batch=(1,))
    arrays = q * np.asarray(100, q.dtype), k, v, d_out
    expected = attend(rung, *arrays)
    with warp_order(*order):
        found = attend(rung, *arrays)
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, y)
