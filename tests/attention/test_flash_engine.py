"""The engine behind step01's FLASH: the numbers of the algorithm that is read, on every kind of processor."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from step01_numpy import (
    FLASH,
    STANDARD,
    Attend,
    flash_attention,
    flash_attention_backward,
)
from step01_numpy.engine import flash_plan
from step01_numpy.engine.flash_plan import IN_STRIPS, WITH_EXP, WITH_EXP2, Plan, exp_by_exp2
from step01_numpy.engine.flash_products import matmul, transposed_matmul
from tests.attention.test_attention import DTYPES, allowed
from tests.tolerances import assert_all_equal64, assert_earned

PAPER = Attend(flash_attention, flash_attention_backward)
# Small tiles, so that small arrays have many.
SMALL = Plan(np.exp, 32, 24, 16, 32, area=1), Plan(exp_by_exp2, 48, 16, 16, 32, strip=8, area=1)
LONG = 90


@pytest.fixture(params=[WITH_EXP, WITH_EXP2, IN_STRIPS], ids=["exp", "exp2", "strips"])
def plan(request, monkeypatch):
    """Either kind of processor, whichever this one is: the numbers are right on both, only slower on one."""
    set_plan(monkeypatch, request.param)


def set_plan(monkeypatch, plan):
    monkeypatch.setattr("step01_numpy.engine.flash_tiles.plan", lambda _: plan)


def cut_small_heads(monkeypatch):
    """Let small heads, too, be cut into pieces that threads share."""
    monkeypatch.setattr("step01_numpy.engine.flash._WORTH_THREADS", 1)
    monkeypatch.setattr("step01_numpy.engine.flash._LONG", 20)


def run(attend, arrays, d_out, mask=None, **options):
    """Return out and the gradients of an attention, and its lse where it has one."""
    out, saved = attend.forward(*arrays, mask, **options)
    return out, *attend.backward(d_out, *arrays, out, saved, mask, **options), saved


@st.composite
def calls(draw):
    """Draw from the whole space of the contract: shapes, sizes of scores, and what hides keys."""
    n_queries, n_keys = draw(st.integers(1, LONG)), draw(st.integers(1, LONG))
    kv_heads, group = draw(st.sampled_from([((), ()), ((2,), (2,)), ((1,), (3,)), ((2, 2), (2, 4))]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    q = rng.normal(size=(*group, n_queries, 5)) * draw(st.sampled_from([0.1, 1.0, 30.0, 3000.0]))
    k, v = (rng.normal(size=(*kv_heads, n_keys, d)) for d in (5, draw(st.sampled_from([3, 8]))))
    scores = (*group, n_queries, n_keys)
    side = st.none() | st.integers(0, LONG)
    options = {
        "causal": draw(st.booleans()),
        "window": draw(st.none() | st.tuples(side, side)),
        "offset": draw(st.none() | st.integers(-LONG, LONG)),
        "scale": draw(st.sampled_from([None, -0.7, 3.0])),
        "softcap": draw(st.sampled_from([None, 2.0, 40.0])),
    }
    if draw(st.booleans()):
        options["mask"] = rng.random(scores[draw(st.integers(0, len(scores))) :]) < 0.6
    if draw(st.booleans()):
        bias = rng.normal(size=scores[draw(st.integers(0, len(scores) - 1)) :]) * 9
        options["bias"] = np.where(rng.random(bias.shape) < 0.2, -np.inf, bias)
    return (q, k, v), rng.normal(size=(*q.shape[:-1], v.shape[-1])), options


@pytest.mark.parametrize(
    "small", [SMALL[0], pytest.param(SMALL[1], marks=pytest.mark.proof)], ids=["exp", "exp2"]
)
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(call=calls())
def test_all_three_are_equal_on_the_whole_option_space(monkeypatch, small, call):
    arrays, d_out, options = call
    options["mask"] = None if "mask" not in options else np.asarray(options["mask"])
    set_plan(monkeypatch, small)
    cut_small_heads(monkeypatch)
    *expected, _ = run(STANDARD, arrays, d_out, **options)
    *paper, lse = run(PAPER, arrays, d_out, **options)
    *found, engine_lse = run(FLASH, arrays, d_out, **options)
    assert_all_equal64(paper, expected, "paper")
    assert_all_equal64(found, expected, "engine")
    assert (np.isneginf(lse) == np.isneginf(engine_lse)).all()
    assert_all_equal64([np.nan_to_num(engine_lse, neginf=0)], [np.nan_to_num(lse, neginf=0)], "lse")


@pytest.mark.parametrize("n", [3, 8, 21, 64])
def test_products_in_strips(monkeypatch, rng, n):
    """Strips are taken where the tile is small, and whatever lies beyond the last whole one comes along."""
    products, shapes = np.matmul, []

    def noting(a, b, **out):
        shapes.append(a.shape)
        return products(a, b, **out)

    monkeypatch.setattr(np, "matmul", noting)
    a, small, large, b = (rng.normal(size=s) for s in ((n, 5), (5, 7), (5, 2000), (n, 6)))
    buffer = np.empty(2000 * n)
    assert_all_equal64([matmul(a, small, buffer, 8)], [a @ small])
    strips = [(n // 8, 8, 5)] if n >= 8 else []
    rest = [(n % 8, 5)] if n % 8 else []
    assert shapes == strips + rest
    shapes.clear()
    assert_all_equal64([matmul(a, large, buffer, 8)], [a @ large])
    assert shapes == [(n, 5)]
    assert_all_equal64([transposed_matmul(a, b, buffer, 8)], [a.T @ b])


@pytest.mark.grid
@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize(
    "options",
    [{}, {"causal": True}, {"window": (100, 20)}, {"causal": True, "window": (40, None), "offset": 300}],
)
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_tiles_of_either_kind_of_processor(rng, options, size):
    q, k, v = (rng.normal(size=(2, n, 5)) for n in (1100, 1500, 1500))
    d_out = rng.normal(size=q.shape)
    found, expected = (run(attend, (q * size, k, v), d_out, **options) for attend in (FLASH, PAPER))
    assert_all_equal64(found, expected)


def by_torch(arrays, d_out, see, dtype, bias=None, softcap=None):
    """Return out and the gradients of the attention written down in PyTorch, in one dtype throughout."""
    q, k, v, d_out = (torch.tensor(np.asarray(x, np.float64)).to(dtype) for x in (*arrays, d_out))
    leaves = [x.requires_grad_() for x in (q, k, v)]
    scores = q @ k.mT / q.shape[-1] ** 0.5
    scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
    scores = scores if bias is None else scores + torch.tensor(bias).to(dtype)
    out = scores.masked_fill(~torch.tensor(see), -torch.inf).softmax(-1) @ v
    out.backward(d_out)
    return [x.detach().double().numpy() for x in (out, *(leaf.grad for leaf in leaves))]


@pytest.mark.grid(pairs=True)
@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1.0, 2.0])
@pytest.mark.parametrize(
    "options", [{}, {"causal": True}, {"window": (90, 30)}, {"softcap": 5.0}, {"bias": 300}, {"offset": 1}]
)
def test_lower_precision(rng, dtype, size, options):
    arrays = [
        (rng.normal(size=(2, n, 16)) * s).astype(DTYPES[dtype]) for n, s in ((300, size), (720, 1), (720, 1))
    ]
    d_out = rng.normal(size=(2, 300, 16)).astype(DTYPES[dtype])
    options = {**options, "causal": "offset" in options or options.get("causal", False)}
    visible = {name: x for name, x in options.items() if name in ("causal", "window", "offset")}
    see = allowed(**visible, n_queries=300, n_keys=720)
    rest = {name: x for name, x in options.items() if name == "softcap"}
    if "bias" in options:
        options["bias"] = rest["bias"] = rng.normal(size=(300, 720)).astype(np.float32)
    peers = by_torch(arrays, d_out, see, getattr(torch, dtype), **rest)
    expected = by_torch(arrays, d_out, see, torch.float64, **rest)
    *found, lse = run(FLASH, arrays, d_out, **options)
    assert lse.dtype == np.float32
    for i, (name, x) in enumerate(zip(("out", "d_q", "d_k", "d_v"), found, strict=True)):
        assert x.dtype == arrays[0].dtype
        assert_earned(x, peers[i], expected[i], dtype, 3 if i else 2, name)


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [1e28, 1e-28, 1e-33])
def test_values_of_any_size(rng, size, sign):
    """All scores are 24 nats, or -24: their exponentials times such values leave float32."""
    q, k = np.full((300, 4), 12.0**0.5), np.full((720, 4), sign * 12.0**0.5)
    arrays = [x.astype(np.float32) for x in (q, k, rng.normal(size=(720, 6)) * size)]
    d_out = rng.normal(size=(300, 6)).astype(np.float32)
    see = np.ones((300, 720), bool)
    peer, expected = (by_torch(arrays, d_out, see, dtype)[0] for dtype in (torch.float32, torch.float64))
    assert_earned(FLASH.forward(*arrays)[0], peer, expected, "float32", 2)


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [1e28, 1e-30, 1e-35])
def test_values_of_any_size_beside_ordinary_ones(rng, size, sign):
    """Each column keeps its own digits, and a column may be large or small where only some keys are seen."""
    q, k = np.full((300, 4), 12.0**0.5), np.full((720, 4), sign * 12.0**0.5)
    v = rng.normal(size=(720, 3)) * [1, 0, size]
    v[360:, 0] *= size
    arrays, mask = (
        [x.astype(np.float32) for x in (q, k, v)],
        np.arange(720) >= np.where(np.arange(300) < 9, 360, 0)[:, None],
    )
    peer, expected = (
        by_torch(arrays, np.zeros((300, 3)), mask, dtype)[0] for dtype in (torch.float32, torch.float64)
    )
    found = FLASH.forward(*arrays, mask)[0]
    for rows in (slice(0, 9), slice(9, None)):
        for column in range(3):
            part = rows, column
            assert_earned(found[part], peer[part], expected[part], "float32", 2)


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("small", [0, 1])
def test_squares_that_vanish_bound_nothing(rng, small):
    """q or k of 1e-30, and a scale that makes scores of 300: the squares of such numbers are 0."""
    arrays = [rng.normal(size=(300, 4)).astype(np.float32) for _ in range(3)]
    expected = STANDARD.forward(*arrays, scale=100.0)[0]
    arrays[small] *= np.float32(2.0**-100)
    found = FLASH.forward(*arrays, scale=100.0 * 2.0**100)[0]
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.usefixtures("plan")
def test_scale_can_make_scores_large(rng):
    arrays = [rng.normal(size=(300, 4)).astype(np.float32) for _ in range(3)]
    found, expected = (attend.forward(*arrays, scale=100.0)[0] for attend in (FLASH, STANDARD))
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.usefixtures("plan")
def test_one_long_query_and_one_long_key(rng):
    arrays = [rng.normal(size=(300, 4)).astype(np.float32) for _ in range(3)]
    arrays[0][7], arrays[1][9] = 30, 30
    found, expected = (attend.forward(*arrays)[0] for attend in (FLASH, STANDARD))
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.usefixtures("plan")
def test_bias_can_make_scores_large(rng):
    arrays, bias = [rng.normal(size=(300, 4)).astype(np.float32) for _ in range(3)], np.float32([200.0] * 300)
    found, expected = (attend.forward(*arrays, bias=bias)[0] for attend in (FLASH, STANDARD))
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("loops", "expected"),
    [
        ({"exp2": {"ff": {"current": "X86_V4", "available": "X86_V4 baseline(X86_V2)"}}}, True),
        ({"exp2": {"ff": {"current": "AVX512_SKX", "available": "AVX512_SKX baseline(SSE)"}}}, True),
        ({"exp2": {"ff": {"current": "baseline(X86_V2)", "available": "X86_V4"}}}, False),
        ({"exp2": {}}, False),
        ({}, False),
    ],
)
def test_exp2_is_taken_where_numpy_has_a_vector_loop_for_it(monkeypatch, loops, expected):
    monkeypatch.setattr("numpy.lib.introspect.opt_func_info", lambda **_: loops)
    assert flash_plan.has_vector_exp2.__wrapped__() is expected


@pytest.mark.parametrize(
    ("vector", "depth", "dtype", "expected"),
    [
        (True, 64, np.float32, IN_STRIPS),
        (True, 32, np.float64, IN_STRIPS),
        (True, 80, np.float32, WITH_EXP2),
        (True, 64, np.float64, WITH_EXP2),
        (False, 64, np.float32, WITH_EXP),
    ],
)
def test_strips_are_taken_where_a_tile_of_keys_is_small(monkeypatch, vector, depth, dtype, expected):
    monkeypatch.setattr("step01_numpy.engine.flash_plan.has_vector_exp2", lambda: vector)
    assert flash_plan.plan(np.zeros((9, depth), dtype)) is expected


def test_numpy_still_answers_as_it_did():
    loops = np.lib.introspect.opt_func_info(func_name="^exp2$", signature="float32")
    assert all({"current", "available"} <= set(loop) for loop in loops.get("exp2", {}).values())
