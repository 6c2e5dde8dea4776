"""FlashAttention equals the plain attention of its stage, across the edges of tiles, in less memory."""

import doctest
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import threadpoolctl
import torch

from step01_numpy.common.parity.stage import Stage
from tests.attention.test_attention import DTYPES, allowed, torch_attention
from tests.tolerances import assert_all_equal64, assert_earned, assert_equal64

PLAIN, FLASH = "scaled_dot_product_attention", "flash_attention"
D, D_V = 5, 3
L, S = 257, 353  # more than one tile, and not a multiple
STEP01 = ["step01_numpy", "tests.step01_engine"]
MASK_SHAPES = [(L, S), (S,), (1, S), (L, 1), (2, L, S), (2, 1, 1), (3, 1, 1, S), (3, 2, L, S), ()]


def qkv(rng, n_queries, n_keys, heads=(1,), kv_heads=None, size=1.0):
    """Return q, k, v; their scores have a standard deviation of about `size`."""
    kv_heads = heads if kv_heads is None else kv_heads
    q = rng.normal(size=(*heads, n_queries, D)) * size
    k, v = (rng.normal(size=(*kv_heads, n_keys, d)) for d in (D, D_V))
    return q, k, v


def check(stage, rng, arrays, **options):
    """Compare out, lse and the gradients for a random upstream one with those of the plain attention."""
    q, _, v = arrays
    d_out = rng.normal(size=(*q.shape[:-1], v.shape[-1]))
    (out, lse), (expected, weights) = (stage.call(name, *arrays, **options) for name in (FLASH, PLAIN))
    assert_equal64(out, expected, "out")
    check_lse(lse, weights, arrays, **options)
    gradients, expected = (stage.gradients(name, d_out, *arrays, **options) for name in (FLASH, PLAIN))
    assert_all_equal64(gradients, expected, "gradient")


def check_lse(lse, weights, arrays, bias=None, scale=None, softcap=None, **_):
    """weights = exp(scores - lse): where a weight is not too small, it gives away the row's lse."""
    q, k, _ = arrays
    if k.shape[:-2] != q.shape[:-2]:
        k = np.repeat(k, q.shape[-3] // k.shape[-3], axis=-3)
    scores = q @ k.swapaxes(-1, -2) * (D**-0.5 if scale is None else scale)
    scores = scores if softcap is None else softcap * np.tanh(scores / softcap)
    scores = scores if bias is None else scores + bias
    best = weights.argmax(axis=-1)[..., None]
    empty = weights.sum(axis=-1) == 0
    scores, weights = (np.take_along_axis(x, best, axis=-1)[..., 0] for x in (scores, weights))
    expected = np.where(empty, -np.inf, scores - np.log(np.where(empty, 1, weights)))
    assert_equal64(lse, expected, "lse")


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("n_queries", "n_keys"),
    [(1, 1), (1, 1500), (257, 257), (256, 704), (257, 705), (513, 1409), (1025, 513), (600, 20)],
)
def test_lengths_around_tile_edges(stage, rng, n_queries, n_keys, causal):
    check(stage, rng, qkv(rng, n_queries, n_keys), causal=causal)


@pytest.mark.grid
@pytest.mark.parametrize(("size", "causal"), [(3.0, True), (30.0, False), (30.0, True), (3000.0, True)])
def test_scores_of_any_size(stage, rng, size, causal):
    check(stage, rng, qkv(rng, 300, 900, size=size), causal=causal)


def test_scores_whose_exp_overflows_float32(stage, rng):
    x = rng.normal(size=(300, D))
    x *= 15 / np.linalg.norm(x, axis=-1, keepdims=True)  # 15² / √5 = 101 nats for a key and itself
    arrays = [a.astype(np.float32) for a in (x, x, rng.normal(size=(300, D_V)))]
    found, expected = (stage.call(name, *arrays)[0] for name in (FLASH, PLAIN))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("slope", [1.0, -1.0])
def test_largest_score_moves_from_tile_to_tile(stage, rng, slope):
    q, k, v = qkv(rng, 40, 1500)
    q, k = abs(q), abs(k) * np.linspace(-40, 40, 1500)[:, None] * slope
    check(stage, rng, (q, k, v))


def test_queries_before_the_first_key(stage, rng):
    """Fewer keys than queries, causal: the first queries, some whole blocks of them, see nothing."""
    arrays = qkv(rng, 900, 300)
    check(stage, rng, arrays, causal=True)
    d_out = rng.normal(size=(1, 900, D_V))
    out, lse = stage.call(FLASH, *arrays, causal=True)
    d_q, *_ = stage.gradients(FLASH, d_out, *arrays, causal=True)
    assert not out[:, :600].any()
    assert not d_q[:, :600].any()
    assert (lse[:, :600] == -np.inf).all()
    assert np.isfinite(lse[:, 600:]).all()


@pytest.mark.grid
@pytest.mark.parametrize("window", [(0, 0), (None, 5), (300, None), (256, 255), (733, None)])
def test_window(stage, rng, window):
    check(stage, rng, qkv(rng, 520, 1000, size=1.0 if None in window else 30.0), window=window)


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize(
    "options", [{"causal": True}, {"causal": True, "window": (9, 9)}, {"window": (200, 10)}]
)
@pytest.mark.parametrize("offset", [-300, 0, 40, 5000])
def test_offset(stage, rng, options, offset):
    check(stage, rng, qkv(rng, 520, 720), offset=offset, **options)


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("options", [{"scale": -0.7}, {"scale": 5.0}, {"softcap": 2.0}, {"softcap": 50.0}])
@pytest.mark.parametrize("size", [1.0, 2000.0])
def test_scale_and_softcap(stage, rng, options, size):
    check(stage, rng, qkv(rng, L, S, size=size), causal=True, **options)


@pytest.mark.grid
@pytest.mark.parametrize("shape", MASK_SHAPES)
def test_mask_of_any_broadcastable_shape(stage, rng, shape):
    mask = np.asarray(rng.random(shape) < 0.6)
    check(stage, rng, qkv(rng, L, S, heads=(3, 2)), mask=mask)


@pytest.mark.grid
@pytest.mark.parametrize("shape", [(L, S), (1, S), (2, L, 1), (3, 2, L, S)])
def test_bias_of_any_broadcastable_shape(stage, rng, shape):
    bias = np.where(rng.random(shape) < 0.2, -np.inf, 9 * rng.normal(size=shape))
    check(stage, rng, qkv(rng, L, S, heads=(3, 2)), bias=bias)


@pytest.mark.parametrize("size", [1.0, 30.0])
def test_all_that_hides_at_once(stage, rng, size):
    bias = np.where(rng.random((L, S)) < 0.2, -np.inf, rng.normal(size=(L, S)))
    mask = rng.random((2, 1, S)) < 0.6
    options = {"causal": True, "window": (400, 3), "offset": 100, "softcap": 4.0}
    check(stage, rng, qkv(rng, L, S, heads=(2,), size=size), mask=mask, **options)
    check(stage, rng, qkv(rng, L, S, heads=(2,), size=size), mask=mask, bias=bias, **options)


@pytest.mark.grid
@pytest.mark.parametrize(("kv_heads", "size"), [(1, 1.0), (2, 1.0), (2, 30.0), (6, 1.0)])
def test_grouped_heads(stage, rng, kv_heads, size):
    check(stage, rng, qkv(rng, L, S, (6,), (kv_heads,), size), causal=True)


def test_grouped_heads_with_a_mask_and_a_bias_for_each_query_head(stage, rng):
    mask, bias = rng.random((2, 1, 1, S)) < 0.5, rng.normal(size=(6, L, S))
    check(stage, rng, qkv(rng, L, S, (2, 6), (2, 2)), mask=mask, bias=bias)


@pytest.mark.parametrize("causal", [False, True])
def test_no_head_axes(stage, rng, causal):
    check(stage, rng, qkv(rng, L, S, heads=()), causal=causal)


def test_heads_that_are_views(stage, rng):
    """As `split_heads` hands them over: the head axis is a stride within each row."""
    q, k, v = (x.swapaxes(0, 1).copy().swapaxes(0, 1) for x in qkv(rng, L, S, (6,), (2,)))
    assert not q.flags.c_contiguous
    check(stage, rng, (q, k, v), causal=True)


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("causal", "size"), [(False, 1.0), (True, 5.0)])
def test_lower_precision(stage, rng, dtype, causal, size):
    arrays = [x.astype(DTYPES[dtype]) for x in qkv(rng, 300, 720, heads=(2, 4), size=size)]
    d_out = rng.normal(size=(2, 4, 300, D_V)).astype(DTYPES[dtype])
    see = allowed(causal=causal, n_queries=300, n_keys=720)
    out, lse = stage.call(FLASH, *arrays, causal=causal)
    gradients = stage.gradients(FLASH, d_out, *arrays, causal=causal)
    peers = torch_attention(*arrays, d_out, see, dtype=getattr(torch, dtype))
    expected = torch_attention(*arrays, d_out, see)
    assert {x.dtype.name for x in (out, *gradients)} == {dtype}
    assert lse.dtype == np.float32
    for i, (name, x) in enumerate(zip(("out", "d_q", "d_k", "d_v"), (out, *gradients), strict=True)):
        assert_earned(x, peers[i], expected[i], dtype, 3 if i else 2, name)


@pytest.mark.parametrize("size", [1.0, 30.0])
def test_hidden_queries_in_every_precision(stage, rng, size):
    mask = np.ones((300, 1), bool)
    mask[[0, 17, 256, 299]] = False
    for dtype in (np.float64, *DTYPES.values()):
        arrays = [x.astype(dtype) for x in qkv(rng, 300, 720, size=size)]
        d_out = rng.normal(size=(1, 300, D_V)).astype(dtype)
        out, lse = stage.call(FLASH, *arrays, mask)
        gradients = stage.gradients(FLASH, d_out, *arrays, mask)
        assert not out[:, ~mask[:, 0]].any()
        assert not gradients[0][:, ~mask[:, 0]].any()
        assert (np.isneginf(lse) == ~mask[:, 0]).all()
        assert all(np.isfinite(np.asarray(x, np.float64)).all() for x in gradients)


def test_nan_in_a_key_reaches_the_queries_that_see_it_and_no_other(stage, rng):
    q, k, v = qkv(rng, 600, 600, heads=(2,))
    expected, _ = stage.call(FLASH, q, k, v, causal=True)
    k[0, 400, 1] = np.nan
    out, _ = stage.call(FLASH, q, k, v, causal=True)
    assert np.isnan(out[0, 400:]).all()
    assert_equal64(out[0, :400], expected[0, :400])
    assert_equal64(out[1], expected[1])


@pytest.mark.parametrize(
    ("options", "hidden"),
    [
        ({"causal": True, "offset": 0}, slice(600, None)),
        ({"window": (50, 0)}, slice(0, 1300)),
        ({"window": (20, 30), "offset": 900}, np.r_[0:300, 1600:2000]),
    ],
)
def test_tiles_that_no_query_sees_are_not_read(stage, rng, options, hidden):
    """A weight of 0 times NaN would be NaN: what stays finite was skipped."""
    q, k, v = qkv(rng, 100, 2000)
    d_out = rng.normal(size=(1, 100, D_V))
    expected = stage.call(FLASH, q, k, v, **options)[0], *stage.gradients(FLASH, d_out, q, k, v, **options)
    k[:, hidden], v[:, hidden] = np.nan, np.nan
    found = stage.call(FLASH, q, k, v, **options)[0], *stage.gradients(FLASH, d_out, q, k, v, **options)
    assert_all_equal64(found, expected)
    assert not any(d[:, hidden].any() for d in found[2:])


@pytest.mark.parametrize("name", [*STEP01, "step02_torch"])  # step03's tiles hold all queries
def test_each_block_of_queries_skips_the_tiles_after_it(rng, name):
    stage = Stage(name)
    q, k, v = qkv(rng, 1024, 1024)
    v[:, -1] = np.nan  # seen by the last query alone, but read for the last block of queries
    out, _ = stage.call(FLASH, q, k, v, causal=True)
    assert np.isfinite(out[:, :512]).all()
    assert np.isnan(out[:, -1]).all()


@pytest.mark.usefixtures("unchecked")  # the checks would take memory, and most of the time
@pytest.mark.parametrize("name", STEP01)
def test_scores_are_never_stored(rng, name, threads):
    flash_attention, flash_attention_backward = (Stage(name).get(x) for x in (FLASH, f"{FLASH}_backward"))
    q, k, v = (rng.normal(size=(8192, 4)).astype(np.float32) for _ in range(3))  # L × S would take 268 MB
    mask = np.ones((1, 8192), bool)
    flash_attention(q[:9], k[:9], v[:9])  # step01 takes and frees 31 MB once: `host.keep_freed_memory`
    tracemalloc.start()
    try:
        out, lse = flash_attention(q, k, v, mask)
        forward = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        flash_attention_backward(out, q, k, v, out, lse, causal=True)
        backward = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert forward < threads * 3e6 + 2e6
    assert backward < threads * 3e6 + 5e6


def test_autograd_keeps_only_what_the_backward_reads(rng):
    from step02_torch.flash_attention import flash_attention

    kept = []
    q, k, v = (torch.tensor(x, requires_grad=True) for x in qkv(rng, 600, 700))
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        out, lse = flash_attention(q, k, v, bias=torch.zeros(600, 700).double(), causal=True, softcap=3.0)
    assert sum(kept) == sum(x.numel() for x in (q, k, v, out, lse))
    assert out.requires_grad
    assert not lse.requires_grad


def test_bias_is_a_constant(rng):
    from step02_torch.flash_attention import flash_attention

    q, k, v = (torch.tensor(x) for x in qkv(rng, 30, 40))
    bias = torch.zeros(30, 40, dtype=torch.float64, requires_grad=True)
    out, _ = flash_attention(q.requires_grad_(), k, v, bias=bias)
    out.backward(torch.tensor(rng.normal(size=out.shape)))
    assert bias.grad is None


@pytest.mark.grid
@pytest.mark.parametrize(("heads", "size"), [((), 1.0), ((3,), 30.0)])
@pytest.mark.usefixtures("threads")
def test_every_run_gives_the_same_bits(stage, rng, heads, size):
    arrays = [x.astype(np.float32) for x in qkv(rng, 300, 1500, heads, size=size)]
    d_out = rng.normal(size=(*heads, 300, D_V)).astype(np.float32)

    def run(_=None):
        results = (
            *stage.call(FLASH, *arrays, causal=True),
            *stage.gradients(FLASH, d_out, *arrays, causal=True),
        )
        return [x.tobytes() for x in results]

    expected = run()
    assert all(run() == expected for _ in range(3))
    with threadpoolctl.threadpool_limits(1):
        assert run() == expected
    if stage.name != "step03_gpu":  # its device runs one kernel after another
        with ThreadPoolExecutor(4) as pool:
            assert all(bits == expected for bits in pool.map(run, range(6)))


@pytest.mark.usefixtures("threads")
def test_blas_gets_its_threads_back(rng):
    from step01_numpy import FLASH

    def n_threads():
        return [x["num_threads"] for x in threadpoolctl.threadpool_info() if x["user_api"] == "blas"]

    arrays, before = qkv(rng, 300, 300), n_threads()
    with ThreadPoolExecutor(3) as pool:
        for _ in pool.map(lambda _: FLASH.forward(*arrays), range(9)):
            pass
    assert n_threads() == before


def test_inputs_stay_as_they_are(stage, rng):
    arrays = qkv(rng, 300, 720)
    copies = [x.copy() for x in arrays]
    d_out = rng.normal(size=(1, 300, D_V))
    bias, mask = rng.normal(size=(300, 720)), rng.random((300, 720)) < 0.5
    extra = [x.copy() for x in (d_out, bias, mask)]
    stage.gradients(FLASH, d_out, *arrays, mask, bias=bias, softcap=2.0, causal=True)
    assert all((x == y).all() for x, y in zip((*arrays, d_out, bias, mask), copies + extra, strict=True))


def test_multi_head_attention_takes_it(stage, rng):
    x, d_out = rng.normal(size=(2, 300, 12)), rng.normal(size=(2, 300, 12))
    standard = stage.layer("MultiHeadAttention", 12, 6, 2)
    flash = stage.layer("MultiHeadAttention", 12, 6, 2, attend=stage.package.FLASH).load(
        standard.layer.state_dict()
    )
    assert_equal64(flash.forward(x, causal=True), standard.forward(x, causal=True))
    assert_all_equal64(flash.gradients(d_out, x, causal=True), standard.gradients(d_out, x, causal=True))


def test_it_runs_on_arrays_that_are_not_numpys(rng):
    from tests.device_array import DeviceArray

    stage = Stage("step01_numpy")
    arrays = qkv(rng, 300, 600, (2, 4), (2, 2))
    options = {"mask": rng.random((2, 1, 1, 600)) < 0.7, "bias": rng.normal(size=(300, 600))}
    d_out = rng.normal(size=(2, 4, 300, D_V))

    def run(place):
        given = {name: place(x) for name, x in options.items()} | {"window": (400, 5), "softcap": 3.0}
        q, k, v, d = (place(x) for x in (*arrays, d_out))
        out, lse = stage.get(FLASH)(q, k, v, **given)
        return out, lse, *stage.get(f"{FLASH}_backward")(d, q, k, v, out, lse, **given)

    found, expected = run(DeviceArray), run(np.asarray)
    assert all(isinstance(x, DeviceArray) for x in found)
    assert_all_equal64([x.get() for x in found], expected)


def test_examples():
    module = sys.modules["step01_numpy.flash_attention"]  # the package's own name is the function's
    assert doctest.testmod(module) == (0, 8)
