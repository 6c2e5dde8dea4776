"""Mutants of the CUDA kernels: the text of a `.cu` or `.cuh` file is changed before the emulator compiles it."""

# ruff: noqa: E501  (one mutant a line)

import contextlib
import re

from step03_gpu.kernels import launch
from tests.mutants.mutant import Mutant


@contextlib.contextmanager
def applied_to_kernel(mutant):
    """Put a mutant into the text that `source` returns: kernels compiled so far are forgotten, before and after."""
    original, found = launch.source, []

    def mutated(file, *args):
        text = original(file, *args)
        # The part of the text that came from the mutant's file: `#line` says where each part is from.
        parts = re.split(r'(?m)^(?=#line \d+ ")', text)
        own = [f'"{mutant.target}"' in part.split("\n", 1)[0] for part in parts]
        found.extend(part for part, mine in zip(parts, own, strict=True) if mine and mutant.old in part)
        return "".join(
            part.replace(mutant.old, mutant.new) if mine else part
            for part, mine in zip(parts, own, strict=True)
        )

    launch.source = mutated
    launch.kernels.cache_clear()
    try:
        yield
        assert found, f"{mutant.name}: {mutant.target} has no {mutant.old!r}, or no test compiled it"
    finally:
        launch.source = original
        launch.kernels.cache_clear()


def kernel(name, file, old, new, test):
    return Mutant(name, file, old, new, f"tests/kernels/test_rungs.py::{test}")


def watched(name, file, old, new):
    return Mutant(name, file, old, new, "tests/kernels/test_emulator_rungs.py")


SHARED, NAIVE, ONLINE, TILES = "attention.cuh", "01_naive.cu", "02_online_softmax.cu", "tiles.cuh"
TILED, BACKWARD = "03_tiled.cu", "04_tiled_backward.cu"
ORDERS, LENGTHS = "test_the_order_of_warps_changes_no_bit", "test_lengths_around_tile_edges"

KERNELS = [
    kernel("no barrier behind the copies", TILED, "__syncthreads();  // the values have come, and no thread needs these keys any more", "", ORDERS),
    kernel("copies of rung 3 not waited for", TILED, "wait_copies<0>();\n        __syncthreads();  // the values", "__syncthreads();  // the values", LENGTHS),
    kernel("no barrier before the second half of the weights", TILED, "__syncwarp();  // the first half has been used", "", ORDERS),
    kernel("the second half of the weights for the first values", TILED, "values + HALF * STRIDE<W, D>", "values", LENGTHS),
    kernel("a tile at the edge taken as all visible", SHARED, "key + keys - 1 <= query + p.offset + p.right", "key <= query + p.offset + p.right", LENGTHS),
    kernel("a tile over the end taken as all visible", SHARED, "key + keys <= p.n_keys && key", "key", LENGTHS),
    kernel("a tile before the window taken as all visible", SHARED, "key >= query + queries - 1 + p.offset - p.left", "key >= query + p.offset - p.left", "test_window_and_offset"),
    kernel("a tile with a mask taken as all visible", SHARED, "return !mask && key", "return key", "test_mask_of_any_broadcastable_shape"),
    kernel("no barrier before the next tile", TILED, "__syncthreads();  // the keys have come, and no thread needs the values before them any more", "", ORDERS),
    kernel("no barrier in the backward", BACKWARD, "__syncthreads();  // the tile before has been used", "", ORDERS),
    kernel("running sum not rescaled", TILED, "total[r] *= rescale;", "", "test_scores_of_any_size"),
    kernel("running output not rescaled", TILED, "sum[r][g][n] *= rescale", "sum[r][g][n] *= 1", "test_scores_of_any_size"),
    kernel("running sum not rescaled, by warps", ONLINE, "total * rescale", "total", LENGTHS),
    kernel("running output not rescaled, by warps", ONLINE, "sum[e] * rescale", "sum[e]", LENGTHS),
    kernel("tail of the keys not hidden", SHARED, "i >= p.n_queries || j >= p.n_keys", "i >= p.n_queries", LENGTHS),
    kernel("causal off by one", SHARED, "j > i + p.offset + p.right", "j > i + p.offset + p.right + 1", LENGTHS),
    kernel("window off by one", SHARED, "j < i + p.offset - p.left", "j <= i + p.offset - p.left", "test_window_and_offset"),
    kernel("last tile of a band skipped", SHARED, "last + p.offset + p.right + 1", "last + p.offset + p.right", "test_window_and_offset"),
    kernel("hidden tiles read", SHARED, "return min(p.n_keys, last + p.offset + p.right + 1)", "return p.n_keys", "test_hidden_tiles_are_not_read"),
    kernel("mask's row stride", SHARED, "i * p.mask_row", "i * p.mask_key", "test_mask_of_any_broadcastable_shape"),
    kernel("mask of the wrong head", SHARED, "head * p.mask_head", "0 * p.mask_head", "test_mask_of_any_broadcastable_shape"),
    kernel("heads grouped by the remainder", SHARED, "head / (p.heads / p.kv_heads)", "head % p.kv_heads", "test_heads_and_groups"),
    kernel("d_k from another group", BACKWARD, "own_head * group; head < (own_head + 1) * group", "own_head; head < own_head + group", "test_heads_and_groups"),
    kernel("lse without the maximum", TILED, "largest[r] + logarithm", "logarithm", LENGTHS),
    kernel("hidden row not 0", TILED, "1 / (row_total == 0 ? 1 : row_total)", "1 / row_total", "test_hidden_rows_are_exactly_zero"),
    kernel("hidden row not 0, naive", NAIVE, "total == 0 ? 1 : total", "total", "test_hidden_rows_are_exactly_zero"),
    kernel("a kernel makes NaN before the first visible key", SHARED, "x == minus_infinity<W>() ? W(0) : x", "x", "test_hidden_rows_are_exactly_zero"),
    kernel("scale forgotten", TILED, "weights[r][c] *= W(p.scale)", "weights[r][c] *= 1", LENGTHS),
    kernel("scale forgotten in d_q", BACKWARD, "sum[r], W(p.scale), across", "sum[r], W(1), across", LENGTHS),
    kernel("a kernel forgets the row sum", BACKWARD, "(d_weight - terms.delta)", "d_weight", LENGTHS),
    kernel("hidden weights made again", BACKWARD, "seen ? exponential((score - terms.reference) * scale - terms.rest) : W(0)", "exponential((score - terms.reference) * scale - terms.rest)", LENGTHS),
    kernel("bfloat16 cut, not rounded", SHARED, "bits + 0x7fff + (bits >> 16 & 1)", "bits", "test_results_of_16_bits_are_those_of_float32_rounded_once"),
    watched("a tile reads the row behind the last", TILES, "first + row < end", "first + row <= end"),
    watched("rung 5 copies the row behind the last", "warp_tiles.cuh", "row + down < rows", "row + down <= rows"),
    watched("a warp for a query that is none", ONLINE, "i >= p.n_queries", "i > p.n_queries"),
    kernel("padding of a tile not cleared", TILES, "if (first + row < end) from", "from", "test_hidden_rows_are_exactly_zero"),
]  # fmt: skip
