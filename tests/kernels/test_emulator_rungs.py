"""No rung reads or writes outside of its arrays: each one runs with every access watched."""

from functools import partial

import ml_dtypes
import numpy as np
import pytest

from step03_gpu import emulator, flash_attention, flash_attention_backward
from step03_gpu.kernels import launch

FLOAT32, FLOAT64, FLOAT16, BFLOAT16 = np.float32, np.float64, np.float16, ml_dtypes.bfloat16
RUNGS = [(1, FLOAT32), (2, FLOAT32), (3, FLOAT32), (3, FLOAT64), (5, FLOAT16), (5, BFLOAT16), (6, FLOAT16)]
RUNGS += [("decoding", FLOAT32), ("decoding", FLOAT16)]
SHAPES = [  # n_queries, n_keys, head size, options
    (1, 1, 32, {}),
    (35, 67, 32, {"causal": True}),
    (70, 33, 64, {"window": (9, 3)}),
    (33, 130, 96, {}),
]


def attend(rung, arrays, d_out, mask, options):
    """Return out, lse and the gradients, on the host, where the emulator is."""
    out, lse = flash_attention(*arrays, mask, **options, rung=rung)
    return out, lse, *flash_attention_backward(d_out, *arrays, out, lse, mask, **options, rung=rung)


@pytest.mark.grid
@pytest.mark.parametrize(("rung", "dtype"), RUNGS)
@pytest.mark.parametrize(("n_queries", "n_keys", "size", "options"), SHAPES)
def test_every_access_is_inside(rng, monkeypatch, rung, dtype, n_queries, n_keys, size, options):
    """An access outside stops the kernel; inside, what comes out is what came out unwatched."""
    q, d_out = (rng.normal(size=(1, 2, n_queries, size)).astype(dtype) for _ in range(2))
    arrays = q, *(rng.normal(size=(1, 1, n_keys, size)).astype(dtype) for _ in range(2))
    masks = None, rng.random((n_queries, n_keys)) < 0.8
    launch.kernels.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(emulator, "RawModule", partial(emulator.RawModule, checked=True))
        try:
            watched = [attend(rung, arrays, d_out, mask, options) for mask in masks]
        finally:
            launch.kernels.cache_clear()
    unwatched = [attend(rung, arrays, d_out, mask, options) for mask in masks]
    for ours, expected in zip(watched, unwatched, strict=True):
        for x, y in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(x, y)
