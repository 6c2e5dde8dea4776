"""CUDA kernels on NumPy arrays, behind the face of `cupy.RawModule`."""

import ctypes
from threading import Lock

import numpy as np

from step03_gpu.emulator.compiler import EmulatorError, compile_kernels
from step03_gpu.emulator.launches import Launch, argument, chosen_order, run_program
from step03_gpu.emulator.results import check_not_poisoned, poisoned

MOST_SHARED = 227 * 1024  # bytes of dynamic shared memory that a block may have on sm_90
MOST_BLOCKS, MOST_THREADS = (2**31 - 1, 65535, 65535), (1024, 1024, 64)
_ONE_AT_A_TIME = Lock()  # a library's threads, blocks and shared memory are its global variables


class RawModule:
    """
    Kernels compiled for the CPU, when they are first asked for.

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
        """Return a kernel: one of `name_expressions`, or by its plain name one that is extern "C"."""
        names = self.name_expressions
        if name not in names:
            if 'extern "C"' not in self.code:
                raise EmulatorError(f'{name} is none of name_expressions={names}, and nothing is extern "C"')
            names = (name,)
        path = compile_kernels(self.code, names, self.options, self.checked)
        return Kernel(name, names.index(name), path, self.checked)


class Kernel:
    """
    One kernel: `kernel(grid, block, arguments, shared_mem=bytes)`.

    `max_dynamic_shared_size_bytes` is 48 KiB until it is set, as on a GPU.
    """

    def __init__(self, name, index, path, checked):
        self.name, self._index, self._path, self._checked = name, index, path, checked
        self._shared_limit = 48 * 1024
        if not checked:
            self._launch = ctypes.CDLL(str(path)).emulator_launch
            self._launch.restype = ctypes.c_char_p

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        return self._shared_limit

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, n_bytes: int):
        if n_bytes > MOST_SHARED:
            raise EmulatorError(f"{self.name}: {n_bytes} bytes of shared memory; a block has {MOST_SHARED}")
        self._shared_limit = n_bytes

    def __call__(self, grid: tuple, block: tuple, args: tuple, *, shared_mem: int = 0) -> None:
        """
        Run every block of the grid, one after another.

        Parameters
        ----------
        grid, block : tuple of int
            Blocks, and threads of a block, along x, y and z.
        args : tuple
            C-contiguous arrays go by address, None is the null pointer, NumPy scalars and arrays without
            dimensions go by value.
        shared_mem : int
            Dynamic shared memory of a block, bytes.

        Raises
        ------
        EmulatorError
            Where a GPU would hang, stop or compute nonsense, naming the thread and the line; and where
            shared memory that nobody wrote reached a result.
        """
        trusted = [x for x in args if not poisoned(x).any()]
        self.run(grid, block, args, shared_mem)
        check_not_poisoned(self.name, args, trusted)

    def run(self, grid: tuple, block: tuple, args: tuple, shared_mem: int) -> None:
        """Run the grid, and let the results be what they are."""
        grid, block = self._sizes("grid", grid, MOST_BLOCKS), self._sizes("block", block, MOST_THREADS)
        if np.prod(block) > 1024:
            raise EmulatorError(f"{self.name}: block={block} has {np.prod(block)} threads, more than 1024")
        if not 0 <= shared_mem <= self._shared_limit:
            limit = f"max_dynamic_shared_size_bytes={self._shared_limit}"
            raise EmulatorError(f"{self.name}: shared_mem={shared_mem} is not within 0 and {limit}")
        arguments, keep = zip(*(argument(self.name, i, x) for i, x in enumerate(args)), strict=True)
        launch = Launch(grid, block, shared_mem, *chosen_order(), len(args))
        launch.set(arguments)
        if self._checked:
            return run_program(self._path, self._index, launch, keep)
        with _ONE_AT_A_TIME:
            message = self._launch(self._index, ctypes.byref(launch))
            message = message and message.decode()
        if message:
            raise EmulatorError(message)

    def _sizes(self, what, sizes, most):
        padded = (*sizes, 1, 1)[:3]
        if not 1 <= len(sizes) <= 3 or any(
            not 1 <= n <= limit for n, limit in zip(padded, most, strict=True)
        ):
            raise EmulatorError(f"{self.name}: {what}={sizes}; expected one to three sizes from 1 to {most}")
        return padded
