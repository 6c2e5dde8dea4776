"""
The mistakes that students of kernels are told: text within a region, what stands there instead, and the words.

Those with `numbers` are recognised by what they compute, in the usual order of warps or in others. The others are
found by the emulator, whose own words are the feedback; `says` is a part of them.
"""

# ruff: noqa: E501  (one mistake a line)

from typing import NamedTuple


class Mistake(NamedTuple):
    """
    A wrong region.

    Parameters
    ----------
    name : str
    task : str
    old, new : str
        The text within the task's regions that is replaced, and what stands there instead.
    says : str
        The sentence for students, or a part of the emulator's.
    numbers : bool
        Whether it is known by its numbers.
    """

    name: str
    task: str
    old: str
    new: str
    says: str
    numbers: bool = True


def stopped(name, task, old, new, says):
    """Return a mistake that the emulator names."""
    return Mistake(name, task, old, new, says, False)


OUT_OF_BOUNDS = "out of bounds"
NOBODY_WROTE = "shared memory that no thread of the block had written reached argument"
RACE = "threads race"
NO_SCALE = "Your scores are not scaled. `Problem` brings the scale along: where is it used?"
LSE = "Your log-sum-exp is that of scores from which the largest was taken away. What has to come back?"
HIDDEN_ROW = "A row that sees nothing divides 0 by 0 in your kernel. Its weights should be 0."
OVERFLOW = "Large scores overflow exp, and very low ones vanish in it. What may be taken off all scores of a row without changing its weights?"
TOTAL = "Your running sum of weights stays relative to an older maximum. What happens to it where a larger score comes?"
OUT = "Your running output stays relative to an older maximum. The sum of weights is not all that has to be brought up to date."
BACKWARDS = (
    "The factor with which you bring old sums up to date is the wrong way round: it should never exceed 1."
)
HALF = "Your reduction reaches half of the threads that it should. How far apart are the first two that meet?"
NEIGHBOUR = "Your reduction stops before neighbours have met: pairs of lanes have different results."
ONE_LANE = "Your reduction brings the result to one lane. The others go on with partial results, and all of them need it."
KV_HEADS = "With fewer key heads than query heads you pair them in another order: neighbouring query heads share a key head."

MISTAKES = [
    Mistake("no scale", "naive-scores", "score * Wide<T>(p.scale)", "score", NO_SCALE),
    Mistake("heads by the remainder", "naive-scores", "kv_head(p, head)", "head % p.kv_heads", KV_HEADS),
    Mistake("hidden scores are 0", "naive-scores", "minus_infinity<Wide<T>>()", "Wide<T>(0)", "Your hidden scores are 0, and exp makes 1 of that. Which score gives a weight of exactly 0?"),
    Mistake("hidden scores are large negative numbers", "naive-scores", "minus_infinity<Wide<T>>()", "Wide<T>(-1e9)", "Your hidden scores are large negative numbers. A row that sees nothing gets weights all the same: which score gives exactly 0?"),
    Mistake("hiding upside down", "naive-scores", "seen ?", "!seen ?", "You hide what may be seen, and keep what may not. True means may attend."),
    stopped("every head has keys", "naive-scores", "kv_head(p, head)", "head", OUT_OF_BOUNDS),
    Mistake("no maximum", "softmax-row", "exponential(scores[j] - largest)", "exponential(scores[j])", OVERFLOW),
    Mistake("no division", "softmax-row", "scores[j] /= total == 0 ? 1 : total", "scores[j] /= 1", "Your weights do not sum to 1 in a row: they are not divided by their sum."),
    Mistake("lse without the maximum", "softmax-row", "largest + logarithm(total)", "logarithm(total)", LSE),
    Mistake("hidden row divided", "softmax-row", "total == 0 ? 1 : total", "total", HIDDEN_ROW),
    Mistake("maximum of nothing", "softmax-row", "largest = zero_if_hidden(largest);", "", "A row that sees nothing has no largest score: minus infinity less minus infinity is no number."),
    stopped("a key too many", "softmax-row", "for (int j = 0; j < p.n_keys; ++j) largest", "for (int j = 0; j <= p.n_keys; ++j) largest", OUT_OF_BOUNDS),
    Mistake("causal off by one", "hiding", "j > i + p.offset + p.right", "j >= i + p.offset + p.right", "The last key that a query may see is hidden in your kernel: under a causal mask, its own position."),
    Mistake("window off by one", "hiding", "j < i + p.offset - p.left", "j <= i + p.offset - p.left", "On the left your window is one key too narrow: its bounds are inclusive."),
    Mistake("no offset", "hiding", "i + p.offset", "i", "The offset is ignored. It says at which position among the keys the first query stands."),
    Mistake("mask not asked", "hiding", "!mask || mask[", "!mask || mask || mask[", "The mask changes nothing in your kernel."),
    Mistake("mask of the first head", "hiding", "head * p.mask_head + ", "", "Every head has the first head's mask in your kernel."),
    Mistake("rows beyond the end", "hiding", "i >= p.n_queries || j >= p.n_keys", "j >= p.n_keys", "Queries beyond the last one see keys. The last tile reaches over the end: what is there does not exist."),
    Mistake("half a warp", "warp-sum", "apart = 16", "apart = 8", HALF),
    Mistake("half of a half", "warp-sum", "apart = 8", "apart = 4", HALF),
    Mistake("neighbours do not meet", "warp-sum", "apart > 0", "apart > 1", NEIGHBOUR),
    Mistake("only lane 0", "warp-sum", "x += __shfl_xor_sync(0xffffffffu, x, apart)", "x += __shfl_down_sync(0xffffffffu, x, apart)", ONE_LANE),
    Mistake("a sum for the largest", "warp-sum", "x = larger(x, __shfl_xor_sync(0xffffffffu, x, apart))", "x += __shfl_xor_sync(0xffffffffu, x, apart)", "You add up where the largest is asked for."),
    stopped("a mask without the lane", "warp-sum", "__shfl_xor_sync(0xffffffffu", "__shfl_xor_sync(0x0000ffffu", "does not name the calling lane"),
    stopped("half of the warp shuffles", "warp-sum", "    for (int apart = 16;", "    if (threadIdx.x % 32 < 16) for (int apart = 16;", "waits for lane"),
    Mistake("sum of weights not rescaled", "online-softmax", "total * rescale", "total", TOTAL),
    Mistake("output not rescaled", "online-softmax", "sum[e] * rescale", "sum[e]", OUT),
    Mistake("rescaled the wrong way", "online-softmax", "exponential(before - zero_if_hidden(largest))", "exponential(largest - (before == minus_infinity<W>() ? largest : before))", BACKWARDS),
    Mistake("weight relative to the maximum before", "online-softmax", "exponential(score - zero_if_hidden(largest))", "exponential(score - zero_if_hidden(before))", "Your weight is relative to the maximum before the score at hand was looked at."),
    Mistake("scaled twice", "online-softmax", "exponential(score -", "exponential(score * W(p.scale) -", "Your scores are scaled a second time: the queries were, when they were read."),
    Mistake("one number a lane", "online-softmax", "for (int e = 0; e < EACH; ++e) sum", "for (int e = 0; e < 1; ++e) sum", "A lane has more than one number of the row, and you bring the first of them up to date alone."),
    stopped("no bound", "load-tile", "if (first + row < end) from", "from", OUT_OF_BOUNDS),
    stopped("a row too many", "load-tile", "first + row < end", "first + row <= end", OUT_OF_BOUNDS),
    stopped("what is missing stays", "load-tile", "Pack<T, 4> from{};", "Pack<T, 4> from{}; if (first + row >= end) continue;", NOBODY_WROTE),
    Mistake("always the first rows", "load-tile", "x + (long long)(first + row) * D", "x + (long long)row * D", "Every block loads the first tile's rows: `first` says where its own begin."),
    stopped("a quarter of the tile", "load-tile", "n += THREADS", "n += 4 * THREADS", NOBODY_WROTE),
    stopped("rows without padding", "load-tile", "row * STRIDE<Wide<T>, D> + column", "row * D + column", NOBODY_WROTE),
    stopped("no barrier before the loads", "barriers", "__syncthreads();  // the tile before has been used", "", RACE),
    stopped("no barrier behind the loads", "barriers", "p.n_keys);\n        __syncthreads();", "p.n_keys);", NOBODY_WROTE),
    stopped("a barrier for some", "barriers", "p.n_keys);\n        __syncthreads();", "p.n_keys);\n        if (down < 4) __syncthreads();", "is divergent"),
    Mistake("keys for values", "barriers", "load_tile<COLUMNS, D>(values, v,", "load_tile<COLUMNS, D>(values, k,", "What you load as values are the keys."),
    Mistake("always the first tile", "barriers", "(keys, k, start,", "(keys, k, 0,", "Your keys are those of the first tile, whichever tile it is the turn of."),
    stopped("a loop without end", "barriers", "__syncthreads();  // the tile before has been used", "__syncthreads();\n        while (first >= 0) ++*(volatile int*)&first;\n", "still runs after"),
    Mistake("rows across neighbours", "multiply-rows", "across + ACROSS * c", "across * C + c", "Your threads take neighbouring rows of b. Those of one thread lie ACROSS apart."),
    Mistake("rows of a across neighbours", "multiply-rows", "down + DOWN * r", "down * R + r", "Your threads take neighbouring rows of a. Those of one thread lie DOWN apart."),
    Mistake("the last columns left out", "multiply-rows", "d < D;", "d < D - 4;", "The last columns have no part in your products."),
    Mistake("not cleared", "multiply-rows", "product[r][c] = 0", "product[r][c] += 0", "What was in `product` before is part of your result: it is a result to be written, not a sum to be continued."),
    Mistake("sum of weights not rescaled", "rescale", "total[r] *= rescale;", "", TOTAL),
    Mistake("output not rescaled", "rescale", "sum[r][g][n] *= rescale", "sum[r][g][n] *= 1", OUT),
    Mistake("every thread its own maximum", "rescale", "largest[r] = largest_of_row(largest[r]);", "", "16 threads share a row, and each of yours has a maximum of its own: their sums do not belong together."),
    Mistake("hidden so far", "rescale", "zero_if_hidden(largest[r])", "largest[r]", "A row that has seen nothing so far has no largest score: minus infinity less minus infinity is no number."),
    Mistake("the sum of the row in each thread", "rescale", "    for (int g = 0;", "    total[r] = sum_of_row(total[r]);\n            for (int g = 0;", "`total` is that of the thread's own columns: the threads' sums are added up once more at the end."),
    Mistake("no row sum", "kernel-gradients", "(d_weight - terms.delta)", "d_weight", "The row's sum is missing from your gradient: a weight that grows takes from all others of its row."),
    Mistake("hidden weights", "kernel-gradients", "seen ? exponential((score - terms.reference) * scale - terms.rest) : W(0)", "exponential((score - terms.reference) * scale - terms.rest)", "What is hidden has a weight in your kernel. It should be 0."),
    Mistake("scale forgotten", "kernel-gradients", "* scale - terms.rest", "- terms.rest", NO_SCALE),
    Mistake("not multiplied by the weight", "kernel-gradients", "weight * (d_weight - terms.delta)", "(d_weight - terms.delta)", "Your gradient of the scores lacks the weight as a factor."),
    Mistake("half of the row", "kernel-gradients", "d < D; d += 32", "d < 32; d += 32", "Your row sums end after the first 32 numbers of a row."),
    Mistake("half of the lanes", "kernel-gradients", "apart = 16", "apart = 8", HALF),
]  # fmt: skip
