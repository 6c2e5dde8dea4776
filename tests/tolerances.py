"""How close is close: the tolerances of every test, each of them earned."""

import numpy as np

from step01_numpy.common.parity.verdict import TOLERANCE, agrees, difference

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def assert_equal64(x, expected, what=""):
    """In float64 two derivations of the same number agree to 1e-10 · max(1, max |expected|)."""
    assert x.shape == expected.shape, f"{what}: shape {x.shape}, expected {expected.shape}"
    assert agrees(x, expected, TOLERANCE), f"{what}: differs by {difference(x, expected):.3g}"


def assert_all_equal64(found, expected, what=""):
    """`assert_equal64` for gradients by name, or in a sequence."""
    if not isinstance(found, dict):
        found, expected = dict(enumerate(found)), dict(enumerate(expected))
    assert set(found) == set(expected), f"{what}: {sorted(found)} instead of {sorted(expected)}"
    for name in expected:
        assert_equal64(found[name], expected[name], f"{what} {name}")


def assert_earned(x, peer, reference, dtype, factor, what=""):
    """
    In lower precision: against float64, at most `factor` times the error that PyTorch makes in that dtype.

    `peer` is PyTorch's result in `dtype`, `reference` the result in float64. PyTorch may be lucky, so its
    error counts as at least 4 · eps · max |reference|. The factor is 2 forward and 3 for gradients.
    """
    x, peer = np.asarray(x, np.float64), np.asarray(peer, np.float64)
    floor = 4 * EPS[dtype] * np.abs(reference).max()
    allowed = factor * max(difference(peer, reference), floor)
    error = difference(x, reference)
    assert error <= allowed, f"{what}: error {error:.3g}, allowed {allowed:.3g}"
