"""Attention with options of many types, against the plain formula in float64."""

from importlib import import_module

import numpy as np
from hypothesis import strategies as st

from step01_numpy.common.parity.stage import Stage

INTEGERS = (int, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)
FLOATS = (float, np.float16, np.float32, np.float64, int)
TOLERANCE = {"float64": 1e-9, "float32": 2e-4}
STAGES = ("step01_numpy", "step02_torch", "step03_gpu")


def formula(q, k, v, mask, bias, causal, window, offset, scale, softcap):
    """Return softmax(scores) v, as the contract in the design says it, in loops that cannot be wrong."""
    scores = q @ np.repeat(k, q.shape[0] // k.shape[0], 0).swapaxes(-1, -2)
    scores = scores * (q.shape[-1] ** -0.5 if scale is None else scale)
    scores = scores if softcap is None else softcap * np.tanh(scores / softcap)
    scores = scores if bias is None else scores + bias
    n_queries, n_keys = scores.shape[-2:]
    offset = n_keys - n_queries if offset is None else int(offset)
    for i in range(n_queries):
        for j in range(n_keys):
            left, right = window or (None, None)
            hidden = causal and j > i + offset
            hidden |= left is not None and j < i + offset - int(left)
            hidden |= right is not None and j > i + offset + int(right)
            if hidden:
                scores[:, i, j] = -np.inf
    scores = scores if mask is None else np.where(mask, scores, -np.inf)
    largest = scores.max(-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isfinite(largest), largest, 0))
    total = weights.sum(-1, keepdims=True)
    return weights / np.where(total == 0, 1, total) @ np.repeat(v, q.shape[0] // v.shape[0], 0)


def number(data, kinds, values):
    """Draw a number, of a type that holds it exactly."""
    value, kind = data.draw(values), data.draw(st.sampled_from(kinds))
    with np.errstate(all="ignore"):
        try:
            made = kind(value)
        except (OverflowError, ValueError):
            return value
    return made if made == value else value


def drawn(data):
    """Draw the arrays and the options of a call."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n_queries, n_keys, groups = (data.draw(st.integers(1, most)) for most in (9, 9, 2))
    dtype = data.draw(st.sampled_from(list(TOLERANCE)))
    shapes = (2 * groups, n_queries, 4), (2, n_keys, 4), (2, n_keys, 3)
    q, k, v = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    near = st.integers(0, 12) | st.sampled_from([127, 128, 255, 2**31, 2**63 - 1, 2**63, 10**30])

    def maybe(make):
        return make() if data.draw(st.booleans()) else None

    def side():
        return None if data.draw(st.booleans()) else number(data, INTEGERS, near)

    options = {
        "causal": data.draw(st.booleans()),
        "window": maybe(lambda: (side(), side())),
        "offset": maybe(
            lambda: number(data, INTEGERS, st.integers(-12, 12) | st.sampled_from([126, 2**63, -(2**40)]))
        ),
        "scale": maybe(lambda: number(data, FLOATS, st.sampled_from([0.5, 1, -1, 0.0, 0.125]))),
        "softcap": maybe(lambda: number(data, FLOATS, st.sampled_from([3, 0.5, 50.0, 1e4]))),
        "bias": maybe(lambda: rng.standard_normal((n_queries, n_keys)).astype(dtype)),
    }
    return (q, k, v, maybe(lambda: rng.random((n_queries, n_keys)) < 0.6)), options, dtype


def attention(data):
    """The same numbers as the formula, or a ValueError or TypeError; and nothing that was given changes."""
    args, options, dtype = drawn(data)
    expected = formula(*(x if x is None else np.float64(x) for x in args[:3]), args[3], **wide(options))
    before = [None if x is None else x.copy() for x in (*args, options["bias"])]
    stage = Stage(import_module(data.draw(st.sampled_from(STAGES))))
    for function in ("scaled_dot_product_attention", "flash_attention"):
        try:
            out, _ = stage.call(function, *args, **options)
        except (ValueError, TypeError):
            continue
        np.testing.assert_allclose(out, expected, atol=TOLERANCE[dtype], err_msg=f"{stage.name} {function}")
    for x, old in zip((*args, options["bias"]), before, strict=True):
        np.testing.assert_array_equal(x, old)


def wide(options):
    """Return the options in Python's numbers and float64."""
    made = dict(options)
    for name in ("scale", "softcap"):
        made[name] = None if made[name] is None else float(made[name])
    made["bias"] = None if made["bias"] is None else np.float64(made["bias"])
    return made


TARGETS = {"attention": attention}
PREPARED = {"attention": lambda: [import_module(name) for name in STAGES]}
