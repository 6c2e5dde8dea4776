"""A rung at work on one problem, counted: as it is where it is small, else by a law that small ones show."""

from collections import Counter
from functools import partial
from typing import NamedTuple

import numpy as np

from step03_gpu.emulator import count
from step03_gpu.flash_attention import flash_attention, flash_attention_backward
from step03_gpu.kernels.rungs import HEAD_SIZES, RUNGS, wide

STEP = 128  # rows: a multiple of every tile's
TILES = {1: 32, 2: 32, 3: 64, 4: 64, 5: 128, 6: 128}  # rows: of a rung's tiles, or of a warp, a multiple
DIRECT = 3 * STEP  # the longest problem that is run as it is
DTYPES = {5: "bfloat16", 6: "bfloat16"}  # of a rung, where none is chosen
FORWARD, BACKWARD = (1, 2, 3, 5, 6), (4, 5)  # the rungs that differ


class Case(NamedTuple):
    """
    What is counted.

    Attributes
    ----------
    rung : int
    length : int
        Queries, and as many keys.
    head_size : int
        One of `HEAD_SIZES`.
    dtype : str
    heads : int
    causal, backward : bool
        The gradients alone where `backward` is true.
    """

    rung: int
    length: int
    head_size: int
    dtype: str
    heads: int = 1
    causal: bool = False
    backward: bool = False


def cases(rung: int | None, length: int, head_size: int, dtype: str | None = None, **options) -> list[Case]:
    """
    Return what is to be counted: one rung, or all that differ.

    Raises
    ------
    ValueError
        Naming what no rung takes, or what cannot be counted.
    """
    if head_size not in HEAD_SIZES:
        raise ValueError(f"--head-size is {head_size}; kernels exist for {', '.join(map(str, HEAD_SIZES))}")
    if length > DIRECT and length % STEP:
        raise ValueError(f"--length is {length}; beyond {DIRECT} it is a multiple of {STEP}")
    rungs = (BACKWARD if options.get("backward") else FORWARD) if rung is None else (rung,)
    taken = [n for n in rungs if dtype is None or dtype in RUNGS[n].dtypes]
    if not taken:
        raise ValueError(f"rung {rung} takes {', '.join(RUNGS[rung].dtypes)}, not {dtype}")
    return [Case(n, length, head_size, dtype or DTYPES.get(n, "float32"), **options) for n in taken]


def counted(case: Case) -> dict[str, Counter]:
    """
    Count what a rung's kernels do; see `emulator.count`.

    Returns
    -------
    counts : dict of Counter
        By the kernels' names.

    Notes
    -----
    One head is run, and its counts are multiplied. Beyond `DIRECT` rows the counts are those of the one
    polynomial of second degree through one, two and three of the rung's `TILES`: every block of a kind does
    the same, and there are as many kinds of blocks as there are powers of the length. The inputs are zeros,
    so that no score outgrows the first ones: rung 5 then rescales once a row, as it does of most inputs.
    """
    if case.length <= DIRECT:
        return _times(_run(case), case.heads)
    tile = TILES[case.rung]
    one, two, three = (_run(case._replace(length=n * tile)) for n in (1, 2, 3))
    x, found = case.length // tile - 1, {}
    for kernel in one:
        found[kernel] = Counter()
        for name in one[kernel] | two[kernel] | three[kernel]:
            first, second, third = (counts[kernel][name] for counts in (one, two, three))
            curve = third - 2 * second + first
            found[kernel][name] = first + x * (second - first) + x * (x - 1) // 2 * curve
    return _times(found, case.heads)


def total(counts: dict[str, Counter]) -> Counter:
    """Add up the counts of a rung's kernels."""
    return sum(counts.values(), Counter())


def _run(case):
    """Count one head."""
    import ml_dtypes  # noqa: F401  (NumPy knows bfloat16 from here on)

    dtype = np.dtype(case.dtype)
    d_out, q, k, v, out = (np.zeros((1, 1, case.length, case.head_size), dtype) for _ in range(5))
    lse = np.zeros((1, 1, case.length), wide(dtype))
    call = partial(flash_attention, q, k, v)
    if case.backward:
        call = partial(flash_attention_backward, d_out, q, k, v, out, lse)
    return count(partial(call, causal=case.causal, rung=case.rung))


def _times(counts, heads):
    return {
        kernel: Counter({name: heads * n for name, n in found.items()}) for kernel, found in counts.items()
    }
