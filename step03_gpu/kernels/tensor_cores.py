"""
Rung 5 of the ladder: tensor cores. How its kernels are launched, and what they need.

Arrays are as in `rungs.py`, float16 or bfloat16. On NumPy's arrays the kernels run on the emulator, which
plays the instructions of `kernels/ptx.cuh`.
"""

from math import ceil

import numpy as np

from step03_gpu.arrays import array_module
from step03_gpu.kernels.launch import kernels, launch

DTYPES = ("float16", "bfloat16")
COMPUTE_CAPABILITY = 8.0  # of the instructions: mma with bfloat16, cp.async
KEPT = 128  # rows that a block keeps, in every kernel
FORWARD_KEYS = 64  # rows that it takes at a time, in one tile of keys and one of values
BACKWARD_KEYS = 32  # in two of each, one in use and one on its way; so too queries and d_out
SMALLEST_SCALE = 1e-30  # differs from 0 by less than any digit of a score


def lacking(q, rung: int = 5) -> str | None:
    """Say what the device of q lacks for this rung, or for another with such copies; None when nothing."""
    if array_module(q) is np:
        return None
    major, minor = divmod(int(q.device.compute_capability), 10)
    if major + minor / 10 >= COMPUTE_CAPABILITY:
        return None
    needed = f"a GPU of compute capability {COMPUTE_CAPABILITY} or later"
    return f"rung {rung} takes {needed}; this one has {major}.{minor}"


def tensor_cores(q, k, v, mask, problem):
    """Launch the forward: (q, k, v, mask, problem) -> (out, lse)."""
    xp, (batch, heads, n_queries, size) = array_module(q), q.shape
    _, q, problem = with_positive_scale(q, problem)
    out, lse = xp.empty_like(q), xp.empty(q.shape[:-1], "float32")
    (kernel,) = _kernels("05_tensor_cores.cu", q, "attend")
    shared = (KEPT + 2 * FORWARD_KEYS) * size * q.itemsize
    launch(kernel, (ceil(n_queries / KEPT), heads, batch), 128, (q, k, v, mask, out, lse, problem), shared)
    return out, lse


def tensor_cores_backward(d_out, q, k, v, out, lse, mask, problem):
    """Launch the backward: (d_out, q, k, v, out, lse, mask, problem) -> (d_q, d_k, d_v)."""
    xp, (batch, heads, n_queries, size) = array_module(q), q.shape
    _, kv_heads, n_keys, _ = k.shape
    sign, q, problem = with_positive_scale(q, problem)
    terms, d_q, d_k, d_v = xp.empty((*lse.shape, 4), "float32"), *(xp.empty_like(x) for x in (q, k, v))
    names = ("query_terms", "sum_again", "query_gradients", "key_gradients")
    of_rows, again, of_queries, of_keys = _kernels("05_tensor_cores_backward.cu", q, *names)
    launch(of_rows, (ceil(n_queries / 4), heads, batch), 128, (d_out, out, lse, terms, problem))
    inputs, row, grid = (
        (d_out, q, k, v, mask, terms),
        size * q.itemsize,
        (ceil(n_queries / KEPT), heads, batch),
    )
    launch(again, grid, 128, (d_out, q, k, v, mask, lse, terms, problem), 2 * (KEPT + BACKWARD_KEYS) * row)
    launch(of_queries, grid, 128, (*inputs, d_q, problem), (2 * KEPT + 4 * BACKWARD_KEYS) * row)
    taken = 32 if size > 96 else 64
    grid, shared = (ceil(n_keys / KEPT), kv_heads, batch), (2 * KEPT + 4 * taken) * row + 2 * taken * 16
    launch(of_keys, grid, 256, (*inputs, d_k, d_v, problem), shared)
    return d_q if sign > 0 else -d_q, d_k, d_v


def _kernels(file, q, *templates):
    names = tuple(f"{template}<{q.dtype.name}, {q.shape[-1]}>" for template in templates)
    return kernels(file, names, array_module(q) is not np).values()


def with_positive_scale(q, problem):
    """Move the scale's sign into q: in the kernel the largest score before scaling is the largest after."""
    scale = float(problem["scale"])
    positive = problem.copy()
    positive["scale"] = max(abs(scale), SMALLEST_SCALE)
    return (-1, -q, positive) if scale < 0 else (1, q, positive)
