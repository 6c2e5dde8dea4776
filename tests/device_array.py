"""
A test double: an array as strict as CuPy's, so that a hidden way over the host fails without a GPU.

What CuPy does, by its source (`cupy/_core/core.pyx`): it refuses to become NumPy's array unasked; it meets
arrays of its own kind and numbers, and NumPy's arrays only where they are compared and have no axes; it takes
no `where=`. Of ufuncs it knows the call and `add.at`, which adds up what meets in one place; CuPy knows more.
"""

import sys
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from weakref import WeakValueDictionary

import numpy as np

from step01_numpy.attention import STANDARD, Attend
from step03_gpu import attention, flash_attention, flash_attention_backward

COMPARISONS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
KNOWN = WeakValueDictionary()  # arrays of the device, by the id of the host array inside
ATTENTIONS = {
    "step 1": STANDARD,
    "step 3": attention.STANDARD,
    "step 3, flash": Attend(partial(flash_attention, rung=0), partial(flash_attention_backward, rung=0)),
}


class Device:
    """A GPU: while it is entered, what is allocated lies there."""

    entered = [0]  # noqa: RUF012
    compute_capability = "90"

    def __init__(self, index=None):
        self.id = self.entered[-1] if index is None else index

    def __enter__(self):
        self.entered.append(self.id)

    def __exit__(self, *_):
        self.entered.pop()


class Stream:
    """A stream: while it is entered, what is launched waits there."""

    entered = []  # noqa: RUF012

    def __init__(self, pointer):
        self.ptr = pointer

    @classmethod
    def from_external(cls, stream):
        """Take a stream of another library's, by the protocol for them: a version and an address."""
        version, pointer = stream.__cuda_stream__()
        assert version == 0
        return cls(pointer)

    def __enter__(self):
        self.entered.append(self.ptr)

    def __exit__(self, *_):
        self.entered.pop()


def external_stream(pointer, device_id=-1):
    """Warn as CuPy does since 14.0, which pytest takes for an error."""
    warnings.warn("ExternalStream is deprecated; use Stream.from_external", DeprecationWarning, stacklevel=2)
    return Stream(pointer)


class RawModule:
    """Kernels that compute nothing, and look whether what they are given lies on the GPU that they run on."""

    launched = []  # noqa: RUF012

    def __init__(self, code="", options=(), name_expressions=(), path=None):
        self.names = name_expressions if path is None else Path(path).read_text().split("\n")

    def get_function(self, name):
        """Return a kernel of the module."""
        assert name in self.names
        return partial(self._launch, name)

    def _launch(self, name, grid, block, args, shared_mem=0):
        where = {x.device.id for x in args if isinstance(x, DeviceArray)}
        assert where == {Device.entered[-1]}, f"{name} on GPU {Device.entered[-1]} got arrays of {where}"
        self.launched.append(name)


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """
    An array as strict as CuPy's: it meets its like and numbers; NumPy's only in `np.array(…, like=)`.

    What step01's models do with it, they can do on a GPU.
    """

    def __init__(self, host):
        self.host = np.asarray(host)
        self.owner = KNOWN.get(id(self.host.base))  # a view lies where its memory does
        self.device = Device() if self.owner is None else self.owner.device
        KNOWN[id(self.host)] = self

    @property
    def data(self):
        """The memory, as CuPy tells of it."""
        return SimpleNamespace(ptr=self.host.ctypes.data)

    @property
    def base(self):
        """The very array that this one is a view of, or None."""
        return KNOWN.get(id(self.host.base))

    shape, dtype, ndim = (
        property(lambda x, name=name: getattr(x.host, name)) for name in ("shape", "dtype", "ndim")
    )

    def __array__(self, *_, **__):
        raise TypeError("an array of the device became one of the host unasked")

    def get(self):
        """Copy to the host: the one way, and one that is seen."""
        return self.host.copy()

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        if (ufunc, method) == (np.add, "at"):
            return np.add.at(*off_device(inputs))
        if method != "__call__" or options:
            return NotImplemented  # CuPy has no `where=`, and other methods for few functions
        if ufunc.__name__ in COMPARISONS:
            inputs = [x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x for x in inputs]
        inputs = tuple(inputs)
        result = ufunc(*off_device(inputs), **({"out": off_device(out)} if out else {}))
        return out[0] if out else back_on_device(result)

    def __array_function__(self, function, types, args, kwargs):
        to_device = function in (np.array, np.asarray) and not isinstance(args[0], DeviceArray)
        args = args if to_device else off_device(args)
        return back_on_device(function(*args, **off_device(kwargs)))

    def __getattr__(self, name):
        if name.startswith("__"):  # `__array_interface__` and its like would let NumPy read the memory
            raise AttributeError(name)
        found = getattr(self.host, name)
        if not callable(found):
            return back_on_device(found)
        return lambda *args, **kwargs: back_on_device(found(*off_device(args), **off_device(kwargs)))

    def __getitem__(self, key):
        return back_on_device(self.host[off_device(key)])

    def __setitem__(self, key, value):
        self.host[off_device(key)] = off_device(value)

    def __len__(self):
        return len(self.host)

    def __bool__(self):
        return bool(self.host)

    def __int__(self):
        return int(self.host)

    def __float__(self):
        return float(self.host)


def off_device(x):
    if isinstance(x, np.ndarray):
        raise TypeError("an array of the host met one of the device")
    if isinstance(x, tuple | list):
        return type(x)(off_device(item) for item in x)
    if isinstance(x, dict):
        return {name: off_device(item) for name, item in x.items()}
    return x.host if isinstance(x, DeviceArray) else x


def back_on_device(x):
    if isinstance(x, tuple):
        return tuple(back_on_device(item) for item in x)
    return DeviceArray(x) if isinstance(x, np.ndarray | np.generic) else x


class CuPy:
    """The module: NumPy's functions, which take and make arrays of the device alone."""

    ndarray, RawModule = DeviceArray, RawModule
    cuda = SimpleNamespace(
        Device=Device, Stream=Stream, ExternalStream=external_stream, is_available=lambda: True
    )

    def __getattr__(self, name):
        found = getattr(
            np, name.replace("empty", "zeros")
        )  # memory that nothing was written to: 0, not by chance
        if not callable(found) or isinstance(found, type):
            return found
        return lambda *args, **kwargs: back_on_device(found(*off_device(args), **off_device(kwargs)))

    @staticmethod
    def asarray(x):
        """Copy from the host, as CuPy does when asked."""
        return x if isinstance(x, DeviceArray) else DeviceArray(np.array(x))


def install(monkeypatch):
    """Let `import cupy` find the double."""
    monkeypatch.setitem(sys.modules, "cupy", CuPy())
