"""Attention's options in any kind of number, of any size: what they mean, and what is refused by name."""

import sys
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.configuration.recurrent import RecurrentConfig
from tests.tolerances import assert_all_equal64, assert_equal64

FUNCTIONS = ["scaled_dot_product_attention", "flash_attention"]
N_QUERIES, N_KEYS = 4, 6
FAR = 2**31, 2**62, 2**63 - 1, 2**63, sys.maxsize * 4, 10**30


def arrays(rng, dtype="float64"):
    """Return q, k, v and d_out."""
    shapes = (2, 2, N_QUERIES, 4), (2, 1, N_KEYS, 4), (2, 1, N_KEYS, 3), (2, 2, N_QUERIES, 3)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def everything(stage, function, arrays, **options):
    """Return the attention's results and gradients."""
    *inputs, d_out = arrays
    results = stage.call(function, *inputs, **options)
    return *results, *stage.gradients(function, d_out, *inputs, **options)


NUMBERS = [
    ({"window": (2, 1)}, {"window": (np.uint32(2), np.uint8(1))}),
    ({"window": (3, None), "offset": 1}, {"window": [np.uint64(3), None], "offset": np.uint16(1)}),
    ({"causal": True, "offset": 126}, {"causal": True, "offset": np.int8(126)}),
    ({"causal": True, "offset": 0}, {"causal": True, "offset": np.uint16(0)}),
    ({"window": (127, 0), "offset": -2}, {"window": (np.int8(127), np.int64(0)), "offset": np.int32(-2)}),
    ({"softcap": 3.0}, {"softcap": np.float32(3)}),
    ({"softcap": 0.3, "scale": 0.7}, {"softcap": np.float64(0.3), "scale": np.float64(0.7)}),
    ({"softcap": 59968.0, "scale": 0.5}, {"softcap": np.float16(59968), "scale": np.float16(0.5)}),
    ({"softcap": 2.0, "scale": 1.0}, {"softcap": np.uint8(2), "scale": np.int8(1)}),
    ({"scale": 1 / 3}, {"scale": Fraction(1, 3)}),
]


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("plain", "given"), NUMBERS, ids=range(len(NUMBERS)))
@pytest.mark.usefixtures("unchecked")
def test_numbers_of_any_kind_are_pythons(stage, rng, function, plain, given):
    """To the bit, and in float32 too, which a float64 scalar of NumPy's would widen."""
    for dtype in ("float32", "float64"):
        inputs = arrays(rng, dtype)
        expected, found = (everything(stage, function, inputs, **x) for x in (plain, given))
        for x, y in zip(found, expected, strict=True):
            assert x.dtype == y.dtype == dtype
            assert (x == y).all()


def visible(left, right, offset):
    """Tell by Python's integers, which never overflow, which query sees which key."""
    return np.array(
        [
            [
                (left is None or i + offset - left <= j) and (right is None or j <= i + offset + right)
                for j in range(N_KEYS)
            ]
            for i in range(N_QUERIES)
        ]
    )


def far_options():
    """Return windows and offsets, each far or near, and some far ones that come to something near."""
    for far in FAR:
        yield (2, far), None
        yield (far, 1), None
        yield (far, far), 2
        yield (None, 0), far
        yield (None, 0), -far
        yield (0, None), far
        yield (2, None), -far
        for near in (-3, 0, 1, 2, 7):
            yield (far, 0), far + near
            yield (far + near, None), far
            yield (1, far), -far - near


@pytest.mark.usefixtures("unchecked")
def test_masks_of_far_positions(stage):
    for (left, right), offset in far_options():
        at = N_KEYS - N_QUERIES if offset is None else offset
        mask = stage.call("sliding_window_mask", N_QUERIES, N_KEYS, left, right, offset=offset)
        assert (mask == visible(left, right, at)).all(), (left, right, offset)
        if offset is not None:
            mask = stage.call("causal_mask", N_QUERIES, N_KEYS, offset=offset)
            assert (mask == visible(None, 0, at)).all(), offset


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("window", "causal", "offset"),
    [
        ((2, sys.maxsize), False, None),
        (None, True, 2**63),
        (None, True, -(2**63)),
        ((2**63, 0), False, 2**63 + 1),
        ((2**31 + 1, None), False, 2**31),
        ((10**30, 10**30), True, 10**30),
    ],
)
def test_far_positions(stage, rng, function, window, causal, offset):
    inputs = arrays(rng)
    found = everything(stage, function, inputs, window=window, causal=causal, offset=offset)
    left, right = (None, None) if window is None else window
    mask = visible(left, 0 if causal else right, N_KEYS - N_QUERIES if offset is None else offset)
    *inputs, d_out = inputs
    expected = stage.call(function, *inputs, mask)
    assert_all_equal64(found[:2], expected)
    assert_all_equal64(found[2:], stage.gradients(function, d_out, *inputs, mask))


@pytest.mark.usefixtures("unchecked")
def test_lengths_of_any_kind(stage):
    """Of 8 bits, 3 - 5 would be 254."""
    expected = np.tri(5, 3, -2, dtype=bool)
    for n_queries, n_keys in ((5, 3), (np.uint8(5), np.uint8(3)), (np.int64(5), 3)):
        assert (stage.call("causal_mask", n_queries, n_keys) == expected).all()
    with pytest.raises(ValueError, match=r"offset is 9223372036854775808; expected an integer within"):
        stage.call("key_positions", 5, 3, offset=2**63)


@pytest.mark.usefixtures("unchecked")
def test_layers_take_numbers_of_any_kind(stage, rng):
    layer, x = (
        stage.layer("MultiHeadAttention", 8, 2, rng=np.random.default_rng(1)),
        rng.normal(size=(2, 5, 8)),
    )
    expected = layer.forward(x, window=(2, 0))
    for window in ((np.uint32(2), np.uint8(0)), [2, np.int8(0)]):
        assert (layer.forward(x, window=window) == expected).all()
    assert_equal64(layer.forward(x, window=(sys.maxsize, 2**63)), layer.forward(x))


@pytest.mark.usefixtures("unchecked")
def test_a_cache_takes_a_limit_of_any_kind(stage, rng):
    k, v = stage.array(rng.normal(size=(1, 1, 3, 4))), stage.array(rng.normal(size=(1, 1, 3, 4)))
    for limit, kept in ((2, 2), (np.uint8(2), 2), (200, 6), (np.uint8(200), 6), (10**30, 6)):
        cache = stage.get("KVCache")(limit)
        cache.append(k, v)
        assert cache.append(k, v)[0].shape[-2] == 3 + min(kept, 3)
        assert cache.keys.shape[-2] == kept


def test_configurations_keep_pythons_numbers():
    """JSON knows no others."""
    config = ModelConfig(np.int64(9), d_model=np.int32(8), window=np.uint8(200), dropout=np.float32(0.5))
    assert config == ModelConfig(9, d_model=8, window=200, dropout=0.5)
    assert {type(getattr(config, x)) for x in ("vocab_size", "d_model", "window")} == {int}
    assert type(config.dropout) is float
    assert type(RecurrentConfig(9, d_hidden=8, window=np.uint8(20)).window) is int


INTEGERS = [True, np.True_, 1.0, np.float32(1), "1", np.array(1), np.array([1]), torch.tensor(1), 1j]
REAL = [True, np.True_, "1", np.array(1.0), np.array([1.0]), torch.tensor(1.0), 1j, ml_dtypes.bfloat16(1)]
INFINITE = [np.inf, -np.inf, np.nan, np.float16(np.inf), np.float64(np.nan), 10**400]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.ours
@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_no_such_number(stage, rng, function):
    """Named, forward and backward, and what came is told."""
    *inputs, d_out = arrays(rng)
    saved = stage.call(function, *inputs)
    cases = [("offset", x) for x in INTEGERS]
    cases += [("window", pair) for x in INTEGERS for pair in ((x, 1), (1, x))]
    cases += [("window", x) for x in (3, (1,), (1, 2, 3), (-1, 0), (0, -(10**30)))]
    cases += [(name, x) for name in ("scale", "softcap") for x in (*REAL, *INFINITE)]
    cases += [("softcap", x) for x in (0, 0.0, -1.0, np.float32(0), -(10**400))]
    for name, value in cases:
        with pytest.raises((TypeError, ValueError), match=f"{name}.* is "):
            stage.call(function, *inputs, **{name: value})
        with pytest.raises((TypeError, ValueError), match=f"{name}.* is "):
            stage.gradients(function, d_out, *inputs, result=saved, **{name: value})


# What is beyond the dtype in which it is computed, and the last that is not.
BEYOND = {
    ("scale", "float32"): ([1e39, -(2.0**127), np.float64(3e38)], [1.7e38, 1e-40, 1e-300, 0.0]),
    ("scale", "float64"): ([10**309, 2.0**1023], [1e300, 1e-320, 0]),
    ("softcap", "float32"): ([1e39, 2.0**127, 1e-39, 5e-324], [1.7e38, 2.0**-126, 1e-30]),
    ("softcap", "float64"): ([2.0**1023, 1e-310, 10**309], [1e300, 1e-300, 2.0**-1022]),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("option", "dtype"), BEYOND)
def test_what_the_dtype_cannot_hold(stage, rng, function, option, dtype):
    """Refused, or used: never NaN. With one key in line a score is 0, which tells 0 / 0 and 0 · inf."""
    q, k, v, d_out = arrays(rng, dtype)
    q[..., 0, :], k[..., 0, :] = 0, 0
    tiny = np.finfo(dtype).smallest_normal
    q *= dtype_type(dtype)(tiny**0.5)
    k *= dtype_type(dtype)(tiny**0.5)
    for value in BEYOND[option, dtype][0]:
        with pytest.raises(ValueError, match=f"{option} is .*; expected a"):
            stage.call(function, q, k, v, **{option: value})
    for value in BEYOND[option, dtype][1]:
        found = everything(stage, function, (q, k, v, d_out), **{option: value})
        assert all(np.isfinite(x).all() for x in found), value


def dtype_type(dtype):
    return np.dtype(dtype).type


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_soft_cap_far_above_the_scores_leaves_them_alone(stage, rng, function):
    inputs = arrays(rng)
    found = everything(stage, function, inputs, softcap=1e12)
    assert_all_equal64(found, everything(stage, function, inputs))


@pytest.mark.usefixtures("unchecked")
def test_floats_of_8_bits_are_refused(stage, rng):
    q, k, v, _ = arrays(rng, "float32")
    kinds = [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3b11fnuz]
    if stage.get("Array") is torch.Tensor:
        kinds = [torch.float8_e4m3fn, torch.float8_e5m2]
    for kind in kinds:
        small = [
            x.to(kind) if isinstance(x, torch.Tensor) else x.astype(kind) for x in stage.array((q, k, v))
        ]
        for function in FUNCTIONS:
            with pytest.raises(
                TypeError, match=r"q has dtype float8_.*; expected a floating dtype of 16 bits"
            ):
                stage.get(function)(*small)
            with pytest.raises(TypeError, match="bias has dtype float8_"):
                stage.get(function)(*stage.array((q, k, v)), bias=small[0][..., :1])
