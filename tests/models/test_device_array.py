"""The double refuses what CuPy refuses, and lets pass what CuPy does."""

import numpy as np
import pytest

from step01_numpy import lookup_backward
from step03_gpu.arrays import array_module, from_numpy, to_numpy
from tests.device_array import DeviceArray

X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    "mixed",
    [
        np.asarray,
        lambda x: x + X,
        lambda x: X @ x.T,
        lambda x: x * np.array(2.0),
        lambda x: np.where(x > 0, X, x),
        lambda x: np.concatenate([x, X]),
        lambda x: np.exp(x, where=x > 0),
        lambda x: x.__setitem__(0, X[0]),
        lambda x: x[np.array([0, 1])],
        lambda x: np.add.at(x, np.array([0, 1]), x),
    ],
)
def test_host_and_device_do_not_meet(mixed):
    with pytest.raises(TypeError):
        mixed(DeviceArray(X))


def test_numbers_and_its_own_kind_are_met():
    x = DeviceArray(X)
    for found, expected in (
        (x + 1, X + 1),
        (np.float64(2) * x, 2 * X),
        (x > np.array(2.0), X > 2),
        (np.exp(x) @ x.T, np.exp(X) @ X.T),
        (np.where(x > 0, x, 0), np.where(X > 0, X, 0)),
    ):
        assert isinstance(found, DeviceArray)
        assert (found.get() == expected).all()


def test_rows_that_were_looked_up_twice_add_up_in_place(monkeypatch):
    """By no product with one-hot rows: of a large vocabulary these take more memory than its weights."""
    calls, original = [], DeviceArray.__array_ufunc__

    def seen(self, ufunc, method, *inputs, **options):
        calls.append((ufunc.__name__, method))
        return original(self, ufunc, method, *inputs, **options)

    monkeypatch.setattr(DeviceArray, "__array_ufunc__", seen)
    found = lookup_backward(
        DeviceArray(X), DeviceArray(np.array([4, 4])), DeviceArray(np.zeros((9, 3)))
    ).get()
    assert calls == [("add", "at")]
    assert (found[4] == X.sum(axis=0)).all()
    assert not np.delete(found, 4, axis=0).any()


@pytest.mark.usefixtures("cupy_double")
def test_step03_moves_arrays_by_arrays_py():
    x = from_numpy(X, "gpu")
    assert isinstance(x, DeviceArray)
    assert isinstance(array_module(x).zeros(3), DeviceArray)
    assert (to_numpy(x) == X).all()
