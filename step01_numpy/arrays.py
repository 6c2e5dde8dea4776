"""The arrays of this stage: NumPy's, and any others that NumPy's functions dispatch to (CuPy's do)."""

from abc import ABC

import numpy as np


class Array(ABC):  # noqa: B024  (nobody derives from it: it is recognised)
    """An array that NumPy's functions accept: `np.ndarray`, or one that brings its own implementation."""

    @classmethod
    def __subclasshook__(cls, other):
        return issubclass(other, np.generic) or hasattr(other, "__array_function__")


def from_numpy(x, device=None) -> Array:
    """Take an array into this stage as it is. Other stages have devices; this one has only "host"."""
    if device not in (None, "host"):
        raise ValueError(f"device is {device!r}; step01_numpy has only 'host'")
    return x if isinstance(x, Array) else np.asarray(x)


def to_numpy(x) -> np.ndarray:
    """Hand an array of this stage to NumPy, which may not read one of a device: it is copied by its `get`."""
    return x.get() if hasattr(x, "get") else np.asarray(x)


def widen(x) -> Array:
    """Return `x` in the dtype that sums are made in: float32 for 16-bit floats, its own otherwise."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def random_generator(seed=None) -> np.random.Generator:
    """Make the generator of every random draw: it depends on the seed alone, not on stage or device."""
    return np.random.default_rng(seed)
