"""
The arrays of this stage: CuPy's on a GPU; on a machine without one NumPy's, on the device "host".

CuPy multiplies float32 in full: TF32, which would round to 10 bits first, is off unless the environment says
CUPY_TF32=1. bfloat16 takes CuPy 14 or later, and ml_dtypes, on either device.
"""

import functools
import warnings

import numpy as np

from step01_numpy.arrays import Array, random_generator, widen

__all__ = [
    "Array",
    "array_module",
    "default_device",
    "from_numpy",
    "random_generator",
    "to_device",
    "to_numpy",
    "widen",
]

_DEVICES = ("gpu", "host")


@functools.cache
def default_device() -> str:
    """Return "gpu" where CuPy finds one; otherwise say once that there is none, and return "host"."""
    try:
        import cupy
    except ImportError:
        reason = "CuPy is not installed"
    else:
        if cupy.cuda.is_available():
            return "gpu"
        reason = "CuPy finds no GPU"
    warnings.warn(f"step03_gpu: {reason}; working on host arrays (device='host')", stacklevel=2)
    return "host"


def array_module(x):
    """Return the module whose functions work on x: `numpy` for host arrays, `cupy` for those on a GPU."""
    if isinstance(x, np.ndarray):
        return np
    import cupy

    return cupy


def from_numpy(x, device=None) -> Array:
    """
    Copy a NumPy array to a device.

    Parameters
    ----------
    x : array_like
    device : "gpu" or "host", optional
        The GPU if there is one, when not given.
    """
    device = default_device() if device is None else device
    if device not in _DEVICES:
        raise ValueError(f"device is {device!r}; expected one of {_DEVICES}")
    if device == "host":
        return np.asarray(x)
    import cupy

    return cupy.asarray(x)


def to_numpy(x) -> np.ndarray:
    """Copy an array of this stage to the host."""
    return x.get() if hasattr(x, "get") else np.asarray(x)


def to_device(layer, device=None):
    """Move a layer's weights, step01's or this stage's, to a device, and return the layer."""
    return layer.convert(lambda data: from_numpy(to_numpy(data), device))
