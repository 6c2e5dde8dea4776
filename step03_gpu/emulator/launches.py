"""What a launch hands to C++: sizes, and arguments by address. Its structures are those of `launch.cuh`."""

import contextlib
import ctypes
from contextvars import ContextVar

import numpy as np

from step03_gpu.emulator.compiler import EmulatorError
from step03_gpu.emulator.tensor_map import TensorMap

ORDERS = ("forward", "reverse", "random")
VALUE, ARRAY, READ_ONLY_ARRAY, MAP = range(4)
NUMPY_NAMES = {int: "np.int32", float: "np.float32", bool: "np.bool_"}
_ORDER = ContextVar("order", default=("forward", 0))


@contextlib.contextmanager
def warp_order(order: str, seed: int = 0):
    """
    Run the warps of a block, and the lanes of a warp, in another order.

    Parameters
    ----------
    order : str
        "forward", as without this; "reverse" or "random".
    seed : int
        Of the random order.
    """
    if order not in ORDERS:
        raise ValueError(f"order is {order!r}, expected one of {ORDERS}")
    token = _ORDER.set((order, seed))
    try:
        yield
    finally:
        _ORDER.reset(token)


def chosen_order() -> tuple[int, int]:
    """Return the order's number and its seed."""
    order, seed = _ORDER.get()
    return ORDERS.index(order), seed


class Argument(ctypes.Structure):
    """Where an argument lies, how many bytes it has, and which kind it is."""

    _fields_ = (("data", ctypes.c_void_p), ("bytes", ctypes.c_long), ("kind", ctypes.c_long))


class Launch(ctypes.Structure):
    """One launch of a kernel."""

    _fields_ = (
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_long),
        ("most_shared", ctypes.c_long),
        ("order", ctypes.c_long),
        ("seed", ctypes.c_long),
        ("n_arguments", ctypes.c_long),
        ("arguments", ctypes.POINTER(Argument)),
        ("stacks", ctypes.c_void_p),
        ("interrupts", ctypes.c_long),
        ("signal", ctypes.c_long),
        ("stopped_at", ctypes.c_long),
    )

    def set(self, arguments: tuple) -> None:
        """Point to the arguments."""
        self.n_arguments = len(arguments)
        self.arguments = (Argument * len(arguments))(*arguments)


def argument(kernel: str, i: int, x) -> tuple[Argument, object]:
    """
    Return an argument as C++ takes it, and the object that its address belongs to.

    Raises
    ------
    EmulatorError
        For what a GPU would silently take for something else.
    """
    if x is None:
        return Argument(None, 0, ARRAY), None
    if isinstance(x, np.ndarray) and x.ndim:
        if not x.flags.c_contiguous:
            raise EmulatorError(
                f"{kernel}: argument {i} is no C-contiguous array; np.ascontiguousarray makes one"
            )
        return Argument(x.ctypes.data, x.nbytes, ARRAY if x.flags.writeable else READ_ONLY_ARRAY), x
    if isinstance(x, TensorMap):
        return Argument(x.ctypes.data, x.nbytes, MAP), x
    if isinstance(x, np.ndarray | np.generic):
        value = np.array(x)
        return Argument(value.ctypes.data, value.nbytes, VALUE), value
    advice = NUMPY_NAMES.get(type(x))
    advice = f"pass {advice}({x})" if advice else "pass an array, a NumPy scalar or None"
    raise EmulatorError(f"{kernel}: argument {i} is a Python {type(x).__name__}; {advice}")
