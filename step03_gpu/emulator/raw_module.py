"""CUDA kernels on NumPy arrays, behind the face of `cupy.RawModule`."""

import math
import operator
from functools import cache, partial

from step03_gpu.emulator.compiler import EmulatorError, compile_kernels
from step03_gpu.emulator.counts import counting, take
from step03_gpu.emulator.launches import Launch, argument, chosen_order
from step03_gpu.emulator.library import load, run_library
from step03_gpu.emulator.program import run_program
from step03_gpu.emulator.results import check_not_poisoned, poisoned

MOST_SHARED = 227 * 1024  # bytes of shared memory that a block may have on sm_90
FREE_SHARED = 48 * 1024  # that it may have without asking
MOST_BLOCKS, MOST_THREADS = (2**31 - 1, 65535, 65535), (1024, 1024, 64)


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
    timeout : float, optional
        Seconds that a launch may take.
    """

    def __init__(self, code, *, options=(), name_expressions=(), checked=False, timeout=None):
        self.code, self.options, self.checked = code, tuple(options), checked
        self.timeout = _positive(timeout)
        self.name_expressions = tuple(name_expressions or ())

    def get_function(self, name: str) -> "Kernel":
        """Return a kernel: one of `name_expressions`, or by its plain name one that is extern "C"."""
        names = self.name_expressions
        if name not in names:
            if 'extern "C"' not in self.code:
                raise EmulatorError(f'{name} is none of name_expressions={names}, and nothing is extern "C"')
            names = (name,)
        made = partial(compile_kernels, self.code, names, self.options)
        return Kernel(name, names.index(name), made, self.checked, self.timeout)


class Kernel:
    """
    One kernel: `kernel(grid, block, arguments, shared_mem=bytes)`.

    `max_dynamic_shared_size_bytes` is 48 KiB until it is set, as on a GPU; until then a block's static and
    dynamic shared memory together may have no more.
    """

    def __init__(self, name, index, made, checked, timeout=None):
        self.name, self._index, self._made, self._checked = name, index, cache(made), checked
        self.timeout, self._shared_limit = timeout, None
        if counting() is None:
            path = self._made(checked=checked)
            if not checked:
                load(path)

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        return FREE_SHARED if self._shared_limit is None else self._shared_limit

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, n_bytes: int):
        if not 0 <= n_bytes <= MOST_SHARED:
            raise EmulatorError(f"{self.name}: {n_bytes} bytes of shared memory; a block has {MOST_SHARED}")
        self._shared_limit = operator.index(n_bytes)

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
            Where a GPU would hang, stop or compute nonsense, naming the thread and the line; where it runs
            longer than `timeout`; and where shared memory that nobody wrote reached a result.
        KeyboardInterrupt
            Where Ctrl-C stopped it; as after a fault, the arrays hold what had been written by then.
        """
        trusted = [x for x in args if not poisoned(x).any()]
        self.run(grid, block, args, shared_mem)
        check_not_poisoned(self.name, args, trusted)

    def run(self, grid: tuple, block: tuple, args: tuple, shared_mem: int) -> None:
        """Run the grid, and let the results be what they are."""
        grid, block = self._sizes("grid", grid, MOST_BLOCKS), self._sizes("block", block, MOST_THREADS)
        if (n_threads := math.prod(block)) > 1024:
            raise EmulatorError(f"{self.name}: block={block} has {n_threads} threads, more than 1024")
        if not 0 <= shared_mem <= self.max_dynamic_shared_size_bytes:
            limit = f"max_dynamic_shared_size_bytes={self.max_dynamic_shared_size_bytes}"
            raise EmulatorError(f"{self.name}: shared_mem={shared_mem} is not within 0 and {limit}")
        both = [argument(self.name, i, x) for i, x in enumerate(args)]
        most_shared = FREE_SHARED if self._shared_limit is None else MOST_SHARED
        launch = Launch(grid, block, shared_mem, most_shared, *chosen_order(), len(args))
        launch.set(tuple(given for given, _ in both))
        timeout = _positive(self.timeout)
        if (what := counting()) is not None:
            take(self.name, run_library(self._made(counting=what), self._index, launch, timeout))
        elif self._checked:
            arrays = tuple(kept for _, kept in both)
            run_program(self._made(checked=True), self.name, self._index, launch, arrays, timeout)
        else:
            run_library(self._made(checked=False), self._index, launch, timeout)

    def _sizes(self, what, sizes, most):
        padded = (*sizes, 1, 1)[:3]
        if not 1 <= len(sizes) <= 3 or any(
            not 1 <= n <= limit for n, limit in zip(padded, most, strict=True)
        ):
            raise EmulatorError(f"{self.name}: {what}={sizes}; expected one to three sizes from 1 to {most}")
        return padded


def _positive(timeout):
    if timeout is not None and not 0 < timeout < math.inf:
        raise ValueError(f"timeout is {timeout!r}, expected seconds above 0, or None")
    return None if timeout is None else float(timeout)
