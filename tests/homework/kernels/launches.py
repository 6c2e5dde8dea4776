"""
How the kernels of homework are launched, for whoever grades and whoever checks: grids, blocks and arguments.

It needs NumPy and what is handed to it. A launch's arrays are copies, so that its case can be asked again.
"""

from math import ceil, prod
from typing import NamedTuple

import numpy as np

PROBLEM = np.dtype(  # the struct of attention.cuh
    [(name, "i4") for name in ("heads", "kv_heads", "n_queries", "n_keys", "offset", "left", "right")]
    + [("scale", "f8")]
    + [(f"mask_{axis}", "i8") for axis in ("batch", "head", "row", "key")],
    align=True,
)
ROWS, THREADS = 32, 128  # of a tile of double; of a block
KEPT, TAKEN = 32, 16  # rows of rung 4's tiles of double, up to D = 64
TILE_SIZE, FACTORS = 64, ((4, 2, 96), (2, 4, 32))  # what the drivers load, and multiply: R, C, D
ORDERS = (("reverse", 0), ("random", 1), ("random", 2))


class Launch(NamedTuple):
    """
    One launch of a kernel.

    Attributes
    ----------
    kernel : str
        As an expression, "scores<double, 64>".
    grid, block : tuple of int
    args : tuple
        Arrays, NumPy's numbers, None for a null pointer.
    results : dict
        From a name to the place among `args` of an array that is compared afterwards.
    shared : int
        Dynamic shared memory of a block, bytes.
    """

    kernel: str
    grid: tuple
    block: tuple
    args: tuple
    results: dict
    shared: int = 0


def state(shape, kv_heads, n_keys, mask=None, *, causal=False, window=None, offset=None, scale=None):
    """Return the struct for queries of shape (B, H, L, D)."""
    _, heads, n_queries, size = shape
    offset = n_keys - n_queries if offset is None else offset
    far = n_queries + n_keys + abs(offset)  # hides nothing
    left, right = (far if x is None else x for x in window or (None, None))
    strides = [0] * 4
    if mask is not None:
        strides = [n if size > 1 else 0 for n, size in zip(mask.strides, mask.shape, strict=True)]
    scale = size**-0.5 if scale is None else scale
    values = (heads, kv_heads, n_queries, n_keys, offset, left, 0 if causal else right, scale, *strides)
    return np.array(values, PROBLEM)


def scores(q, k, mask=None, **options):
    """Return the launch of rung 1's first kernel: a thread for each score."""
    (batch, heads, n_queries, size), n_keys = q.shape, k.shape[2]
    matrix = np.zeros((batch, heads, n_queries, n_keys))
    args = q, k, mask, matrix, state(q.shape, k.shape[1], n_keys, mask, **options)
    grid = ceil(n_queries * n_keys / 256), heads, batch
    return Launch(f"scores<double, {size}>", grid, (256,), args, {"scores": 3})


def softmax(given):
    """Return the launch of rung 1's second kernel: a thread for each row."""
    batch, heads, n_queries, n_keys = given.shape
    args = given.copy(), np.zeros(given.shape[:-1]), state((batch, heads, n_queries, 1), heads, n_keys)
    grid = ceil(n_queries / 256), heads, batch
    return Launch("softmax<double>", grid, (256,), args, {"weights": 0, "lse": 1})


def attend(q, k, v, mask=None, *, rung, **options):
    """Return the launch of rung 2 or 3, a kernel that does all."""
    batch, heads, n_queries, size = q.shape
    out, lse = np.zeros_like(q), np.zeros(q.shape[:-1])
    args = q, k, v, mask, out, lse, state(q.shape, k.shape[1], k.shape[2], mask, **options)
    name, rows = {2: ("online_softmax", 4), 3: ("tiled", ROWS)}[rung]
    shared = (3 * (size + 2) + ROWS // 2 + 2) * ROWS * 8 if rung == 3 else 0
    grid, results = (ceil(n_queries / rows), heads, batch), {"out": 4, "lse": 5}
    return Launch(f"{name}<double, {size}>", grid, (THREADS,), args, results, shared)


def query_gradients(d_out, q, k, v, terms, mask=None, **options):
    """Return the launch of rung 4's third kernel: a tile of queries walks along the keys."""
    batch, heads, n_queries, size = q.shape
    problem = state(q.shape, k.shape[1], k.shape[2], mask, **options)
    shared = (2 * (KEPT + TAKEN) * (size + 2) + KEPT * (TAKEN + 2)) * 8
    args, grid = (
        (d_out, q, k, v, mask, terms, np.zeros_like(q), problem),
        (ceil(n_queries / KEPT), heads, batch),
    )
    return Launch(f"query_gradients<double, {size}>", grid, (THREADS,), args, {"d_q": 6}, shared)


def row_sums(d_out, out):
    """Return the launch of rung 4's first kernel: a warp for each query."""
    batch, heads, n_queries, size = out.shape
    args = d_out, out, np.zeros(out.shape[:-1]), state(out.shape, heads, n_queries)
    return Launch(
        f"row_sums<double, {size}>", (ceil(n_queries / 4), heads, batch), (THREADS,), args, {"delta": 2}
    )


def visible_pairs(q, k, mask=None, **options):
    """Return the launch that asks of pairs, three rows and five columns beyond the ends, what is visible."""
    (batch, heads, n_queries, _), n_keys = q.shape, k.shape[2]
    rows, columns = n_queries + 3, n_keys + 5
    problem = state(q.shape, k.shape[1], n_keys, mask, **options)
    args = (
        mask,
        np.zeros((batch, heads, rows, columns), np.int32),
        np.int32(rows),
        np.int32(columns),
        problem,
    )
    grid = ceil(rows * columns / THREADS), heads, batch
    return Launch("visible_pairs", grid, (THREADS,), args, {"visible": 1})


def reduce(x, *, kernel):
    """Return the launch of a reduction; a row of x are the threads of a block."""
    return Launch(f"{kernel}<double>", (x.shape[0],), (x.shape[1],), (x, np.zeros_like(x)), {"result": 1})


def tiles(x):
    """Return the launch that loads the tiles of x, the last of which may reach over its end."""
    n_blocks = ceil(len(x) / ROWS)
    args = x, np.zeros((n_blocks * ROWS, TILE_SIZE)), np.int32(len(x))
    shared = ROWS * (TILE_SIZE + 2) * 8
    return Launch(f"tiles<{ROWS}, {TILE_SIZE}, double>", (n_blocks,), (THREADS,), args, {"tile": 1}, shared)


def products(a, b):
    """Return the launch that multiplies two tiles."""
    size, R, C = a.shape[1], len(a) // 8, len(b) // 16
    args = a, b, np.zeros((len(a), len(b)))
    shared = (len(a) + len(b)) * (size + 2) * 8
    return Launch(f"products<{R}, {C}, {size}, double>", (1,), (THREADS,), args, {"product": 2}, shared)


def differences(scores, d_weights, seen, terms, *, scale):
    """Return the launch that differentiates scores of some rows, a thread for each."""
    weights, d_scores = np.zeros_like(scores), np.zeros_like(scores)
    args = (scores, d_weights, seen, terms, weights, d_scores)
    args = *args, np.int32(scores.shape[1]), np.float64(scale)
    grid, results = (prod(scores.shape) // THREADS,), {"weights": 4, "d_scores": 5}
    return Launch("differences<double>", grid, (THREADS,), args, results)


LAUNCHES = {
    x.__name__: x
    for x in (
        scores,
        softmax,
        attend,
        query_gradients,
        row_sums,
        visible_pairs,
        reduce,
        tiles,
        products,
        differences,
    )
}


def of(args, options):
    """Return the launch that a case is about, and whether it is asked in several orders of warps."""
    options = dict(options)
    make, orders = LAUNCHES[options.pop("launch")], options.pop("orders", False)
    return make(*args, **options), orders


def copies(launch) -> tuple:
    """Return the arguments of a launch, arrays as copies; what is no result cannot be written to."""
    found = [x.copy() if isinstance(x, np.ndarray) and x.ndim else x for x in launch.args]
    for i, x in enumerate(found):
        if isinstance(x, np.ndarray) and i not in launch.results.values():
            x.flags.writeable = False
    return tuple(found)


def named(result: str, order: str, seed: int) -> str:
    """Return the name of a result in an order of warps; the usual one needs no mention."""
    return result if order == "forward" else f"{result} in {order} order {seed or ''}".rstrip()


def answer(kernel, launch, orders, warp_order) -> dict:
    """
    Run a launch, and return its results by name.

    Parameters
    ----------
    kernel : callable
        With the face of the emulator's kernels.
    launch : Launch
    orders : bool
        Whether the warps run in other orders than the usual one; then each order has results of its own.
    warp_order : callable
        The emulator's.
    """
    found = {}
    for order, seed in ORDERS if orders else (("forward", 0),):
        args = copies(launch)
        kernel.max_dynamic_shared_size_bytes = max(launch.shared, 48 * 1024)
        with warp_order(order, seed):
            (kernel.run if orders else kernel)(launch.grid, launch.block, args, shared_mem=launch.shared)
        found |= {named(name, order, seed): args[i] for name, i in launch.results.items()}
    return found
