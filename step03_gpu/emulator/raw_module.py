"""CUDA kernels on NumPy arrays, behind the face of `cupy.RawModule`."""

import contextlib
import ctypes
from threading import Lock

import numpy as np

from step03_gpu.emulator.compiler import EmulatorError, compile_kernels

ORDERS = ("forward", "reverse", "random")
MAX_SHARED = 227 * 1024  # bytes, dynamic, on sm_90
_ONE_AT_A_TIME = Lock()  # a library's threads, blocks and shared memory are its global variables
_order = ["forward", 0]


class _Argument(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_long), ("kind", ctypes.c_long)]


class _Launch(ctypes.Structure):
    _fields_ = [
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_long),
        ("order", ctypes.c_long),
        ("seed", ctypes.c_long),
        ("n_arguments", ctypes.c_long),
        ("arguments", ctypes.POINTER(_Argument)),
    ]


class RawModule:
    """
    Kernels compiled for the CPU.

    Parameters
    ----------
    code : str
        CUDA C++, the text that `cupy.RawModule` takes.
    options : tuple of str
        As for NVRTC; of them, definitions (-D, -U) and folders of headers (-I) are used.
    name_expressions : tuple of str
        The kernels that are templates, as `forward<float, 64>`.
    checked : bool
        Watch every access to memory; slower.
    """

    def __init__(self, code, *, options=(), name_expressions=(), checked=False):
        self.code, self.options, self.checked = code, tuple(options), checked
        self.name_expressions = tuple(name_expressions or ())

    def get_function(self, name: str) -> "Kernel":
        """Return a kernel: one of `name_expressions`, or the name of one that is extern "C"."""
        names = self.name_expressions
        if name not in names:
            if 'extern "C"' not in self.code:
                raise EmulatorError(f'{name} is none of name_expressions={names}, and nothing is extern "C"')
            names = (name,)
        library = ctypes.CDLL(compile_kernels(self.code, names, self.options))
        return Kernel(library, names.index(name), name)


class Kernel:
    """One kernel: `kernel(grid, block, arguments, shared_mem=bytes)`."""

    def __init__(self, library, index, name):
        self._launch = library.emulator_launch
        self._launch.restype = ctypes.c_char_p
        self._index, self.name = index, name
        self.max_dynamic_shared_size_bytes = 48 * 1024

    def __call__(self, grid: tuple, block: tuple, args: tuple, *, shared_mem: int = 0) -> None:
        """Run every block of the grid, one after another."""
        grid, block = _three(grid), _three(block)
        if np.prod(block) > 1024:
            raise EmulatorError(
                f"{self.name}: a block of {block} has {np.prod(block)} threads; 1024 are the most"
            )
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise EmulatorError(
                f"{self.name}: shared_mem={shared_mem} bytes, more than max_dynamic_shared_size_bytes="
                f"{self.max_dynamic_shared_size_bytes}"
            )
        arguments = [_argument(i, x) for i, x in enumerate(args)]
        order, seed = _order
        launch = _Launch(grid, block, shared_mem, ORDERS.index(order), seed, len(args))
        launch.arguments = (_Argument * len(args))(*(a for a, _ in arguments))
        with _ONE_AT_A_TIME:
            message = self._launch(self._index, ctypes.byref(launch))
        if message is not None:
            raise EmulatorError(message.decode())


@contextlib.contextmanager
def warp_order(order: str, seed: int = 0):
    """Run warps, and the lanes of a warp, in this order: "forward", "reverse" or "random"."""
    before = _order[:]
    _order[:] = order, seed
    try:
        yield
    finally:
        _order[:] = before


def _three(sizes):
    return (*sizes, 1, 1, 1)[:3]


def _argument(i, x):
    """Return an argument's address, size and kind, and the object that keeps it alive."""
    if x is None:
        return _Argument(None, 0, 1), None
    if isinstance(x, np.ndarray) and x.ndim:
        if not x.flags.c_contiguous:
            raise EmulatorError(
                f"argument {i} is an array that is not C-contiguous; pass np.ascontiguousarray(it)"
            )
        return _Argument(x.ctypes.data, x.nbytes, 1 if x.flags.writeable else 2), x
    if isinstance(x, np.ndarray | np.generic):
        value = np.array(x)
        return _Argument(value.ctypes.data, value.nbytes, 0), value
    hint = {int: "np.int32", float: "np.float32", bool: "np.bool_"}.get(type(x))
    hint = f"; pass {hint}({x})" if hint else ", neither an array nor a NumPy scalar"
    raise EmulatorError(f"argument {i} is a Python {type(x).__name__}{hint}")
