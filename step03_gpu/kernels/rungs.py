"""
The ladder: which kernels a rung is made of, what it takes, and how its blocks are laid out.

The functions here take arrays as the kernels do, (B, H, L, D) and (B, H_kv, S, D), C-contiguous, D one of
`HEAD_SIZES`; `fitting.py` brings any call of `flash_attention` into that form. On NumPy's arrays the kernels
run on the emulator.
"""

from collections.abc import Callable
from functools import partial
from math import ceil
from typing import NamedTuple

import numpy as np

from step03_gpu.arrays import array_module
from step03_gpu.kernels import hopper
from step03_gpu.kernels.decoding import FEW, decode
from step03_gpu.kernels.launch import TYPES, kernels, launch, wide
from step03_gpu.kernels.tensor_cores import DTYPES, lacking, tensor_cores, tensor_cores_backward

HEAD_SIZES = (32, 64, 96, 128)
LARGEST_GRID = 65535  # blocks in y and z: heads, and entries of a batch
ALIGNMENT = 16  # bytes, of an array's first element

# The struct of attention.cuh.
PROBLEM = np.dtype(
    [(name, "i4") for name in ("heads", "kv_heads", "n_queries", "n_keys", "offset", "left", "right")]
    + [("scale", "f8")]
    + [(f"mask_{axis}", "i8") for axis in ("batch", "head", "row", "key")],
    align=True,
)


class Rung(NamedTuple):
    """
    A step of the ladder.

    Attributes
    ----------
    forward : callable
        (q, k, v, mask, problem) -> (out, lse).
    backward : callable
        (d_out, q, k, v, out, lse, mask, problem) -> (d_q, d_k, d_v).
    dtypes : tuple of str
        What it takes.
    lacking : callable
        q -> why its device will not do, or None.
    sizes : tuple of int
        Of heads, that it has kernels for.
    by_itself : bool
        Whether a call that asks for no rung may get it. One that was never measured waits to be asked for.
    """

    forward: Callable
    backward: Callable
    dtypes: tuple = tuple(TYPES)
    lacking: Callable = lambda q: None
    sizes: tuple = HEAD_SIZES
    by_itself: bool = True


def choose(rung: int | str | None, q, v, bias=None, softcap=None, forward: bool = False) -> int | str:
    """
    Return the rung for a call: the one asked for or, when None is, the best that covers it on a GPU.

    Parameters
    ----------
    rung, q, v, bias, softcap
        As in `flash_attention`.
    forward : bool
        Whether it is a forward, for which few queries are a case of their own.

    Returns
    -------
    rung : int, or "decoding"
        0 = array operations, the choice for host arrays, where kernels are emulated and slow.

    Raises
    ------
    ValueError
        If the rung asked for does not cover the call.
    """
    if rung is None:
        on_gpu = array_module(q) is not np
        able = [n for n in RUNGS if on_gpu and RUNGS[n].by_itself and refusal(n, q, v, bias, softcap) is None]
        return DECODING if able and forward and q.shape[-2] <= FEW else max(able, default=0)
    if rung not in (0, *LADDER) or isinstance(rung, bool):
        raise ValueError(f"rung is {rung!r}; expected one of {(0, *LADDER)}, or None")
    reason = refusal(rung, q, v, bias, softcap) if rung else None
    if reason is not None:
        raise ValueError(reason)
    return rung


def refusal(rung: int | str, q, v, bias=None, softcap=None) -> str | None:
    """Say why a rung does not cover a call; None when it does."""
    dtypes, size = LADDER[rung].dtypes, max(q.shape[-1], v.shape[-1])
    if q.dtype.name not in dtypes:
        return f"rung {rung} takes {', '.join(dtypes[:-1])} or {dtypes[-1]}, not {q.dtype.name}"
    for name, x in (("bias", bias), ("softcap", softcap)):
        if x is not None:
            return f"rung {rung} takes no {name}; rung=0 does"
    if size > HEAD_SIZES[-1]:
        return f"rung {rung} takes head sizes up to {HEAD_SIZES[-1]}, not {size}; rung=0 takes any"
    return LADDER[rung].lacking(q)


def state_problem(q, k, mask, *, causal=False, window=None, offset=None, scale) -> np.ndarray:
    """
    Fill in the struct that tells a kernel the sizes, the scale, and what is visible.

    Parameters
    ----------
    q, k : (B, H, L, D), (B, H_kv, S, D)
    mask : boolean, each axis of size 1 or as in (B, H, L, S), C-contiguous, optional
    causal, window, offset
        As in `flash_attention`.
    scale : float
    """
    (_, heads, n_queries, _), (_, kv_heads, n_keys, _) = q.shape, k.shape
    offset = n_keys - n_queries if offset is None else offset
    left, right = (None, None) if window is None else window
    right = 0 if causal else right

    def near(position):  # beyond -L or S a bound hides all or nothing, however far it is
        return min(max(position, -n_queries), n_keys)

    low = near(-n_queries if left is None else offset - left)  # query i sees keys i + low to i + high
    high, offset = near(n_keys if right is None else offset + right), near(offset)
    strides = (0, 0, 0, 0)
    if mask is not None:
        strides = [n if size > 1 else 0 for n, size in zip(mask.strides, mask.shape, strict=True)]
    values = (heads, kv_heads, n_queries, n_keys, offset, offset - low, high - offset, scale, *strides)
    return np.array(values, PROBLEM)


def naive(q, k, v, mask, problem):
    """Rung 1: scores, softmax and weighted sum, the scores in memory."""
    xp, (batch, heads, n_queries, size), n_keys = array_module(q), q.shape, k.shape[2]
    names = _names(q, "scores", "weighted_sum")
    softmax = f"softmax<{TYPES[q.dtype.name]}>"
    found = kernels("01_naive.cu", (*names, softmax), xp is not np)
    scores = xp.empty((batch, heads, n_queries, n_keys), wide(q.dtype))
    out, lse = _results(q)
    launch(
        found[names[0]], (ceil(n_queries * n_keys / 256), heads, batch), 256, (q, k, mask, scores, problem)
    )
    launch(found[softmax], (ceil(n_queries / 256), heads, batch), 256, (scores, lse, problem))
    launch(found[names[1]], (ceil(n_queries * size / 256), heads, batch), 256, (scores, v, out, problem))
    return out, lse


def online_softmax(q, k, v, mask, problem):
    """Rung 2: one kernel, a warp for each query."""
    batch, heads, n_queries, _ = q.shape
    out, lse = _results(q)
    kernel = _kernel("02_online_softmax.cu", q, "online_softmax")
    launch(kernel, (ceil(n_queries / 4), heads, batch), 128, (q, k, v, mask, out, lse, problem))
    return out, lse


def tiled(q, k, v, mask, problem):
    """Rung 3: tiles in shared memory."""
    (batch, heads, n_queries, size), width = q.shape, wide(q.dtype).itemsize
    tile, row = 256 // width, size + 16 // width
    shared = (3 * tile * row + tile * (tile // 2 + 16 // width)) * width
    out, lse = _results(q)
    kernel = _kernel("03_tiled.cu", q, "tiled")
    launch(kernel, (ceil(n_queries / tile), heads, batch), 128, (q, k, v, mask, out, lse, problem), shared)
    return out, lse


def tiled_backward(d_out, q, k, v, out, lse, mask, problem):
    """Rung 4: what is to be known of each row, then d_q by tiles of queries, d_k and d_v by tiles of keys."""
    (batch, heads, n_queries, size), width = q.shape, wide(q.dtype).itemsize
    kept, taken = (128 if size > 64 else 256) // width, 128 // width
    passed_on = kept * (taken + 16 // width)  # a micro-tile's way to its neighbours
    tiles = 2 * (kept + taken) * (size + 16 // width)  # two that are kept, and two that are taken
    shared, xp = tiles + passed_on, array_module(q)
    terms = xp.empty((*lse.shape, 4), lse.dtype)
    d_q, d_k, d_v = (xp.empty_like(x) for x in (q, k, v))
    names = _names(q, "query_terms", "sum_again", "query_gradients", "key_value_gradients")
    of_rows, again, queries, keys_values = kernels("04_tiled_backward.cu", names, xp is not np).values()
    launch(of_rows, (ceil(n_queries / 4), heads, batch), 128, (d_out, out, lse, terms, problem))
    grid, inputs = (ceil(n_queries / kept), heads, batch), (d_out, q, k, v, mask, terms)
    launch(again, grid, 128, (d_out, q, k, v, mask, lse, terms, problem), tiles * width)
    launch(queries, grid, 128, (*inputs, d_q, problem), shared * width)
    grid, shared = (ceil(k.shape[2] / kept), k.shape[1], batch), shared + passed_on
    launch(keys_values, grid, 128, (*inputs, d_k, d_v, problem), shared * width)
    return d_q, d_k, d_v


def _names(q, *templates):
    return tuple(f"{template}<{TYPES[q.dtype.name]}, {q.shape[-1]}>" for template in templates)


def _kernel(file, q, template):
    (name,) = _names(q, template)
    return kernels(file, (name,), array_module(q) is not np)[name]


def _results(q):
    xp = array_module(q)
    return xp.empty_like(q), xp.empty(q.shape[:-1], wide(q.dtype))


RUNGS = {
    1: Rung(naive, tiled_backward),
    2: Rung(online_softmax, tiled_backward),
    3: Rung(tiled, tiled_backward, lacking=partial(lacking, rung=3)),
    4: Rung(tiled, tiled_backward, lacking=partial(lacking, rung=4)),
    5: Rung(tensor_cores, tensor_cores_backward, DTYPES, lacking),
    6: Rung(hopper.hopper, tensor_cores_backward, DTYPES, hopper.lacking, hopper.SIZES, by_itself=False),
}
DECODING = "decoding"  # no step of the ladder, but rung 2 for few queries
LADDER = {**RUNGS, DECODING: Rung(decode, tiled_backward)}
