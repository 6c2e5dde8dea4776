"""Mutants of decoding's kernels, and of the sums that a large lse cannot hold."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant

KERNEL = "decoding.cu"


def decoding(name, old, new, test):
    return Mutant(name, KERNEL, old, new, f"tests/kernels/test_decoding.py::{test}")


def large(name, file, old, new, test):
    return Mutant(name, file, old, new, f"tests/kernels/test_large_scores.py::{test}")


LENGTHS, GROUPS, LARGE = (
    "test_lengths_around_a_splits_edge",
    "test_heads_of_a_group_share_their_keys",
    "test_scores_of_any_size",
)

DECODING = [
    decoding("splits not rescaled", "exponential(totals[n].largest - reference) * sums", "sums", LARGE),
    decoding("splits merged by their sums alone", "whole.add(totals[n], W(1))", "whole.largest = totals[n].largest, whole.total += totals[n].total", LARGE),
    decoding("the last split left out", "for (int n = 0; n < n_splits; ++n) sum", "for (int n = 0; n + 1 < n_splits; ++n) sum", LENGTHS),
    decoding("a key in two splits", "if (r >= rows || j >= end ||", "if (r >= rows || j > end ||", LENGTHS),
    decoding("half warps not rescaled", "exponential(found[r].largest - zero_if_hidden(whole.largest))", "W(1)", LARGE),
    decoding("half a warp left out", "for (int n = 0; n < DOWN; ++n) column", "for (int n = 1; n < DOWN; ++n) column", LENGTHS),
    decoding("running sum not rescaled in decoding", "found[r].total * rescale", "found[r].total", LARGE),
    decoding("running output not rescaled in decoding", "sum[r][g][n] *= rescale", "sum[r][g][n] *= 1", LARGE),
    decoding("rows dealt out to heads in turn", "own_head * group + row / p.n_queries;", "own_head * group + row % group;", "test_masks"),
    decoding("every query masked as the first", "head, row % p.n_queries, j", "head, 0, j", "test_masks"),
    decoding("a group's ninth query forgotten", "first_row = blockIdx.x % blocks * R", "first_row = 0", GROUPS),
    decoding("no barrier before sums are read", "zero_if_hidden(whole.largest)), across);\n        __syncthreads();", "zero_if_hidden(whole.largest)), across);", "test_the_order_of_warps_changes_no_bit"),
    decoding("no barrier behind sums that were read", "__syncthreads();  // the sums of this row have been read", "", "test_the_order_of_warps_changes_no_bit"),
    decoding("hidden query not 0 in decoding", "(whole.total == 0 ? 1 : whole.total)", "whole.total", "test_what_is_hidden_whole_is_0"),
    Mutant("decoding for many queries", "step03_gpu.kernels.rungs:choose", "q.shape[-2] <= FEW", "q.shape[-2] > FEW", "tests/kernels/test_decoding.py::test_on_a_gpu_it_is_chosen_for_few_queries_and_for_no_gradient"),
    Mutant("splits of keys that nobody sees", "step03_gpu.kernels.decoding:n_visible", "- max(0, offset - left)", "", "tests/kernels/test_decoding.py::test_splits_are_of_what_is_visible"),
]  # fmt: skip

BACKWARD, TENSOR_CORES, SHARED = "04_tiled_backward.cu", "05_tensor_cores_backward.cu", "attention.cuh"
ALIKE, SUMS, SHARE = (
    "test_scores_that_are_all_alike",
    "test_a_sum_is_made_of_the_scores_that_the_backward_has",
    "test_keys_that_are_not_all_find_their_own_share",
)

LARGE_SCORES = [
    large("no row summed again", SHARED, "magnitude(lse) > FAR<T>", "false", SUMS),
    large("any sum taken for lse's", SHARED, "magnitude(largest * scale + logarithm(total) - lse) <= rounding * magnitude(lse)", "true", SHARE),
    large("largest product where the scale is negative", BACKWARD, "sums[r].add({sign * scores[r][c], 1}, scale)", "sums[r].add({scores[r][c], 1}, scale)", ALIKE),
    large("large scores scaled before their difference, backward", BACKWARD, "(score - terms.reference) * scale - terms.rest", "score * scale - (terms.reference * scale + terms.rest)", ALIKE),
    large("a share of the lanes summed", BACKWARD, "for (int apart = 8; apart > 0; apart /= 2) {", "for (int apart = 8; apart > 1; apart /= 2) {", SUMS),
    large("large scores scaled before their difference, tensor cores backward", TENSOR_CORES, "fmaf(score - terms.reference, unit, -terms.rest)", "fmaf(score, unit, -fmaf(terms.reference, unit, terms.rest))", ALIKE),
    large("row sum of the forward's weights", BACKWARD, "weighted[r] / sum.total}", "terms[top + i].delta}", "test_a_row_that_is_summed_again_has_a_row_sum_of_its_own"),
    large("a share of the lanes summed on tensor cores", TENSOR_CORES, "apart < 4", "apart < 2", ALIKE),
    large("a sum in nats among powers of 2", TENSOR_CORES, "{sum.largest, log2f(sum.total)", "{sum.largest, logf(sum.total)", ALIKE),
    large("no barrier before the next keys are summed", TENSOR_CORES, "__syncthreads();  // no warp needs the keys before these any more", "", "test_no_barrier_is_missing"),
]  # fmt: skip
