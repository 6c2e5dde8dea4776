"""The arrays of this stage: NumPy's, and any others that NumPy's functions dispatch to (CuPy's do)."""

from abc import ABC

import numpy as np

_DEVICES = ("host",)


class Array(ABC):  # noqa: B024  (nobody derives from it: it is recognised)
    """An array that NumPy's functions accept: `np.ndarray`, or one that brings its own implementation."""

    @classmethod
    def __subclasshook__(cls, other):
        return issubclass(other, np.generic) or hasattr(other, "__array_function__")


def from_numpy(x, device=None) -> Array:
    """
    Take a NumPy array, or one that NumPy's functions accept, into this stage as it is.

    Parameters
    ----------
    x : array_like
    device : None or "host"
        NumPy computes on the host only.
    """
    if device not in (None, *_DEVICES):
        raise ValueError(f"device is {device!r}; step01_numpy has only 'host'")
    return x if isinstance(x, Array) else np.asarray(x)


def to_numpy(x) -> np.ndarray:
    """Hand an array of this stage to NumPy."""
    return np.asarray(x)


def widen(x) -> Array:
    """Return `x` in the dtype that sums are made in: float32 for 16-bit floats, its own otherwise."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def random_generator(seed=None) -> np.random.Generator:
    """
    Make the generator from which every random draw of every stage comes.

    A draw depends on the seed alone, never on the stage or the device.
    """
    return np.random.default_rng(seed)
