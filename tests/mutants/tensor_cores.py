"""Mutants of rung 5: what goes wrong with asynchronous copies, permuted tiles and the fragments of tensor cores."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def rung5(name, file, old, new, test):
    return Mutant(name, file, old, new, f"tests/kernels/test_tensor_cores.py::{test}")


SHARED = "attention.cuh"
FORWARD, BACKWARD, TILES = "05_tensor_cores.cu", "05_tensor_cores_backward.cu", "warp_tiles.cuh"
SIZES, ORDERS = "test_every_size_and_dtype[float16-64]", "test_no_barrier_is_missing"

TENSOR_CORES = [
    rung5(
        "copies not waited for",
        FORWARD,
        "wait_copies<0>();\n        __syncthreads();  // the values",
        "__syncthreads();  // the values",
        SIZES,
    ),
    rung5("copies not waited for, backward", BACKWARD, "wait_copies<0>();", "wait_copies<1>();", SIZES),
    rung5(
        "no barrier before the values are multiplied",
        FORWARD,
        "__syncthreads();  // the values have come, and no warp needs these keys any more",
        "",
        ORDERS,
    ),
    rung5(
        "no barrier before the next values",
        FORWARD,
        "__syncthreads();  // the keys have come, and no warp needs the values before them any more",
        "",
        ORDERS,
    ),
    rung5(
        "no barrier before the next queries",
        BACKWARD,
        "__syncthreads();  // these queries have come, and no warp needs those before them any more",
        "",
        ORDERS,
    ),
    rung5(
        "chunks permuted on one side only",
        TILES,
        "tile.place_of(row, chunk)",
        "(row * tile.ROW + chunk * 16)",
        SIZES,
    ),
    rung5(
        "lanes of the right operand",
        TILES,
        "lane() % 8 + lane() / 16 * 8, lane() / 8 % 2",
        "lane() % 16, lane() / 16",
        SIZES,
    ),
    rung5(
        "halves of a register swapped",
        TILES,
        "pack<T>(a[m][n + i / 2][i % 2 * 2], a[m][n + i / 2][i % 2 * 2 + 1])",
        "pack<T>(a[m][n + i / 2][i % 2 * 2 + 1], a[m][n + i / 2][i % 2 * 2])",
        SIZES,
    ),
    rung5(
        "sum not rescaled on tensor cores",
        FORWARD,
        "sum[m][n][i] *= rescale[m][i / 2]",
        "sum[m][n][i] *= 1",
        "test_scores_that_outgrow_the_reference",
    ),
    rung5(
        "a tile taken as all visible",
        SHARED,
        "key + keys - 1 <= query + p.offset + p.right",
        "key <= query + p.offset + p.right",
        "test_lengths_around_tile_edges",
    ),
    rung5(
        "large scores scaled before their difference",
        FORWARD,
        "(scores[m][n][i] - zero) * unit",
        "fmaf(scores[m][n][i], unit, -(zero * unit))",
        "test_scores_beyond_what_2_to_their_power_can_hold",
    ),
    rung5(
        "a tile skipped that the last queries see",
        SHARED,
        "key <= query + queries - 1 + p.offset + p.right && key",
        "key <= query + p.offset + p.right && key",
        "test_lengths_around_tile_edges",
    ),
    rung5(
        "a tile skipped in which the window begins",
        SHARED,
        "key + keys > query + p.offset - p.left",
        "key > query + p.offset - p.left",
        "test_windows_and_offsets_skip_tiles",
    ),
    rung5(
        "the band ends a key late",
        TILES,
        "8 * n + e > end",
        "8 * n + e > end + 1",
        "test_lengths_around_tile_edges",
    ),
    rung5(
        "the band begins a key early",
        TILES,
        "8 * n + e < begin",
        "8 * n + e < begin - 1",
        "test_windows_and_offsets_skip_tiles",
    ),
    rung5(
        "a mask's bits of another row",
        TILES,
        "(2 * m + i / 2) * 2 * N",
        "(2 * m + i % 2) * 2 * N",
        "test_masks_with_hidden_rows",
    ),
    rung5("tiles aligned as numbers are", FORWARD, "__align__(128) float4", "float4", SIZES),
    rung5("row sum forgotten on tensor cores", BACKWARD, "(d_weight - terms.delta)", "d_weight", SIZES),
    rung5(
        "the last visible key's tile taken for hidden",
        SHARED,
        "key <= query + queries - 1",
        "key < query + queries - 1",
        "test_windows_and_offsets_skip_tiles",
    ),
    rung5(
        "the first visible key's tile taken for hidden",
        SHARED,
        "key + keys > query + p.offset - p.left;",
        "key + keys > query + p.offset - p.left + 1;",
        "test_windows_and_offsets_skip_tiles",
    ),
    Mutant(
        "hidden tiles multiplied",
        SHARED,
        "return key <= query + queries - 1 + p.offset + p.right && key + keys > query + p.offset - p.left;",
        "return true;",
        "tests/kernels/test_counts_of_rungs.py::test_nor_does_its_backward",
    ),
]
