"""Decoding's kernels on the emulator: few queries, keys in splits, merged; against step01 in float64."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import step01_numpy
from step03_gpu import flash_attention, flash_attention_backward, from_numpy, to_numpy
from step03_gpu.emulator import warp_order
from step03_gpu.kernels import decoding
from step03_gpu.kernels.rungs import choose, state_problem
from tests.attention.test_attention import allowed, torch_attention
from tests.kernels.test_rungs import DTYPES, qkv
from tests.tolerances import EPS, assert_all_equal64, assert_earned, assert_equal64

SPLIT = decoding.SPLIT


def attend(arrays, mask=None, **options):
    """Return out and lse, computed on the GPU if there is one."""
    mask = None if mask is None else from_numpy(mask)
    found = flash_attention(*map(from_numpy, arrays), mask, **options, rung="decoding")
    return tuple(to_numpy(x) for x in found)


def check(arrays, mask=None, **options):
    """Compare out and lse with step01's."""
    out, lse = attend(arrays, mask, **options)
    expected = step01_numpy.flash_attention(*arrays, mask, **options)
    assert_equal64(out, expected[0], "out")
    assert_equal64(lse, expected[1], "lse")
    return out, lse


@pytest.mark.grid
@pytest.mark.parametrize("n_queries", [1, 3])
@pytest.mark.parametrize(
    "n_keys", [1, 2, 7, 8, 9, SPLIT - 1, SPLIT, SPLIT + 1, 2 * SPLIT - 1, 2 * SPLIT, 2 * SPLIT + 1, 1000]
)
def test_lengths_around_a_splits_edge(rng, n_queries, n_keys):
    check(qkv(rng, n_queries, n_keys), causal=n_keys >= n_queries)


@pytest.mark.parametrize(("n_keys", "split"), [(5, 2), (9, 1), (17, 4), (40, 39)])
def test_splits_of_a_key_and_of_none(rng, monkeypatch, n_keys, split):
    """Five keys in three splits of two: the last has one. Nine in as many: each has one."""
    monkeypatch.setattr(decoding, "SPLIT", split)
    check(qkv(rng, 1, n_keys))
    check(qkv(rng, 2, n_keys), causal=True, offset=-1)  # the first query sees nothing


@pytest.mark.grid
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [32, 40, 64, 96, 128])
def test_lower_precision(rng, dtype, size):
    arrays = [x.astype(DTYPES[dtype]) for x in qkv(rng, 1, 300, (1, 4), (1, 2), size)]
    out, lse = attend(arrays)
    assert (out.dtype.name, lse.dtype.name) == (dtype, "float32")
    see, d_out = allowed(n_queries=1, n_keys=300), np.ones_like(arrays[0])
    peer, reference = (
        torch_attention(*arrays, d_out, see, dtype=t)[0] for t in (getattr(torch, dtype), torch.float64)
    )
    assert_earned(out, peer, reference, dtype, 2, "out")
    expected = step01_numpy.flash_attention(*(x.astype(np.float64) for x in arrays))[1]
    assert abs(lse - expected).max() <= 8 * EPS["float32"] * abs(expected).max()


@pytest.mark.parametrize("n_queries", [1, 3])
@pytest.mark.parametrize(
    ("heads", "kv_heads"), [((), ()), ((6,), (2,)), ((2, 16), (2, 1)), ((2, 3, 4), (2, 3, 2)), ((9,), (1,))]
)
def test_heads_of_a_group_share_their_keys(rng, heads, kv_heads, n_queries):
    """Of as many rows as a block has, of fewer, and of more."""
    check(qkv(rng, n_queries, 150, heads, kv_heads), causal=True)


def test_a_group_loads_its_keys_once(rng, monkeypatch):
    """As few blocks as there are key/value heads, times splits: one for the eight queries of each."""
    grids = []
    monkeypatch.setattr(decoding, "launch", lambda kernel, grid, *_: grids.append(grid))
    attend([x.astype(np.float32) for x in qkv(rng, 1, 1000, (2, 16), (2, 2))])
    assert grids == [(2, 8, 2), (1, 16, 2)]


@pytest.mark.parametrize(
    "options",
    [
        {"window": (20, 9)},
        {"window": (200, None), "causal": True},
        {"window": (0, 0), "offset": 77},
        {"causal": True, "offset": 130},
        {"window": (None, 3), "offset": -2},
        {"causal": True, "offset": -1000},
        {"window": (10, 10), "offset": 10**9},
        {"scale": -0.7},
        {"scale": 0.0},
    ],
    ids=str,
)
def test_bands_and_scales(rng, options):
    check(qkv(rng, 4, 300), **options)


@pytest.mark.parametrize("shape", [(), (300,), (3, 1), (3, 300), (4, 1, 300), (2, 1, 1, 300), (2, 4, 3, 300)])
def test_masks(rng, shape):
    check(qkv(rng, 3, 300), np.asarray(rng.random(shape) < 0.3), causal=True)


def test_what_is_hidden_whole_is_0(rng):
    mask = np.ones((3, 1), bool)
    mask[1] = False
    for dtype in (np.float64, *DTYPES.values()):
        arrays = [x.astype(dtype) for x in qkv(rng, 3, 300)]
        for hidden in (mask, np.zeros((3, 1), bool)):
            out, lse = (np.asarray(x, np.float64) for x in attend(arrays, hidden))
            assert (np.isneginf(lse) == ~hidden[:, 0]).all()
            assert not out[..., ~hidden[:, 0], :].any()
            assert np.isfinite(out).all()


def test_scores_of_any_size(rng):
    q, k, v = qkv(rng, 1, 300)
    check((q * 300, k, v))
    slope = np.linspace(-40, 40, 300)[:, None]  # the largest score moves from split to split, up or down
    check((abs(q), abs(k) * slope, v))
    check((abs(q), abs(k) * -slope, v))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_sum_behind_large_scores_keeps_its_digits(dtype):
    """All scores alike, and so all weights: 1/n, which an lse of 1e7 cannot hold, nor one of each split."""
    q, k = np.full((1, 1, 64), 1000, dtype), np.full((1, 300, 64), 1000, dtype)
    v = np.eye(300, 64, dtype=dtype)[None]
    out, _ = attend((q, k, v))
    np.testing.assert_allclose(out[0, 0], np.full(64, 1 / 300), rtol=EPS[dtype])


def test_nan_reaches_the_queries_that_see_it_and_no_other(rng):
    q, k, v = qkv(rng, 3, 300)
    expected, _ = attend((q, k, v), causal=True)
    k[0, 1, 299, 3], v[:, :, 299, 0] = np.nan, np.nan  # the last query alone sees this key
    out, lse = attend((q, k, v), causal=True)
    assert np.isnan(out[0, 2:, 2]).all()
    assert np.isnan(lse[0, 2:, 2]).all()
    assert_equal64(out[:, :, :2], expected[:, :, :2])


def test_the_order_of_warps_changes_no_bit(rng):
    arrays, found = [x.astype(np.float32) for x in qkv(rng, 1, 300, (1, 8), (1, 1))], set()
    for order, seed in (("forward", 0), ("reverse", 0), ("random", 1), ("random", 2)):
        with warp_order(order, seed):
            found.add(b"".join(x.tobytes() for x in attend(arrays)))
    assert len(found) == 1


def test_a_backward_may_follow(rng):
    arrays = [from_numpy(x) for x in qkv(rng, 3, 150)]
    d_out = from_numpy(rng.normal(size=arrays[0].shape))
    first, other = (
        [
            to_numpy(x)
            for x in flash_attention_backward(
                d_out, *arrays, *flash_attention(*arrays, causal=True, rung=rung), causal=True, rung=rung
            )
        ]
        for rung in ("decoding", 0)
    )
    assert_all_equal64(first, other)


def test_splits_fill_a_device_and_are_not_too_short():
    assert decoding.splits(1, 1) == 1
    assert decoding.splits(SPLIT + 1, 1) == 2
    assert decoding.splits(10**6, 8) == decoding.BLOCKS // 8
    assert decoding.splits(10**6, 10**4) == 1


@pytest.mark.parametrize("n_queries", [1, 4])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"causal": True},
        {"window": (5, 2), "offset": 8},
        {"window": (3, None)},
        {"causal": True, "offset": -9},
    ],
)
def test_splits_are_of_what_is_visible(n_queries, options):
    q, k = np.zeros((1, 1, n_queries, 32)), np.zeros((1, 1, 20, 32))
    see = np.broadcast_to(allowed(**options, n_queries=n_queries, n_keys=20), (n_queries, 20))
    keys = np.flatnonzero(see.any(axis=0))
    expected = keys[-1] - keys[0] + 1 if len(keys) else 0
    assert decoding.n_visible(state_problem(q, k, None, scale=1.0, **options)) == expected


@pytest.mark.usefixtures("unchecked")
def test_on_a_gpu_it_is_chosen_for_few_queries_and_for_no_gradient(monkeypatch):
    from step03_gpu.kernels import rungs, tensor_cores

    for module in (rungs, tensor_cores):
        monkeypatch.setattr(module, "array_module", lambda x: None)  # any module but NumPy's
    device, dtype = SimpleNamespace(compute_capability="90"), np.dtype("float32")
    few, many = (SimpleNamespace(shape=(2, 8, n, 64), dtype=dtype, device=device) for n in (4, 5))
    assert choose(None, few, few, forward=True) == "decoding"
    assert choose(None, many, many, forward=True) == 4
    assert choose(None, few, few) == 4
    assert choose(3, few, few, forward=True) == 3
    assert choose(None, few, few, softcap=2.0, forward=True) == 0
    assert choose("decoding", many, many) == "decoding"
    with pytest.raises(ValueError, match="rung decoding takes no bias; rung=0 does"):
        choose("decoding", few, few, bias=1.0)
