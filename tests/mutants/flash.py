"""Mutants of step01's flash attention: of the algorithm as it is read, and of the engine behind it."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def paper(name, function, old, new, test, says=""):
    target = f"step01_numpy.flash_attention:{function}"
    file = "" if "::" in test else "test_flash_attention.py::"
    return Mutant(name, target, old, new, f"tests/attention/{file}{test}", says)


def engine(name, target, old, new, test):
    target = f"step01_numpy.engine.{target}"
    return Mutant(name, target, old, new, f"tests/attention/test_flash_{test}")


def threads(name, function, old, new, test):
    target = f"step01_numpy.common.support.host:{function}"
    return Mutant(name, target, old, new, f"tests/attention/test_flash_threads.py::{test}")


PAPER = [
    paper("step01: sum not rescaled", "_attend", "total * fade", "total", "test_largest_score_moves_from_tile_to_tile", says="The running sum keeps what it added under an older, smaller maximum. What has to happen to it when the maximum grows?"),
    paper("step01: out not rescaled", "_attend", "out * fade", "out", "test_largest_score_moves_from_tile_to_tile", says="The running output keeps what it added under an older, smaller maximum. What has to happen to it when the maximum grows?"),
    paper("step01: rescaled the wrong way", "_attend", "np.exp(previous - shift)", "np.exp(np.where(np.isfinite(previous), shift - previous, 0))", "test_largest_score_moves_from_tile_to_tile", says="What was summed before is made larger when the maximum grows. Which of the two maxima is the greater, and what sign should the exponent have?"),
    paper("step01: maximum of the last tile alone", "_attend", "np.maximum(largest, scores.max(axis=-1, keepdims=True))", "scores.max(axis=-1, keepdims=True)", "test_scores_of_any_size", says="Your maximum is that of the newest tile. It has to be the largest so far, of all tiles."),
    paper("step01: no maximum taken off", "_attend", "np.isfinite(largest)", "largest == 0", "test_scores_of_any_size"),
    paper("step01: NaN before the first visible key", "_attend", "np.where(np.isfinite(largest), largest, 0)", "largest", "test_hidden_queries_in_every_precision"),
    paper("step01: lse without the maximum", "_attend", "shift + np.log(total)", "np.log(total)", "test_lengths_around_tile_edges", says="Your lse lacks the maximum that the sum is relative to. It has to come back at the end."),
    paper("step01: lse in bits", "_attend", "np.log(total)", "np.log2(total)", "test_lengths_around_tile_edges", says="Your lse is in bits. It is asked for in nats."),
    paper("step01: lse of a row without a key", "_attend", "-np.inf, shift", "0, shift", "test_queries_before_the_first_key", says="For a query that sees no key your lse is a finite number. The logarithm of an empty sum is -inf."),
    paper("step01: out not divided by the sum", "_attend", "out / total", "out", "test_lengths_around_tile_edges", says="Your outputs are sums of values whose weights do not sum to 1. Something is left to do after the last tile."),
    paper("step01: last tile lost", "_slices", "range(first, last, step)", "range(first, max(last - step, first + 1), step)", "test_lengths_around_tile_edges", says="Your loop leaves the last tile out. Look at where it ends when the tiles do not divide the length."),
    paper("step01: tile's mask not moved along the keys", "_Rule.scores", "rows.start - keys.start", "rows.start", "test_lengths_around_tile_edges", says="Every tile of keys is hidden as if it were the first. Where does a tile's first key stand among all keys?"),
    paper("step01: tile's mask not moved along the queries", "_Rule.scores", "self.offset + rows.start", "self.offset", "test_lengths_around_tile_edges", says="Every block of queries is hidden as if it were the first. Where does a block's first query stand?"),
    paper("step01: mask of the first tile for all", "_Rule.scores", "self.mask[..., rows, keys]", "self.mask[..., : rows.stop - rows.start, : keys.stop - keys.start]", "test_mask_of_any_broadcastable_shape", says="Every tile is hidden by the mask of the first. Cut the mask where you cut the keys."),
    paper("step01: bias of the first tile for all", "_Rule.scores", "self.bias[..., rows, keys]", "self.bias[..., : rows.stop - rows.start, : keys.stop - keys.start]", "test_bias_of_any_broadcastable_shape", says="Every tile gets the bias of the first. Cut the bias where you cut the keys."),
    paper("step01: bias under the softcap", "_Rule.scores", "scores = cap(raw, self.softcap)", "scores = raw if self.bias is not None else cap(raw, self.softcap)", "test_all_that_hides_at_once", says="Your soft cap acts on the bias as well. Look at the order: cap, bias, mask."),
    paper("step01: window's last tile lost", "_Rule.tiles", "rows.stop + self.offset + self.right", "rows.start + self.offset + self.right", "test_window"),
    paper("step01: tiles before a window are read", "_Rule.tiles", "rows.start + self.offset - self.left", "0", "test_tiles_that_no_query_sees_are_not_read"),
    paper("step01: weights from unnormalised scores", "_attend_backward", "scores - norm", "scores - 0 * norm", "test_lengths_around_tile_edges", says="In the backward your weights do not sum to 1. The forward kept one number a row by which they are made again."),
    paper("step01: large lse taken as it is", "_attend_backward", "(abs(norm) > 16).any()", "False", "test_flash_range.py::test_scores_of_any_size"),
    paper("step01: any lse is of these keys alone", "_attend_backward", "* abs(norm)", "* np.inf", "test_flash_range.py::test_keys_that_are_not_all_find_their_own_share"),
    paper("step01: row sum forgotten", "_attend_backward", "d_weights - row_sum", "d_weights", "test_lengths_around_tile_edges", says="Your gradient treats each weight alone. Raising one score lowers all other weights of its row: look at softmax's backward."),
    paper("step01: d_q of the last tile alone", "_attend_backward", "d_q += ", "d_q = ", "test_lengths_around_tile_edges", says="Your gradient of the queries is that of the last tile of keys. Every tile adds its share."),
    paper("step01: d_k of the last queries alone", "_attend_backward", "d_k[..., keys, :] +=", "d_k[..., keys, :] =", "test_lengths_around_tile_edges", says="Your gradient of the keys is that of the last block of queries. Every block adds its share."),
    paper("step01: softcap's slope forgotten", "_attend_backward", "if rule.softcap is not None", "if False", "test_scale_and_softcap", says="With a soft cap your gradients are those without one. The cap bends the scores, so it has a slope."),
    paper("step01: softcap's slope at the capped score", "_attend_backward", "cap_backward(d_scores, raw,", "cap_backward(d_scores, scores,", "test_scale_and_softcap", says="The slope of the soft cap is taken at the capped score. Where was it applied in the forward?"),
    paper("step01: 16-bit sums in tiles", "flash_attention", "q, k, v = widen(q), widen(k), widen(v)", "pass", "test_lower_precision"),
]  # fmt: skip

ENGINE = [
    engine("engine: sum not rescaled", "flash:_attend", "total[own] *= fade", "pass", "attention.py::test_largest_score_moves_from_tile_to_tile"),
    engine("engine: out not rescaled", "flash:_attend", "out[own] *= fade[:, None]", "pass", "attention.py::test_largest_score_moves_from_tile_to_tile"),
    engine("engine: a sum for all rows, not for the tile's", "flash:_attend", "total[own] += weights", "total[: len(weights)] += weights", "attention.py::test_lengths_around_tile_edges"),
    engine("engine: lse in exp2's unit", "flash:_attend", "largest + np.log(total)", "largest + np.log2(total)", "attention.py::test_lengths_around_tile_edges"),
    engine("engine: exp2 without its factor", "flash_plan:exp_by_exp2", "x, _LOG2_E, out", "x, 1.0, out", "engine.py::test_tiles_of_either_kind_of_processor"),
    engine("engine: bounded by the average", "flash:_longest", "np.vecdot(x, x).max()", "np.vecdot(x, x).mean()", "engine.py::test_one_long_query_and_one_long_key"),
    engine("engine: bound without the scale", "flash:_bounded", " * abs(rule.scale)", "", "engine.py::test_scale_can_make_scores_large"),
    engine("engine: bounded whatever the bias", "flash:_bounded", "rule.bias is None and", "", "engine.py::test_bias_can_make_scores_large"),
    engine("engine: huge values without the maximum", "flash:_tame", " and sizes.max() < _TAME[1]", "", "engine.py::test_values_of_any_size"),
    engine("engine: tiny values without the maximum", "flash:_tame", "_TAME[0] < smallest and ", "", "engine.py::test_values_of_any_size"),
    engine("engine: tiny values beside others", "flash:_tame", "sizes.min()", "sizes.max()", "engine.py::test_values_of_any_size_beside_ordinary_ones"),
    engine("engine: squares that vanish", "flash:_longest", "_FAINT", "0", "engine.py::test_squares_that_vanish_bound_nothing"),
    engine("engine: large lse taken as it is", "flash_sums:is_far", "_FAR", "np.inf", "range.py::test_scores_of_any_size"),
    engine("engine: sum again without its maximum", "flash:_attend_backward", "if largest is not None:", "if False:", "range.py::test_a_bias_that_hides_all_keys_of_a_row_alike"),
    engine("engine: any lse is of these keys alone", "flash_sums:sum_again", "abs(norm)", "np.inf", "range.py::test_keys_that_are_not_all_find_their_own_share"),
    engine("engine: row sum forgotten", "flash:_attend_backward", "-row_sum", "0 * row_sum", "attention.py::test_lengths_around_tile_edges"),
    engine("engine: weights from unnormalised scores", "flash:_attend_backward", "-norm[queries]", "0 * norm[queries]", "attention.py::test_lengths_around_tile_edges"),
    engine("engine: lse under the softcap", "flash_sums:relative_scores", "scores += q_t[-1]", "pass", "attention.py::test_scale_and_softcap"),
    engine("engine: pieces that add to one d_q", "flash:attend_backward", "d_q.sum(axis=0)", "d_q[0]", "attention.py::test_lengths_around_tile_edges"),
    engine("engine: d_k's scale forgotten", "flash:_backward", "d_k[kv_head][piece] *= rule.scale", "pass", "attention.py::test_scale_and_softcap"),
    engine("engine: hidden on one side alone", "flash_tiles:Rule.hide", "if self.left is not None", "if self.left is not None and self.right is None", "attention.py::test_window"),
    engine("engine: edge hidden one row short", "flash_tiles:Rule.hide", "w - 1 - offset - self.right", "w - 2 - offset - self.right", "engine.py::test_all_three_are_equal_on_the_whole_option_space"),
    engine("engine: edge's mask not moved", "flash_tiles:Rule.hide", "self.left, None, offset + cut", "self.left, None, offset", "engine.py::test_all_three_are_equal_on_the_whole_option_space"),
    engine("engine: a row too few at the edge", "flash_tiles:Rule._rows", "keys.start - self.offset - self.right", "keys.start - self.offset - self.right + 1", "engine.py::test_all_three_are_equal_on_the_whole_option_space"),
    engine("engine: a row too few at the other edge", "flash_tiles:Rule._rows", "keys.stop - self.offset + self.left", "keys.stop - self.offset + self.left - 1", "engine.py::test_all_three_are_equal_on_the_whole_option_space"),
    engine("engine: middle of a band lost", "flash_tiles:Rule.tiles", "(first, before, edge), (before, after, width), (after, last, edge)", "(first, before, edge), (after, last, edge)", "engine.py::test_all_three_are_equal_on_the_whole_option_space"),
    engine("engine: transposed without its offset", "flash_tiles:Rule.transposed", "-self.offset", "self.offset", "engine.py::test_all_three_are_equal_on_the_whole_option_space"),
    engine("engine: transposed band as it was", "flash_tiles:Rule.transposed", "self.right, self.left", "self.left, self.right", "engine.py::test_all_three_are_equal_on_the_whole_option_space"),
    engine("engine: mask not transposed", "flash_tiles:Rule.transposed", "x.swapaxes(-1, -2)", "x", "engine.py::test_all_three_are_equal_on_the_whole_option_space"),
    engine("engine: d_q's scale forgotten", "flash:_backward", "d_q[number][head] *= rule.scale", "pass", "attention.py::test_scale_and_softcap"),
    engine("engine: d_v of the last head alone", "flash:_backward", "= 0, 0, 0", "= 0, 7, 0", "attention.py::test_lengths_around_tile_edges"),
    engine("engine: rows beyond the strips lost", "flash_products:matmul", "if cut < n:", "if not cut:", "engine.py::test_products_in_strips"),
    engine("engine: the sum's rows beyond the strips lost", "flash_products:transposed_matmul", "if cut < n:", "if False:", "engine.py::test_products_in_strips"),
    engine("engine: wide tiles in strips", "flash_products:matmul", "if tile.nbytes <= _SMALL else 0", "", "engine.py::test_products_in_strips"),
    engine("engine: sums of float32, one by one", "flash_sums:_sum", "dtype=np.float64", "dtype=np.float32", "attention.py::test_lower_precision"),
    engine("engine: exp2 wherever NumPy has one", "flash_plan:has_vector_exp2", 'not loop["current"].startswith("baseline")', "True", "engine.py::test_exp2_is_taken_where_numpy_has_a_vector_loop_for_it"),
    threads("threads: BLAS given back by the first", "_OneThread.__exit__", "if not self._n_holders", "if True", "test_limits_of_threads_that_overlap_end_with_the_last"),
    threads("threads: tasks taken after Ctrl-C", "share", "_exhaust(left)", "pass", "test_ctrl_c_waits_for_no_task"),
    threads("threads: every task is shared", "share", "at_most or len(tasks)", "len(tasks)", "test_small_heads_are_left_to_the_calling_thread"),
    threads("threads: none can be started", "_start", "break", "raise", "test_where_no_thread_can_be_started_the_calling_one_does_all"),
    threads("threads: OpenMP's limit gives back BLAS's", "one_thread", '.select(user_api="openmp")', "", "test_limits_of_threads_that_overlap_end_with_the_last"),
]  # fmt: skip
