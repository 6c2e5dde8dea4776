"""
Decoding, a variant of rung 2 for few queries and many keys: how its kernels are launched.

Arrays are as in `rungs.py`. On NumPy's arrays the kernels run on the emulator.
"""

from math import ceil

import numpy as np

from step03_gpu.arrays import array_module
from step03_gpu.kernels.launch import TYPES, kernels, launch, wide

FEW = 4  # queries of a head, up to which it is chosen where nobody asks for a rung
SPLIT = 128  # keys of a split at least: with fewer, writing what it found costs as much as finding it
BLOCKS = 528  # wanted on a device: four for each of the 132 multiprocessors of an H200


def decode(q, k, v, mask, problem):
    """Launch both kernels: (q, k, v, mask, problem) -> (out, lse)."""
    xp, (batch, heads, n_queries, size), kv_heads = array_module(q), q.shape, k.shape[1]
    width = wide(q.dtype)
    rows = 32 // width.itemsize
    blocks = kv_heads * ceil(heads // kv_heads * n_queries / rows)
    n_splits = splits(n_visible(problem), blocks * batch)
    out, lse = xp.empty_like(q), xp.empty(q.shape[:-1], width)
    sums = xp.empty((*q.shape[:-1], n_splits, size), width)
    totals = xp.empty((*q.shape[:-1], n_splits, 2), width)
    names = [f"{name}<{TYPES[q.dtype.name]}, {size}>" for name in ("attend_split", "merge_splits")]
    attend, merge = kernels("decoding.cu", tuple(names), xp is not np).values()
    shared = 8 * (size + 2 * rows) * width.itemsize
    launch(attend, (blocks, n_splits, batch), 128, (q, k, v, mask, sums, totals, problem), shared)
    launch(merge, (n_queries, heads, batch), size, (sums, totals, out, lse, np.int32(n_splits), problem))
    return out, lse


def n_visible(problem) -> int:
    """Return how many keys lie within the band of some query."""
    n_queries, n_keys, offset, left, right = (
        int(problem[name]) for name in ("n_queries", "n_keys", "offset", "left", "right")
    )
    return max(0, min(n_keys, n_queries + offset + right) - max(0, offset - left))


def splits(n_keys: int, blocks: int) -> int:
    """Return into how many splits the keys are cut: enough to fill a device, none of them too short."""
    return max(1, min(ceil(n_keys / SPLIT), BLOCKS // blocks))
