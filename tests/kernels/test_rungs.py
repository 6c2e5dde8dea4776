"""The rungs on the emulator: forward and gradients against step01 in float64, then against PyTorch."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch

import step01_numpy
import step03_gpu
from step01_numpy.common.parity.stage import Stage
from step03_gpu import flash_attention, flash_attention_backward, from_numpy, on_rung, to_numpy
from step03_gpu.emulator import warp_order
from tests import step03_rungs
from tests.attention import onnx_cases
from tests.attention.test_attention import allowed, torch_attention
from tests.attention.test_onnx import assert_close
from tests.tolerances import assert_all_equal64, assert_earned, assert_equal64

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
L, S = 65, 97  # one more than fits two tiles of float64 queries, three of keys
NAMES = ("out", "d_q", "d_k", "d_v")
every_rung = pytest.mark.parametrize("rung", [1, 2, 3])


def qkv(rng, n_queries=L, n_keys=S, heads=(2, 4), kv_heads=(2, 2), size=32, size_v=None):
    size_v = size if size_v is None else size_v
    q = rng.normal(size=(*heads, n_queries, size))
    return q, rng.normal(size=(*kv_heads, n_keys, size)), rng.normal(size=(*kv_heads, n_keys, size_v))


def run(rung, d_out, arrays, mask=None, **options):
    """Return out, lse and the gradients, computed on the GPU if there is one."""
    d_out, mask, *arrays = (x if x is None else from_numpy(x) for x in (d_out, mask, *arrays))
    out, lse = flash_attention(*arrays, mask, **options, rung=rung)
    gradients = flash_attention_backward(d_out, *arrays, out, lse, mask, **options, rung=rung)
    return tuple(to_numpy(x) for x in (out, lse, *gradients))


def forward(rung, *arrays, **options):
    """Return out and lse, computed on the GPU if there is one."""
    found = flash_attention(*(from_numpy(x) for x in arrays), **options, rung=rung)
    return tuple(to_numpy(x) for x in found)


def check(rng, rung, arrays, mask=None, **options):
    """Compare everything with step01's attention, for a random upstream gradient."""
    q, _, v = arrays
    d_out = rng.normal(size=(*q.shape[:-1], v.shape[-1]))
    out, lse, *gradients = run(rung, d_out, arrays, mask, **options)
    expected, weights = step01_numpy.scaled_dot_product_attention(*arrays, mask, **options)
    wanted = step01_numpy.attention_backward(d_out, *arrays, expected, weights, mask, **options)
    assert_equal64(out, expected, "out")
    assert_equal64(lse, step01_numpy.flash_attention(*arrays, mask, **options)[1], "lse")
    assert_all_equal64(gradients, wanted, "gradient")


@pytest.mark.grid(pairs=True)
@every_rung
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("n_queries", "n_keys"), [(1, 1), (1, 40), (33, 32), (32, 33), (L, S), (S, L)])
def test_lengths_around_tile_edges(rng, rung, n_queries, n_keys, causal):
    check(rng, rung, qkv(rng, n_queries, n_keys), causal=causal)


@pytest.mark.grid
@every_rung
@pytest.mark.parametrize("size", [64, 96, 128, 5, 40, 100])
def test_head_sizes(rng, rung, size):
    check(rng, rung, qkv(rng, 40, 50, heads=(2,), kv_heads=(1,), size=size), causal=True)


@every_rung
@pytest.mark.parametrize(("size", "size_v"), [(3, 20), (50, 7), (20, 64)])
def test_values_of_another_size(rng, rung, size, size_v):
    check(rng, rung, qkv(rng, 40, 50, heads=(2,), kv_heads=(2,), size=size, size_v=size_v))


@pytest.mark.grid(pairs=True)
@every_rung
@pytest.mark.parametrize("window", [(0, 0), (None, 5), (30, None), (32, 31), (2**40, 3), (40, 2**40)])
@pytest.mark.parametrize("offset", [None, -20, 3, 2**50])
def test_window_and_offset(rng, rung, window, offset):
    check(rng, rung, qkv(rng, heads=(1, 2), kv_heads=(1, 1)), window=window, offset=offset)


@every_rung
@pytest.mark.parametrize("options", [{"scale": -0.7}, {"scale": 3.0}, {"window": (20, 9), "offset": 7}])
def test_causal_with_other_options(rng, rung, options):
    check(rng, rung, qkv(rng), causal=True, **options)


MASKS = [(L, S), (S,), (1, S), (L, 1), (4, L, S), (4, 1, 1), (2, 1, 1, S), (2, 4, L, S), (2, 1, L, 1), ()]


@pytest.mark.grid
@every_rung
@pytest.mark.parametrize("shape", MASKS)
def test_mask_of_any_broadcastable_shape(rng, rung, shape):
    check(rng, rung, qkv(rng), np.asarray(rng.random(shape) < 0.6), causal=True)


@pytest.mark.grid
@every_rung
@pytest.mark.parametrize("shape", [(L, S), (2, 1, 4, 1, S), (3, 1, 1, 1), (2, 3, 1, L, S)])
def test_mask_for_several_batch_axes(rng, rung, shape):
    arrays = qkv(rng, heads=(2, 3, 4), kv_heads=(2, 3, 2))
    check(rng, rung, arrays, rng.random(shape) < 0.6)


@every_rung
def test_mask_that_is_a_view(rng, rung):
    mask = rng.random((S, L)) < 0.6
    check(rng, rung, qkv(rng), mask.T)
    check(rng, rung, qkv(rng), np.broadcast_to(mask[:, 0], (2, 4, L, S)))


def test_a_broadcast_mask_is_not_written_out(rng):
    from step03_gpu.kernels.fitting import fit_mask

    q = rng.normal(size=(2, 4, L, 32))
    assert fit_mask(np.broadcast_to(rng.random(S) < 0.6, (2, 4, L, S)), q).shape == (1, 1, 1, S)
    assert fit_mask(rng.random((2, 1, 1, S)) < 0.6, q).shape == (2, 1, 1, S)


@every_rung
@pytest.mark.parametrize(
    ("heads", "kv_heads"), [((), ()), ((6,), (2,)), ((2, 6), (2, 1)), ((2, 3, 2), (2, 3, 1))]
)
def test_heads_and_groups(rng, rung, heads, kv_heads):
    check(rng, rung, qkv(rng, 33, 40, heads, kv_heads), causal=True)


@every_rung
def test_heads_that_are_views(rng, rung):
    arrays = [np.moveaxis(np.moveaxis(x, 1, 2).copy(), 2, 1) for x in qkv(rng)]
    assert not arrays[0].flags.c_contiguous
    check(rng, rung, arrays, causal=True)


@every_rung
def test_arrays_that_begin_anywhere(rng, rung):
    def moved(x):
        return np.frombuffer(b"12345678" + x.tobytes(), offset=8).reshape(x.shape)

    check(rng, rung, [moved(x) for x in qkv(rng)])


@every_rung
def test_hidden_rows_are_exactly_zero(rng, rung):
    mask, arrays = np.ones((L, 1), bool), qkv(rng)
    mask[[0, 17, 64]] = False
    d_out = rng.normal(size=(2, 4, L, 32))
    for dtype in (np.float64, *DTYPES.values()):
        found = run(rung, d_out.astype(dtype), [x.astype(dtype) for x in arrays], mask)
        out, lse, d_q, *_ = (np.asarray(x, np.float64) for x in found)
        assert not out[:, :, ~mask[:, 0]].any()
        assert not d_q[:, :, ~mask[:, 0]].any()
        assert (np.isneginf(lse) == ~mask[:, 0]).all()
        assert all(np.isfinite(np.asarray(x, np.float64)).all() for x in (found[0], *found[2:]))


@every_rung
def test_scores_of_any_size(rng, rung):
    q, k, v = qkv(rng)
    check(rng, rung, (q * 300, k, v), causal=True)
    slope = np.linspace(-40, 40, S)[:, None]  # the largest score moves from tile to tile, up or down
    check(rng, rung, (abs(q), abs(k) * slope, v))
    check(rng, rung, (abs(q), abs(k) * -slope, v))


@every_rung
def test_nan_reaches_the_queries_that_see_it_and_no_other(rng, rung):
    q, k, v = qkv(rng)
    expected, _ = forward(rung, q, k, v, causal=True)
    k[0, 1, 50, 3] = np.nan  # heads 2 and 3; seen from query 50 - (S - L) = 18 on
    out, lse = forward(rung, q, k, v, causal=True)
    reached = np.zeros((2, 4, L), bool)
    reached[0, 2:, 18:] = True
    assert np.isnan(out[reached]).all()
    assert (np.isnan(lse) == reached).all()
    assert_equal64(out[~reached], expected[~reached])


@pytest.mark.parametrize("rung", [2, 3])
def test_hidden_tiles_are_not_read(rng, rung):
    """A weight of 0 times NaN would be NaN: what stays finite was skipped."""
    q, k, v = qkv(rng, 128, 128)
    d_out = rng.normal(size=q.shape)
    k[:, :, -1], v[:, :, -1] = np.nan, np.nan  # the last query sees it, and the queries of its tile are near
    out, _, d_q, *_ = run(rung, d_out, (q, k, v), causal=True)
    assert np.isfinite(out[:, :, :64]).all()
    assert np.isfinite(d_q[:, :, :64]).all()
    q, k, v = qkv(rng, 128, 128)
    q[:, :, 0] = np.nan  # under this window it sees keys 0 and 1
    *_, d_k, d_v = run(rung, d_out, (q, k, v), window=(1, 1))
    assert np.isfinite(d_k[:, :, 64:]).all()
    assert np.isfinite(d_v[:, :, 64:]).all()


@pytest.mark.grid(pairs=True)
@every_rung
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
def test_lower_precision(rng, rung, dtype, causal):
    arrays = [x.astype(DTYPES[dtype]) for x in qkv(rng, 70, 130, (1, 4), (1, 2), size=64)]
    d_out = rng.normal(size=(1, 4, 70, 64)).astype(DTYPES[dtype])
    see = allowed(causal=causal, n_queries=70, n_keys=130)
    out, lse, *gradients = run(rung, d_out, arrays, causal=causal)
    assert {x.dtype.name for x in (out, *gradients)} == {dtype}
    assert lse.dtype == np.float32
    peers = torch_attention(*arrays, d_out, see, dtype=getattr(torch, dtype))
    expected = torch_attention(*arrays, d_out, see)
    for i, (name, x) in enumerate(zip(NAMES, (out, *gradients), strict=True)):
        assert_earned(x, peers[i], expected[i], dtype, 3 if i else 2, name)


@every_rung
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_results_of_16_bits_are_those_of_float32_rounded_once(rng, rung, dtype):
    """To nearest, ties to even, as NumPy and ml_dtypes round: everything before is the same arithmetic."""
    arrays = [x.astype(DTYPES[dtype]) for x in qkv(rng, 70, 130, (1, 4), (1, 2), size=64)]
    out, lse = forward(rung, *arrays)
    wide_out, wide_lse = forward(rung, *(x.astype(np.float32) for x in arrays))
    assert (out == wide_out.astype(DTYPES[dtype])).all()
    assert (lse == wide_lse).all()


@every_rung
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_order_of_warps_changes_no_bit(rng, rung, dtype):
    """Threads that race for shared memory would give another number in another order."""
    arrays = [x.astype(dtype) for x in qkv(rng, 70, 100, (1, 2), (1, 1))]
    d_out, found = rng.normal(size=(1, 2, 70, 32)).astype(dtype), set()
    for order, seed in (("forward", 0), ("reverse", 0), ("random", 1), ("random", 2)):
        with warp_order(order, seed):
            found.add(b"".join(x.tobytes() for x in run(rung, d_out, arrays, causal=True)))
    assert len(found) == 1


def test_a_backward_may_follow_another_rung(rng):
    arrays = qkv(rng)
    d_out = rng.normal(size=arrays[0].shape)
    placed = [from_numpy(x) for x in arrays]
    saved = flash_attention(*placed, causal=True, rung=0)
    first, other = (
        [
            to_numpy(x)
            for x in flash_attention_backward(from_numpy(d_out), *placed, *saved, causal=True, rung=rung)
        ]
        for rung in (0, 4)
    )
    assert_all_equal64(other, first)


@every_rung
def test_a_module_attends_on_a_rung(rng, rung):
    x, d_out = rng.normal(size=(2, 40, 24)), rng.normal(size=(2, 40, 24))
    stage = Stage(step03_gpu)
    standard = stage.layer("MultiHeadAttention", 24, 6, 2)
    layer = stage.layer("MultiHeadAttention", 24, 6, 2, attend=on_rung(rung)).load(
        standard.layer.state_dict()
    )
    assert_equal64(layer.forward(x, causal=True), standard.forward(x, causal=True))
    assert_all_equal64(layer.gradients(d_out, x, causal=True), standard.gradients(d_out, x, causal=True))


@pytest.mark.parametrize("rung", [1, 2])  # the stage `step03_rungs` has rung 3 in every test of the family
def test_onnx_cases(monkeypatch, rung):
    monkeypatch.setattr(step03_rungs, "RUNG", rung)
    for case in onnx_cases.load_cases("Attention"):
        if not why_not(case):
            found = onnx_cases.attention(Stage(step03_rungs), "flash_attention", case)
            assert_close(found["Y"], case.outputs["Y"], case.name)


def why_not(case):
    """What a case asks of attention that no rung has."""
    mask = case.inputs.get("attn_mask")
    bias = () if mask is None or mask.dtype == bool else ("bias",)
    return (*bias, *(("softcap",) if case.attribute("softcap") else ()))


def test_onnx_cases_that_take_the_array_path():
    cases, wanted = onnx_cases.load_cases("Attention"), {}
    for case in cases:
        step03_rungs.TAKEN.clear()
        onnx_cases.attention(Stage(step03_rungs), "flash_attention", case)
        (wanted[case.name],) = step03_rungs.TAKEN
    assert all((wanted[case.name] == 0) == bool(why_not(case)) for case in cases)
    by_arrays = Path(onnx_cases.__file__).with_name("onnx_by_arrays.txt")
    listed = [line.split() for line in by_arrays.read_text().splitlines()]
    assert [(case.name, *why_not(case)) for case in cases if why_not(case)] == [tuple(x) for x in listed]
    assert (len(cases), len(listed)) == (93, 49)
