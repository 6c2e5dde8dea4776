"""Rung 6, attention by products and copies that run by themselves: against PyTorch, emulated or on Hopper."""

import numpy as np
import pytest
import torch

from step03_gpu import flash_attention, from_numpy, to_numpy
from step03_gpu.arrays import default_device
from step03_gpu.emulator import warp_order
from step03_gpu.kernels import hopper
from tests.attention.test_attention import allowed
from tests.kernels.test_tensor_cores import DTYPES, arrays, check_lse, torch_attention
from tests.kernels.test_tensor_cores import check as check_rung
from tests.tolerances import assert_earned


def lacks():
    """Say why a GPU at hand cannot run this rung; the emulator can."""
    return None if default_device() == "host" else hopper.lacking(from_numpy(np.zeros(1, np.float16)))


pytestmark = pytest.mark.skipif(lacks() is not None, reason=str(lacks()))


def forward(inputs, **options):
    return tuple(
        to_numpy(x) for x in flash_attention(*(from_numpy(x) for x in inputs[:3]), rung=6, **options)
    )


def check(inputs, dtype, mask=None, scale=None, **options):
    """Compare out and lse with float64, as close as PyTorch's in the same dtype."""
    q, k, v, d_out = inputs
    out, lse = forward(inputs, mask=None if mask is None else from_numpy(mask), scale=scale, **options)
    see = allowed(mask, n_queries=q.shape[2], n_keys=k.shape[2], **options)
    reference, peer = (
        torch_attention(q, k, v, d_out, see, None, scale, t)[0]
        for t in (torch.float64, getattr(torch, dtype))
    )
    assert_earned(out, peer, reference, dtype, 2, "out")
    check_lse(lse, q, k, see, scale)
    hidden = ~np.broadcast_to(see, (*q.shape[:2], *see.shape[-2:])).any(axis=-1)
    assert not out[hidden].any()
    return out, lse


@pytest.mark.grid
@pytest.mark.parametrize("size", [32, 64, 96, 128])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_size_and_dtype(rng, dtype, size):
    """Grouped heads, two tiles of queries and of keys; sizes between grow by columns of zeros."""
    check(arrays(rng, dtype, size, 130, 150, heads=(4, 2)), dtype, causal=True)


@pytest.mark.parametrize("heads", [(6, 2), (2, 1), (3, 3)])
def test_gradients_are_rung_5s(rng, heads):
    check_rung(arrays(rng, "float16", 64, 70, 90, heads=heads, batch=2), "float16", rung=6, causal=True)


@pytest.mark.grid
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("n_queries", "n_keys"),
    [(1, 1), (1, 300), (5, 129), (127, 63), (128, 128), (129, 257), (257, 129), (65, 700), (300, 20)],
)
def test_lengths_around_tile_edges(rng, n_queries, n_keys, causal):
    """More keys than there are slots; more queries than keys, of which the first see nothing."""
    check(arrays(rng, "float16", 64, n_queries, n_keys, batch=2), "float16", causal=causal)


@pytest.mark.parametrize(
    "options",
    [
        {"window": (20, 10)},
        {"window": (70, None), "causal": True},
        {"window": (None, 3), "offset": -40},
        {"window": (0, 0), "offset": 300},
        {"causal": True, "offset": 0},
        {"causal": True, "offset": -1000},
        {"window": (10, 10), "offset": 10**9},
    ],
    ids=str,
)
def test_windows_and_offsets_skip_tiles(rng, options):
    check(arrays(rng, "float16", 64, 200, 700, heads=(2, 2)), "float16", **options)


def test_a_tail_is_not_the_next_head(rng):
    """Behind the last key of a head lie the next head's: a box takes none of them."""
    inputs = arrays(rng, "float16", 128, 20, 130, heads=(2, 2), batch=2)
    expected = forward(inputs)
    for x in inputs[1:3]:
        x[:, 1] = np.inf
    for found, wanted in zip(forward(inputs), expected, strict=True):
        np.testing.assert_array_equal(found[:, 0], wanted[:, 0])


@pytest.mark.parametrize("shape", [(2, 4, 130, 150), (2, 1, 1, 150), (130, 1), (4, 1, 150)])
def test_masks_with_hidden_rows(rng, shape):
    mask = rng.random(shape) < 0.5
    mask[..., 60 % shape[-2], :] = False
    check(arrays(rng, "float16", 64, 130, 150, heads=(4, 2), batch=2), "float16", mask, causal=True)


@pytest.mark.parametrize("scale", [None, 0.3, -0.125, 0.0])
def test_scores_that_outgrow_the_reference(rng, scale):
    """The references are raised in tile after tile, and what was summed before is scaled down."""
    q, k, v, d_out = arrays(rng, "float16", 64, 70, 700, spread=4)
    k *= np.linspace(0.1, 3, 700)[:, None].astype(np.float16)
    check([q, k, v, d_out], "float16", scale=scale)


@pytest.mark.parametrize(("dtype", "size"), [("bfloat16", 133120), ("bfloat16", 3e4), ("float16", 1e4)])
def test_scores_beyond_what_2_to_their_power_can_hold(rng, dtype, size):
    """q = k = v, all alike (pytorch/pytorch#121558): every weight is 1/n, however large the scores are."""
    x = np.full((1, 2, 40, 64), size, DTYPES[dtype])
    for options in ({}, {"causal": True}):
        out, lse = forward([x] * 3, **options)
        np.testing.assert_array_equal(out, x)
        expected = float(x[0, 0, 0, 0]) ** 2 * 8
        np.testing.assert_allclose(lse, expected, rtol=64 * 2.0**-24)  # of the sum over D = 64


@pytest.mark.parametrize("order", [("reverse", 0), ("random", 1), ("random", 2)])
def test_nobody_waits_for_too_little(rng, order):
    """Whichever warp goes first, the bits are the same: five tiles go through four slots."""
    for size, n_keys in ((64, 700), (128, 400)):
        inputs = arrays(rng, "float16", size, 200, n_keys, heads=(2, 1))
        expected = forward(inputs, causal=True)
        with warp_order(*order):
            found = forward(inputs, causal=True)
        for x, y in zip(found, expected, strict=True):
            np.testing.assert_array_equal(x, y)


def test_nan_goes_its_way(rng):
    q, k, v, _ = arrays(rng, "float16", 64, 70, 130)
    k[..., 100, 0] = np.nan
    out, lse = forward([q, k, v], window=(None, 0), offset=40)
    assert np.isnan(lse[..., 60:]).all()
    assert np.isnan(out[..., 60:, :].astype(np.float32)).all()
    assert not np.isnan(lse[..., :60]).any()


def test_other_dtypes_are_refused(rng):
    x = rng.normal(size=(1, 1, 3, 32)).astype(np.float32)
    with pytest.raises(ValueError, match="rung 6 takes float16 or bfloat16, not float32"):
        flash_attention(x, x, x, rung=6)
