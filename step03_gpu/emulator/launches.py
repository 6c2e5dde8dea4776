"""What a launch hands to C++: sizes, and arguments by address. Its structures are those of `launch.cuh`."""

import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from step03_gpu.emulator.compiler import INCLUDE, EmulatorError

ORDERS = ("forward", "reverse", "random")
VALUE, ARRAY, READ_ONLY_ARRAY = range(3)
NUMPY_NAMES = {int: "np.int32", float: "np.float32", bool: "np.bool_"}
_ORDER = ContextVar("order", default=("forward", 0))
FRAME = re.compile(r"^ +#\d+ 0x\w+ in .* (\S+?):(\d+)(?::\d+)?$", re.MULTILINE)


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
        ("order", ctypes.c_long),
        ("seed", ctypes.c_long),
        ("n_arguments", ctypes.c_long),
        ("arguments", ctypes.POINTER(Argument)),
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
    if isinstance(x, np.ndarray | np.generic):
        value = np.array(x)
        return Argument(value.ctypes.data, value.nbytes, VALUE), value
    advice = NUMPY_NAMES.get(type(x))
    advice = f"pass {advice}({x})" if advice else "pass an array, a NumPy scalar or None"
    raise EmulatorError(f"{kernel}: argument {i} is a Python {type(x).__name__}; {advice}")


def run_program(path: Path, index: int, launch: Launch, arrays: tuple) -> None:
    """
    Run a checked kernel in a process of its own; its arrays travel through files.

    Raises
    ------
    EmulatorError
        For the first access outside of what belongs to the kernel, and as otherwise.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, results = Path(folder) / "given", Path(folder) / "results"
        with given.open("wb") as file:
            file.write(ctypes.c_long(index))
            file.write(launch)
            for x, a in zip(arrays, launch.arguments[: launch.n_arguments], strict=True):
                file.write(a)
                file.write(b"" if x is None else x.tobytes())
        options = "detect_leaks=0:redzone=2048:max_redzone=2048:detect_stack_use_after_return=0"
        environment = _symbolizer() | os.environ | {"ASAN_OPTIONS": options}
        run = subprocess.run([path, given, results], env=environment, stderr=subprocess.PIPE, check=False)
        if run.returncode:
            raise EmulatorError(_message(run.stderr.decode(errors="replace")))
        with results.open("rb") as file:
            for x in arrays:
                if x is not None and x.ndim and x.flags.writeable:
                    x.reshape(-1).view(np.uint8)[:] = np.frombuffer(file.read(x.nbytes), np.uint8)


def _symbolizer():
    """Name the program that turns addresses into lines: clang's AddressSanitizer cannot do without."""
    found = shutil.which("llvm-symbolizer") or shutil.which("addr2line")
    return {"ASAN_SYMBOLIZER_PATH": found} if found else {}


def _message(report):
    """Return one line that names thread, source line and access, out of AddressSanitizer's report."""
    thread, access = (re.search(f"^{word} (.*)$", report, re.MULTILINE) for word in ("THREAD", "ACCESS"))
    if not (thread and access):
        return report.strip()
    emulators = {header.name for header in INCLUDE.iterdir()}
    for file, line in FRAME.findall(report):
        if Path(file).name not in emulators and Path(file).suffix in (".cu", ".cuh"):
            return f"{thread[1]}, {Path(file).name}:{line}: {access[1]}"
    return f"{thread[1]}: {access[1]}"
