"""What a launch's results tell: whether unwritten shared memory reached them, and whether threads race."""

from functools import cache

import numpy as np

from step03_gpu.emulator.compiler import EmulatorError
from step03_gpu.emulator.launches import warp_order

MANTISSAS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}  # bits
POISON = 0x7FFE7FFE  # block.cuh


def poisoned(x) -> np.ndarray:
    """
    Say where an array holds the NaN that the emulator fills shared memory with.

    Its mantissa begins with three ones, and still does after arithmetic and conversions. A NaN that
    arithmetic makes on a CPU begins with 1 0 0; a GPU's has nothing but ones.
    """
    if not isinstance(x, np.ndarray) or x.ndim == 0 or not x.flags.c_contiguous:
        return np.zeros(0, bool)
    unsigned = f"u{x.itemsize}"
    if x.dtype.kind in "iu" and x.itemsize in (4, 8):
        return x.view(unsigned) == (POISON if x.itemsize == 4 else POISON << 32 | POISON)
    if (patterns := _patterns(x.dtype)) is None:
        return np.zeros(0, bool)
    ones, three_ones = patterns
    bits = x.view(unsigned) & ones
    return (bits >= three_ones) & (bits != ones)


@cache
def _patterns(dtype):
    """Return, without the sign, a NaN's bits that are all ones, and the first three of its mantissa alone."""
    if dtype.name not in MANTISSAS:
        return None
    mantissa, ones = MANTISSAS[dtype.name], (1 << 8 * dtype.itemsize - 1) - 1
    return tuple(np.array(n, f"u{dtype.itemsize}") for n in (ones, ones >> mantissa - 3 << mantissa - 3))


def check_not_poisoned(kernel: str, args: tuple, trusted: list) -> None:
    """
    Refuse results that shared memory reached which no thread of the block had written.

    Parameters
    ----------
    kernel : str
    args : tuple
        Of the launch.
    trusted : list
        Those of them that held no such number before.
    """
    if len(trusted) < len(args):  # the caller brought such numbers himself
        return
    for i, x in enumerate(args):
        if (found := poisoned(x)).any():
            raise EmulatorError(
                f"{kernel}: shared memory that no thread of the block had written reached argument {i} "
                f"at {_index(found)} ({found.sum()} of {found.size} elements)"
            )


def compare_orders(kernel, grid, block, args, *, shared_mem: int = 0, tolerance: float = 0.0) -> None:
    """
    Run a kernel in several orders of warps and lanes: if the results differ, its threads race.

    Parameters
    ----------
    kernel, grid, block, args, shared_mem
        As for a launch. The arrays hold afterwards what the forward order gives.
    tolerance : float
        How far results may differ, as a part of the largest number: sums made with atomicAdd depend on the
        order in their last bits.

    Raises
    ------
    EmulatorError
        Naming the argument, the element and the two orders.
    """
    runs = [("forward", 0), ("reverse", 0), *(("random", seed) for seed in (1, 2, 3))]
    results = []
    for order, seed in runs:
        copies = [x.copy() if isinstance(x, np.ndarray) and x.flags.writeable else x for x in args]
        with warp_order(order, seed):
            kernel.run(grid, block, tuple(copies), shared_mem)
        results.append(copies)
        _check_same(kernel.name, results[0], copies, order, tolerance)
    kernel(grid, block, args, shared_mem=shared_mem)


def _check_same(kernel, expected, found, order, tolerance):
    for i, (a, b) in enumerate(zip(expected, found, strict=True)):
        if not isinstance(a, np.ndarray) or not (different := _different(a, b, tolerance)).any():
            continue
        at = _index(different)
        values = f"{a[at]} in forward order, {b[at]} in {order} order"
        hint = (
            ", which is shared memory that nobody had written"
            if poisoned(np.array([a[at], b[at]])).any()
            else ""
        )
        raise EmulatorError(
            f"{kernel}: threads race: argument {i} differs at {at}, {values}{hint}; is a barrier missing?"
        )


def _different(a, b, tolerance):
    """Say where two arrays differ: in their bytes, or by more than the tolerance."""
    if a.ndim == 0 or a.size == 0:
        return np.zeros(0, bool)
    size = (*a.shape, a.itemsize)
    different = (a.view(np.uint8).reshape(size) != b.view(np.uint8).reshape(size)).any(axis=-1)
    if tolerance and a.dtype.name in MANTISSAS:
        a, b = a.astype(np.float64), b.astype(np.float64)
        close = np.abs(a - b) <= tolerance * np.abs(a).max(initial=0, where=np.isfinite(a))
        different &= ~close
    return different


def _index(found):
    return tuple(int(i) for i in np.argwhere(found)[0])
