"""The public parity check: it finds the stages equal, and finds a wrong stage out."""

import types

import numpy as np
import pytest

import step01_numpy
from step01_numpy.common.parity.comparison import CASES, agrees, check, difference


def test_every_operation_is_equal(stage):
    rows = check(stage)
    assert len(rows) == sum(stage.has(case.name) and hasattr(step01_numpy, case.name) for case in CASES)
    assert [row.operation for row in rows if not row.within_tolerance] == []


def test_every_case_is_offered_by_step01():
    assert [case.operation for case in CASES if not hasattr(step01_numpy, case.name)] == []


def foreign(**changes):
    """Return a package like step01, with some functions replaced."""
    package = types.ModuleType("foreign")
    package.__dict__.update({name: getattr(step01_numpy, name) for name in step01_numpy.__all__}, **changes)
    return package


def test_a_foreign_package_passes():
    assert all(row.within_tolerance for row in check(foreign()))


def test_a_wrong_forward_is_found():
    rows = check(foreign(softmax=lambda x: step01_numpy.softmax(x, axis=-2)))
    assert [row.operation for row in rows if not row.within_tolerance] == ["softmax"]


def test_a_wrong_gradient_is_found():
    def without_row_sum(d_weights, weights):
        return weights * d_weights

    rows = check(foreign(softmax_backward=without_row_sum))
    (wrong,) = [row for row in rows if not row.within_tolerance]
    assert wrong.operation == "softmax"
    assert wrong.forward == 0
    assert wrong.gradient > 0.01


def test_nan_never_agrees():
    assert difference(np.array([np.nan]), np.array([np.nan])) == np.inf
    assert not agrees(np.array([np.nan]), np.array([1.0]), 1.0)
    assert difference(np.array([-np.inf]), np.array([-np.inf])) == 0


@pytest.mark.parametrize("shape", [(2,), (1, 1), ()])
def test_a_wrong_shape_never_agrees(shape):
    assert not agrees(np.zeros(shape), np.zeros(1), 1.0)
