"""
Rung 6 of the ladder: Hopper. How its kernel is launched, and what it needs; its backward is rung 5's.

Arrays are as in `rungs.py`, float16 or bfloat16. On NumPy's arrays the kernel runs on the emulator, which
plays the instructions of `kernels/ptx_hopper.cuh`.
"""

from math import ceil

import numpy as np

from step03_gpu.arrays import array_module
from step03_gpu.kernels.launch import kernels, launch
from step03_gpu.kernels.tensor_cores import with_positive_scale
from step03_gpu.kernels.tensor_map import tensor_map

COMPUTE_CAPABILITY = "90"  # no earlier GPU has these instructions, and no later one
SIZES = (64, 128)  # of heads: a box has 64 columns
ROWS = 128  # of a tile: the queries of a block, or keys, or values
SLOTS = 4  # tiles of keys and values that a block has room for
THREADS = 3 * 128  # two groups that compute, and one that has tiles copied
BARRIERS = 1 + 2 + 2 * SLOTS


def lacking(q) -> str | None:
    """Say what the device of q lacks for this rung; None when nothing."""
    if array_module(q) is np or (found := q.device.compute_capability) == COMPUTE_CAPABILITY:
        return None
    return f"rung 6 takes a GPU of compute capability 9.0 (Hopper); this one has {found[:-1]}.{found[-1]}"


def hopper(q, k, v, mask, problem):
    """Launch the forward: (q, k, v, mask, problem) -> (out, lse)."""
    xp, (batch, heads, n_queries, size) = array_module(q), q.shape
    _, q, problem = with_positive_scale(q, problem)
    out, lse = xp.empty_like(q), xp.empty(q.shape[:-1], "float32")
    name = f"attend<{q.dtype.name}, {size}>"
    kernel = kernels("06_hopper.cu", (name,), xp is not np)[name]
    maps = [tensor_map(x, ROWS) for x in (q, k, v)]
    shared = (1 + SLOTS) * ROWS * size * q.itemsize + 8 * BARRIERS
    grid = ceil(n_queries / ROWS), heads, batch
    launch(kernel, grid, THREADS, (out, lse, *maps, mask, problem), shared)
    return out, lse
