"""The table of mutants: where each wrong formula goes, what it replaces, and the test that must fail."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def attention(name, old, new, test, function="scaled_dot_product_attention", stage="step01_numpy", says=""):
    target, killer = f"{stage}.attention:{function}", f"tests/attention/test_attention.py::{test}"
    return Mutant(name, target, old, new, killer, says)


def flash(name, old, new, test, function="flash_attention"):
    return Mutant(name, f"step03_gpu.flash_attention:{function}", old, new, f"tests/{test}")


def heads(name, old, new, test, method="forward", stage="step01_numpy", says=""):
    target = f"{stage}.multi_head_attention:{method}"
    return Mutant(name, target, old, new, f"tests/attention/test_heads.py::{test}", says)


def cache(name, old, new, test, function, says=""):
    return Mutant(name, f"step01_numpy.{function}", old, new, f"tests/{test}", says)


SIMPLE = "test_the_simple_one_is_the_general_one_without_options"
SAME_CACHE = "decoding/test_cache.py::test_both_keep_the_same"
SCALE = "1 / sqrt(q.shape[-1])"
ATTENTION = [
    attention("no scale", SCALE, "1.0", "test_default_scale_is_one_over_root_of_head_size", "scale_or_default"),
    attention("scale 1/D", SCALE, "1 / q.shape[-1]", "test_plain", "scale_or_default"),
    attention("scale by key length", "scale_or_default(scale, q)", "k.shape[-2] ** -0.5", "test_plain", "attention_scores", says="Your scores are scaled by a length, the number of keys. The paper scales by a size: whose?"),
    attention("scale by the size of the values", "widen(q), k, scale)", "widen(q), k, v.shape[-1] ** -0.5 if scale is None else scale)", "test_plain", says="Your scores are scaled by the size of the values. A score is made of a query and a key: whose size grows it?"),
    attention("softmax over queries", "softmax(hide(scores, visible))", "softmax(hide(scores, visible), -2)", "test_plain", says="Your weights sum to 1 over the queries. For each query it is the keys that share the attention: look at the axis of softmax."),
    attention(
        "mask after softmax", "softmax(hide(scores, visible))", "np.where(visible, softmax(scores), 0)", "test_causal_for_any_lengths",
        says="Your weights are those of all keys, with the hidden ones set to 0 afterwards, so that rows sum to less than 1. Hide keys before the weights are normalised.",
    ),
    attention("softcap after the mask", "softmax(hide(scores, visible))", "softmax(cap(hide(scores, visible), softcap))", "test_softcap_comes_before_bias_and_mask", says="Your soft cap comes after the hiding, and what was -inf becomes a finite score. Look at the order: cap, bias, mask."),
    attention("bias before the softcap", "scores + widen(bias)", "cap(scores + widen(bias), softcap)", "test_softcap_comes_before_bias_and_mask", says="Your soft cap acts on the bias as well. Look at the order: cap, bias, mask."),
    attention("softcap without tanh", "softcap * np.tanh(scores / softcap)", "np.clip(scores, -softcap, softcap)", "test_softcap_comes_before_bias_and_mask", "cap", says="Your soft cap cuts scores off at its bounds. It should bend them smoothly: look at its formula in the docstring."),
    attention("heads tiled, not repeated", "np.repeat(x, q.shape[-3] // x.shape[-3], axis=-3)", "np.concatenate([x] * (q.shape[-3] // x.shape[-3]), axis=-3)", "test_grouped_heads", "repeat_heads", says="Your query heads take the key/value heads in turn. Query heads that share a key/value head stand next to each other: look at repeat_heads."),
    attention("groups summed crosswise", "reshape(*heads, -1, *d_x.shape[-2:]).sum(axis=-3)", "reshape(*heads[:-1], -1, heads[-1], *d_x.shape[-2:]).sum(axis=-4)", "test_grouped_heads", "repeat_heads_backward", says="The gradients of a key/value head are summed over the wrong query heads. Those that shared it stand next to each other."),
    attention("gradient without the row sum", "d_weights - row_sum", "d_weights", "test_plain", "attention_backward", says="Your gradient treats each weight alone. Raising one score lowers all other weights of its row: look at softmax's backward."),
    attention("row sum over queries", "sum(axis=-1, keepdims=True)", "sum(axis=-2, keepdims=True).swapaxes(-1, -2)[..., :1, :]", "test_plain", "attention_backward", says="In the gradient of the scores you sum over the queries. Each query has a softmax of its own: over which axis?"),
    attention("gradient without the scale", "d_scores * scale_or_default(scale, q)", "d_scores * 1.0", "test_scale", "attention_backward", says="Your gradients of q and k are too large or too small by one factor throughout. The forward multiplied the scores by something: what becomes of it on the way back?"),
    attention("d_v without transpose", "weights.swapaxes(-1, -2) @ d_out", "np.resize(weights, (*v.shape[:-1], q.shape[-2])) @ d_out", "test_plain", "attention_backward", says="Your gradient of the values takes the weights as they stand in the forward. A value collects from all queries that looked at it: along which axis?"),
    attention("gradient forgets the softcap", "if softcap is not None", "if False", "test_gradients_equal_central_differences", "attention_backward", says="With a soft cap your gradients are those without one. The cap bends the scores, so it has a slope."),
    attention("tanh's derivative without the square", "np.tanh(scores / softcap) ** 2", "np.abs(np.tanh(scores / softcap))", "test_gradients_equal_central_differences", "cap_backward", says="With a soft cap your gradients are slightly off. Look at the derivative of tanh again."),
    attention("dtype lost in 16 bits", "weights.astype(q.dtype, copy=False)", "weights", "test_lower_precision"),
    Mutant("16-bit sums", "step01_numpy.arrays:widen", "x.dtype.itemsize == 2", "False", "tests/attention/test_attention.py::test_lower_precision"),
    attention("simple attention without the scale", "matches / sqrt(q.shape[-1])", "matches", SIMPLE, "simple_attention", says="The scores are not scaled: they grow with the head size, and softmax saturates. What does the paper divide q kᵀ by?"),
    attention("simple attention over the queries", "softmax(scores)", "softmax(scores, -2)", SIMPLE, "simple_attention", says="Your weights sum to 1 over the queries. For each query it is the keys that share the attention: look at the axis of softmax."),
    attention("simple gradient without the scale", "d_scores / sqrt(q.shape[-1])", "d_scores", SIMPLE, "simple_attention_backward", says="Your gradients of q and k are too large or too small by one factor throughout. The forward multiplied the scores by something: what becomes of it on the way back?"),
    attention("simple gradient of the keys from the keys", "d_matches.swapaxes(-1, -2) @ q", "d_matches.swapaxes(-1, -2) @ k[..., : q.shape[-2], :]", SIMPLE, "simple_attention_backward", says="Your gradient of the keys is made of keys. A score is a product of a query and a key: what stands beside a key in it?"),
    attention("simple attention of step02 without the scale", "matches / sqrt(q.shape[-1])", "matches", SIMPLE, "simple_attention", "step02_torch"),
    attention("no scale in step02", SCALE, "1.0", "test_plain", "scale_or_default", "step02_torch"),
    attention("causal forgotten in step02", "causal=causal, ", "", "test_causal_for_any_lengths", stage="step02_torch"),
    attention("heads tiled in step02", "x.repeat_interleave(q.shape[-3] // x.shape[-3], dim=-3)", "x.repeat(*[1] * (x.ndim - 3), q.shape[-3] // x.shape[-3], 1, 1)", "test_grouped_heads", "repeat_heads", "step02_torch"),
    attention("gradient without the row sum in step03", "d_scores -= (d_out * out).sum(axis=-1, keepdims=True)", "pass", "test_plain", "attention_backward", "step03_gpu"),
]  # fmt: skip

SOFTMAX = [
    Mutant("no maximum subtracted", "step01_numpy.softmax:softmax", "np.where(np.isfinite(largest), largest, 0)", "largest * 0", "tests/attention/test_softmax.py::test_large_scores_stay_in_range"),
    Mutant("NaN in a hidden row", "step01_numpy.softmax:softmax", "np.maximum(total, 1)", "total", "tests/attention/test_softmax.py::test_hidden_row_gives_zero_weights_and_gradients", says="Where nothing is visible your result is NaN. It should be 0: look at what is divided there."),
    Mutant("softmax's gradient as a sigmoid's", "step01_numpy.softmax:softmax_backward", "(d_weights - row_sum)", "d_weights * (1 - wide)", "tests/attention/test_softmax.py::test_gradient_equals_central_differences", says="Your gradient is that of independent sigmoids. In a softmax each score moves all the weights, not its own alone."),
    Mutant("row sum along the wrong axis", "step01_numpy.softmax:softmax_backward", "sum(axis=axis", "sum(axis=-2", "tests/attention/test_softmax.py::test_gradient_equals_central_differences", says="Your gradient sums along another axis than the weights do. Look at the parameter axis."),
    Mutant("log-sum-exp without the maximum", "step01_numpy.merge:log_sum_exp", "largest + np.log", "np.log", "tests/attention/test_softmax.py::test_log_sum_exp_equals_torch", says="Your log-sum-exp lacks the maximum that was taken off before exp. It has to come back at the end."),
    Mutant("lse of a hidden row is finite", "step01_numpy.merge:log_sum_exp", "np.where(total == 0, -np.inf, lse)", "lse", "tests/attention/test_softmax.py::test_hidden_row_gives_zero_weights_and_gradients", says="Where every score is -inf, your log-sum-exp is a finite number. The logarithm of an empty sum is -inf."),
    Mutant("NaN in step02's hidden row", "step02_torch.softmax:softmax", "wide.masked_fill(empty, 0)", "wide", "tests/attention/test_softmax.py::test_hidden_row_gives_zero_weights_and_gradients"),
]  # fmt: skip

MASKS = [
    Mutant("mask of -1e4", "step01_numpy.masks:hide", "-np.inf", "-1e4", "tests/attention/test_attention.py::test_everything_hidden_is_zero_throughout", says="Your hidden scores are -10,000. A row that sees nothing then gets weights all the same, and larger negative scores lose to hidden ones: no finite number is low enough."),
    Mutant("inverted mask", "step01_numpy.masks:hide", "np.where(mask, scores, -np.inf)", "np.where(mask, -np.inf, scores)", "tests/attention/test_masks.py::test_hide", says="Your mask is inverted: True means may attend."),
    Mutant("hidden scores multiplied by 0", "step01_numpy.masks:hide", "np.where(mask, scores, -np.inf)", "scores * mask", "tests/attention/test_attention.py::test_mask_of_any_broadcastable_shape", says="Your hidden scores are 0, and a score of 0 is an ordinary one after exp. What score gives a weight of exactly 0?"),
    Mutant("causal without the diagonal", "step01_numpy.masks:causal_mask", "key <= query", "key < query", "tests/attention/test_masks.py::test_causal_mask_of_a_square", says="In your causal mask a query does not see its own position. Its own key is the last one that it may see."),
    Mutant("causal from the top left", "step01_numpy.masks:key_positions", "n_keys - n_queries if offset is None", "0 if offset is None", "tests/attention/test_attention.py::test_causal_for_any_lengths", says="With L ≠ S your queries are the first positions, not the last. Where does query 0 stand among the keys?"),
    Mutant("window one too wide", "step01_numpy.masks:sliding_window_mask", "ahead >= -left", "ahead >= -left - 1", "tests/attention/test_masks.py::test_sliding_window", says="Your window reaches one key too far to the left. How many keys are there from position - left to the position itself?"),
    Mutant("window open ahead", "step01_numpy.masks:sliding_window_mask", "ahead <= right", "ahead <= right + 1", "tests/attention/test_attention.py::test_causal_for_any_lengths", says="Your mask shows one key too many on the right. Look at the comparison: may the bound itself be seen?"),
    Mutant("masks combine with or", "step01_numpy.masks:combine_masks", "mask & band", "mask | band", "tests/attention/test_masks.py::test_combination_is_an_and", says="Where there are two reasons to hide a key, you show it if one of them allows it. All of them have to."),
    Mutant("padding hides one key too few", "step01_numpy.masks:padding_mask", "< lengths", "<= lengths", "tests/attention/test_masks.py::test_padding_mask", says="Your padding mask shows the first position behind the end. Positions are counted from 0."),
    Mutant("inverted mask in step03", "step03_gpu.masks:hide", "xp.where(mask, scores, -xp.inf)", "xp.where(mask, -xp.inf, scores)", "tests/attention/test_masks.py::test_hide"),
]  # fmt: skip

HEADS = [
    heads("view without transpose", "x.reshape(batch, length, n_heads, -1).swapaxes(1, 2)", "x.reshape(batch, n_heads, length, -1)", "test_multi_head_equals_torchs", "split_heads", says="Your heads mix positions: the rows were cut as if the heads came first in memory. Cut each row into its pieces, then exchange the axes."),
    heads("merge without transpose", "x.swapaxes(1, 2).reshape", "x.reshape", "test_multi_head_equals_torchs", "merge_heads", says="Your merged rows mix positions: the heads lie before the positions in memory. Exchange the axes first."),
    heads("scale by d_model", "mask, **options)", "mask, **options, scale=x.shape[-1] ** -0.5)", "test_multi_head_equals_torchs", "MultiHeadAttention.forward", says="Your numbers are those of an attention scaled by d_model = H·D. The paper divides by √d_k: whose size is that?"),
    heads("no output projection", "self.w_o(merge_heads(out))", "merge_heads(out)", "test_multi_head_equals_torchs", "MultiHeadAttention.forward", says="Your heads are merged and returned as they are. One projection is still missing: look at the layer's weights."),
    heads("values from the keys' weights", "self.w_v(context)", "self.w_k(context)", "test_multi_head_equals_torchs", "MultiHeadAttention._project", says="Your values are made with the weights of the keys. Look at which projection each of the three goes through."),
    heads("queries from the keys' weights", "self.w_q(x), self.w_k(x)", "self.w_k(x), self.w_q(x)", "test_causal_multi_head_equals_torchs", "MultiHeadAttention.qkv", says="Your queries and keys have exchanged their weights. Look at which projection each of the three goes through."),
    heads("context ignored", "if context is None", "if True", "test_multi_head_equals_torchs", "MultiHeadAttention._project", says="With a context your keys and values still come from x. Where should a cross-attention look?"),
    heads("gradient of x by the queries only", "d_x + d_context, None", "d_x, None", "test_gradients_equal_step02s", "MultiHeadAttention.backward", says="Your gradient of x is that of the queries alone. In self-attention x was used three times."),
    heads("rotary not turned back", "self.rotary.backward(d, positions)", "self.rotary.forward(d, positions)", "test_gradients_equal_step02s", "MultiHeadAttention.backward", says="What is turned is turned the wrong way round. Try one pair and a quarter turn by hand."),
    heads("cached positions start at 0", "0 if cache is None else cache.length", "0", "test_cached_decoding_equals_the_full_forward", "MultiHeadAttention._positions"),
    cache("cached keys forgotten", "np.concatenate([self.keys, k], axis=-2)", "k", "attention/test_heads.py::test_cached_decoding_equals_the_full_forward", "cache:KVCache.append", says="Your cache returns the newest positions only. A query may see all positions kept so far as well."),
    cache("a cache keeps one key too many", "k.shape[-2] - self.limit", "k.shape[-2] - self.limit - 1", SAME_CACHE, "cache:KVCache.append", says="Your cache keeps one position more than its limit. Count what is left after an append."),
    cache("cache not reordered", "self.keys[rows], self.values[rows]", "self.keys, self.values", "attention/test_heads.py::test_reordered_cache_continues_the_other_row", "cache:KVCache.reorder"),
    cache("new keys over the oldest", "[..., self.end : self.end + x.shape[-2], :] = x", "[..., self.first : self.first + x.shape[-2], :] = x", SAME_CACHE, "engine.growing:_Rows.append"),
    cache("keys lost when their buffer grows", "[..., :n_kept, :] = old", "[..., :n_kept, :] = old[..., :1, :]", SAME_CACHE, "engine.growing:_Rows._move"),
    cache("a buffer without room", "2 * (n_kept + x.shape[-2])", "n_kept + x.shape[-2]", "decoding/test_cache.py::test_old_rows_are_moved_seldom", "engine.growing:_Rows._move"),
    cache("growing cache not reordered", "cached.buffer[rows]", "cached.buffer", SAME_CACHE, "engine.growing:GrowingCache.reorder"),
    cache("growing cache forgets the prompt", "cache.limit, cache.length", "cache.limit, 0", SAME_CACHE, "engine.growing:GrowingCache.__init__"),
    cache("decoding starts without the engine", "grow(model.start(*inputs))", "model.start(*inputs)", "decoding/test_cache.py::test_a_model_says_the_same_with_both", "generation:start"),
    Mutant("self-attention looks ahead", "step01_numpy.masked_attention:MaskedSelfAttention.forward", ", causal=True", "", "tests/attention/test_heads.py::test_the_courses_example"),
    Mutant("keys and values from different rows", "step01_numpy.cross_attention:CrossAttention.forward", "self.w_k(context)", "self.w_k(context[..., ::-1, :])", "tests/attention/test_heads.py::test_one_head_is_projection_and_torchs_attention"),
    Mutant("queries and keys swapped", "step02_torch.self_attention:SelfAttention.forward", "self.attend(q, k, v, mask)", "self.attend(k, q, v, mask)", "tests/attention/test_heads.py::test_the_courses_example"),
    Mutant("gradients overwrite each other", "step01_numpy.common.support.layer:Parameter.accumulate", "self.grad + gradient", "gradient", "tests/attention/test_heads.py::test_gradients_add_up_until_they_are_forgotten"),
    Mutant("weight's gradient transposed in size", "step01_numpy.parameters:linear_backward", "d_out.T @ x.reshape(-1, x.shape[-1])", "(x.reshape(-1, x.shape[-1]).T @ d_out).reshape(weight.shape)", "tests/attention/test_heads.py::test_multi_head_equals_torchs", says="A weight's gradient has its axes exchanged. Weights are stored as (d_out, d_in)."),
]  # fmt: skip

POSITIONS = [
    Mutant("rotation the wrong way back", "step01_numpy.rotary:rotate_backward", "-sin", "sin", "tests/attention/test_positions.py::test_rotation_of_some_coordinates_and_its_gradient"),
    Mutant("rotation with a sign lost", "step01_numpy.rotary:rotate", "a * cos - b * sin", "a * cos + b * sin", "tests/attention/test_positions.py::test_rotation_by_complex_numbers", says="Your pairs are not turned: one sign is wrong, and their lengths change. Compare with the matrix of a rotation."),
    Mutant("pairs mixed up", "step01_numpy.rotary:_pairs", "if interleaved", "if not interleaved", "tests/attention/test_positions.py::test_rotation_by_complex_numbers", says="You pair other coordinates than asked for. Look at the parameter interleaved: which two belong together?"),
    Mutant("one frequency for all", "step01_numpy.positions:frequencies", "1 / base ** (np.arange(0, d_model, 2, like=like) / d_model)", "np.full(d_model // 2, 1 / base, like=like)", "tests/attention/test_positions.py::test_sinusoids_as_in_the_paper", says="All your pairs have one frequency. Each pair of columns has its own, from 1 down to nearly 1 / base."),
    Mutant("cosine before sine", "step01_numpy.positions:sinusoids", "np.stack([sin, cos]", "np.stack([cos, sin]", "tests/attention/test_positions.py::test_sinusoids_as_in_the_paper", says="Your cosines and sines have exchanged their columns. Which of them stands in column 0?"),
    Mutant("ALiBi prefers far keys", "step01_numpy.positions:alibi_bias", "-slopes", "slopes", "tests/attention/test_positions.py::test_alibi_bias"),
    Mutant("repeated rows overwrite each other", "step01_numpy.layers:lookup_backward", "np.add.at(d_table, indices, d_rows)", "d_table[indices] += d_rows", "tests/attention/test_positions.py::test_learned_positions"),
]  # fmt: skip

FLASH = [
    flash("sum not rescaled", "total * rescale", "total", "attention/test_flash_attention.py"),
    flash("out not rescaled", "out * rescale", "out", "attention/test_flash_attention.py"),
    flash("NaN before the first visible key", "xp.where(largest == -xp.inf, 0, largest)", "largest", "attention/test_attention.py::test_hidden_row_is_zero_without_nan"),
    flash("last tile lost", "range(first // TILE * TILE, end, TILE)", "range(first // TILE * TILE, end - TILE + 1, TILE)", "attention/test_attention.py::test_plain", "_tiles"),
    flash("tile's mask not moved", "offset=offset - start", "offset=offset", "attention/test_flash_attention.py", "_tiles"),
    flash("weights from unnormalised scores", "- norm)", "- norm * 0)", "attention/test_attention.py::test_plain", "_backward"),
    flash("row sum forgotten", " - row_sum)", ")", "attention/test_attention.py::test_plain", "_backward"),
]  # fmt: skip


def model(name, target, old, new, test, says=""):
    return Mutant(name, target, old, new, f"tests/{test}", says)


LAYERS, FEED, BLOCKS, MODEL, LOSS, OPTIM, TRAIN = (
    f"step01_numpy.{x}"
    for x in ("layers", "feed_forward", "blocks", "transformer", "loss", "optimizer", "training")
)
IN_LAYERS, IN_MODEL, IN_LOSS, IN_OPTIM, IN_TRAIN, IN_GEN, IN_BAD = (
    "models/test_layers.py::",
    "models/test_transformer.py::",
    "training/test_loss.py::",
    "training/test_optimizer.py::",
    "training/test_training.py::",
    "decoding/test_generation.py::",
    "models/test_bad_input.py::",
)
ORACLE = IN_MODEL + "test_logits_and_every_gradient_equal_pytorchs_transformer"
PEER = IN_MODEL + "test_logits_and_every_gradient_equal_another_stages"
MODELS = [
    model("repeated tokens overwrite each other", "step01_numpy.layers:lookup_backward", "np.add.at(d_table, indices, d_rows)", "d_table[indices] += d_rows", IN_LAYERS + "test_embedding_equals_torchs_and_repeated_tokens_add_up"),
    model("layer norm's gradient is not orthogonal", f"{LAYERS}:layer_norm_backward", " - normalised * along", "", IN_LAYERS + "test_layer_equals_torchs", says="Your gradient lacks the part that comes through the variance. Stretching a row changes nothing, so the gradient has no component along the normalised row."),
    model("layer norm's gradient keeps its mean", f"{LAYERS}:layer_norm_backward", " - _mean(d_normalised)", "", IN_LAYERS + "test_layer_equals_torchs", says="Your gradient lacks the part that comes through the mean. Moving a row changes nothing, so the gradient of each row sums to 0."),
    model("layer norm's gradient forgets the weight", f"{LAYERS}:layer_norm_backward", "d_out * weight", "d_out * 1", IN_LAYERS + "test_layer_equals_torchs", says="Your gradient of x passes over the weight. What was each normalised column multiplied by?"),
    model("layer norm without eps", f"{LAYERS}:_standardise", "centred) + eps", "centred)", IN_LAYERS + "test_norms_function_equals_torchs", says="Your numbers are those with eps = 0. Where does the small number come in that keeps a constant row finite?"),
    model("eps outside the root", f"{LAYERS}:_standardise", "centred) + eps)", "centred)) / (1 + eps)", IN_LAYERS + "test_norms_function_equals_torchs", says="Your eps stands in the wrong place. Is it added to the deviation or to the variance?"),
    model("variance over n - 1", f"{LAYERS}:_standardise", "_mean(centred * centred)", "(centred * centred).sum(axis=-1, keepdims=True) / (x.shape[-1] - 1)", IN_LAYERS + "test_layer_equals_torchs", says="Your variance divides by one less than the number of columns. Which of the two variances does the paper take?"),
    model("normalised over the positions", f"{LAYERS}:_standardise", "x - _mean(x)", "x - x.mean(axis=0, keepdims=True)", IN_LAYERS + "test_layer_equals_torchs", says="Your mean runs over the positions. Each row is normalised by itself, over its columns."),
    model("layer norm in sixteen bits", f"{LAYERS}:layer_norm", "widen(x)", "x", IN_LAYERS + "test_norms_sum_sixteen_bits_in_float32"),
    model("RMS norm in sixteen bits", f"{LAYERS}:rms_norm", "widen(x)", "x", IN_LAYERS + "test_norms_sum_sixteen_bits_in_float32"),
    model("RMS norm's gradient is not orthogonal", f"{LAYERS}:rms_norm_backward", " - normalised * along", "", IN_LAYERS + "test_layer_equals_torchs"),
    model("RMS norm by the mean of the absolutes", f"{LAYERS}:rms_norm", "np.sqrt(_mean(wide * wide) + eps)", "(_mean(np.abs(wide)) + eps)", IN_LAYERS + "test_layer_equals_torchs"),
    model("ReLU has no gradient gate", f"{FEED}:relu_backward", " * (x > 0)", "", IN_LAYERS + "test_layer_equals_torchs"),
    model("no ReLU", f"{FEED}:relu", "np.maximum(x, 0)", "x", IN_LAYERS + "test_layer_equals_torchs"),
    model("dropout is not scaled up", f"{LAYERS}:Dropout.forward", " * (1 / (1 - self.rate))", "", IN_LAYERS + "test_dropout_keeps_the_mean"),
    model("dropout scales by the rate", f"{LAYERS}:Dropout.forward", "1 / (1 - self.rate)", "1 / self.rate", IN_LAYERS + "test_dropout_keeps_the_mean"),
    model("dropout's gradient unmasked", f"{LAYERS}:Dropout.backward", "d_out * self.saved", "d_out", IN_LAYERS + "test_dropout_gradient_uses_the_forwards_mask"),
    model("dropout stays on", f"{LAYERS}:Dropout.forward", "not self.training or ", "", IN_LAYERS + "test_dropout_that_is_off_is_the_identity_and_draws_nothing"),
    model("an old mask lingers", f"{LAYERS}:Dropout.forward", "self.saved = None", "pass", IN_LAYERS + "test_dropout_that_is_off_is_the_identity_and_draws_nothing"),
    model("step02 keeps what it should drop", "step02_torch.layers:Dropout.forward", ">= self.rate", "< self.rate", IN_LAYERS + "test_dropout_draws_the_same_in_every_stage"),
    model("step02's eps is lost", "step02_torch.layers:layer_norm", ", eps)", ")", IN_LAYERS + "test_norms_function_equals_torchs"),
    model("eval stops at the first layer", "step01_numpy.common.support.layer:Layer.train", "in self.modules()", "in [self]", IN_MODEL + "test_dropout_is_on_in_training_alone"),
    model("post-norm inside the residual", f"{BLOCKS}:Residual.forward", "self.norm(x + self.dropout(sublayer(x)))", "x + self.norm(self.dropout(sublayer(x)))", ORACLE),
    model("pre-norm normalises the way around", f"{BLOCKS}:Residual.forward", "return x + self.dropout(out if", "return self.norm(x) + self.dropout(out if", ORACLE),
    model("no gradient on the way around", f"{BLOCKS}:Residual.backward", "return d_out + self.norm", "return self.norm", ORACLE),
    model("no gradient on the way around, post-norm", f"{BLOCKS}:Residual.backward", "return d_sum + ", "return ", ORACLE),
    model("residual's gradient forgets dropout", f"{BLOCKS}:Residual.backward", "sublayer_backward(self.dropout.backward(d_sum))", "sublayer_backward(d_sum)", PEER),
    model("decoder sees the future", f"{BLOCKS}:Block.__init__", '"causal": causal', '"causal": False', IN_MODEL + "test_the_future_changes_nothing"),
    model("decoder reads the padding", f"{BLOCKS}:Block.forward", "y, memory, memory_mask", "y, memory, None", IN_MODEL + "test_more_padding_changes_nothing"),
    model("encoder reads the padding", f"{BLOCKS}:Block.forward", '"mask": mask', '"mask": None', IN_MODEL + "test_a_sentence_alone_equals_itself_in_a_batch"),
    model("cross-attention reads itself", f"{BLOCKS}:Block.forward", "y, memory, memory_mask", "y, None, None", ORACLE),
    model("no gradient into the memory", f"{BLOCKS}:Block.backward", "return d_x, d_memory[0] if", "return d_x, 0 * d_memory[0] if", IN_MODEL + "test_block_equals_pytorchs"),
    model("memory's gradient from one block", f"{MODEL}:Stack.backward", "d_memory + d_context", "d_context", ORACLE),
    model("embeddings not scaled", f"{BLOCKS}:PositionalInput.forward", "embedded * self.scale", "embedded", ORACLE),
    model("embedding's gradient not scaled", f"{BLOCKS}:PositionalInput.backward", " * self.scale", "", ORACLE),
    model("no positions", f"{BLOCKS}:PositionalInput.forward", 'self.kind.startswith("sinusoidal")', "False", ORACLE),
    model("learned positions' mean gradient", f"{BLOCKS}:_sum_rows", "d_x.sum(", "d_x.mean(", ORACLE),
    model("positions begin anew at each step", f"{MODEL}:Stack.forward", "np.arange(start, start + length", "np.arange(length", IN_GEN + "test_every_step_gives_the_full_forwards_logits"),
    model("decoder forgets how far it is", "step01_numpy.engine.growing:GrowingCache.append", "self.length += k.shape[-2]", "self.length = k.shape[-2]", IN_GEN + "test_every_step_gives_the_full_forwards_logits"),
    model("sequences of any length", f"{BLOCKS}:PositionalInput.forward", 'ranges.positions(positions, self.max_positions)', "pass", IN_BAD + "test_sequence_longer_than_the_model_takes"),
    model("shared matrix: no gradient from the target", f"{MODEL}:Transformer.hidden_backward", "self.embedding.backward(d_target, target)", "pass", ORACLE),
    model("shared matrix: no gradient from the source", f"{MODEL}:Transformer.hidden_backward", "self.embedding.backward(self.encoder.backward(d_memory)[0], source)", "self.encoder.backward(d_memory)", ORACLE),
    model("shared matrix: no gradient from the logits", "step01_numpy.head:Head.logits_backward", "weight.accumulate(d_weight)", "pass", ORACLE),
    model("padding shown, tokens hidden", f"{MODEL}:Transformer.encode", "source != self.config.pad", "source == self.config.pad", IN_MODEL + "test_what_padding_is_embedded_as_changes_nothing"),
    model("source not masked in step02", "step02_torch.transformer:Transformer.encode", "source != self.config.pad", "source == source", IN_MODEL + "test_more_padding_changes_nothing"),
    model("final norm skipped in step02", "step02_torch.transformer:Stack.forward", "x if self.norm is None else self.norm(x)", "x", ORACLE),
    model("embedding of unknown tokens", f"{LAYERS}:Embedding.forward", 'ranges.tokens("tokens", tokens, len(self.weight.data))', "pass", IN_BAD + "test_tokens"),
    model("smoothing takes nothing from the target", f"{LOSS}:cross_entropy", "(1 - smoothing) * picked", "picked", IN_LOSS + "test_cross_entropy_equals_torchs", says="With label smoothing your target keeps its whole probability, and all probabilities sum to more than 1. Where does the share of the others come from?"),
    model("smoothing over the other tokens alone", f"{LOSS}:cross_entropy", "smoothing * logits.mean(axis=-1)", "smoothing * (logits.sum(axis=-1) - picked) / (logits.shape[-1] - 1)", IN_LOSS + "test_cross_entropy_equals_torchs", says="Your smoothing is spread over all tokens but the target. Here, as in PyTorch, every token gets its share."),
    model("loss is summed", f"{LOSS}:cross_entropy", ").mean()", ").sum()", IN_LOSS + "test_cross_entropy_equals_torchs", says="Your loss is the sum over the rows. It is asked for per token."),
    model("gradient without smoothing", f"{LOSS}:cross_entropy_backward", " - smoothing / logits.shape[-1]", "", IN_LOSS + "test_cross_entropy_equals_torchs", says="With label smoothing your gradient is that without. What is the probability that a token which is not the target should have?"),
    model("gradient of the sum", f"{LOSS}:cross_entropy_backward", " / len(targets)", "", IN_LOSS + "test_cross_entropy_equals_torchs", says="Your gradient is that of the sum over the rows. The loss is their mean."),
    model("gradient ignores what comes back", f"{LOSS}:cross_entropy_backward", "d_loss / len", "1 / len", IN_LOSS + "test_cross_entropy_equals_torchs", says="Your gradient is the same whatever d_loss is. A loss may be one part of a larger one."),
    model("last block's weight gradient only", f"{LOSS}:linear_cross_entropy", "d_weight += ", "d_weight = ", IN_LOSS + "test_linear_cross_entropy_equals_torchs"),
    model("blocks count alike", f"{LOSS}:linear_cross_entropy", "len(logits) / n", "min(1, BLOCK / n)", IN_LOSS + "test_linear_cross_entropy_equals_torchs"),
    model("step02's ready gradient ignores what comes back", "step02_torch.loss:_LinearCrossEntropy.backward", "return d_loss * d_hidden, d_loss * d_weight", "return d_hidden, d_weight", IN_LOSS + "test_gradient_of_a_loss_that_is_scaled_afterwards"),
    model("all logits at once", f"{LOSS}:linear_cross_entropy", "BLOCK", "n", IN_LOSS + "test_the_logits_are_never_all_in_memory"),
    model("no bias correction", f"{OPTIM}:AdamW._update", " / (1 - beta_2**self.steps)", "", IN_OPTIM + "test_adamw_equals_torchs", says="Your running square is used as it is. It starts at 0, so its first values are too small: look at algorithm 1, bias correction."),
    model("eps inside the root", f"{OPTIM}:AdamW._update", ") + self.eps", " + self.eps)", IN_OPTIM + "test_adamw_equals_torchs", says="Your eps stands under the root. Look at algorithm 1: what is it added to?"),
    model("weight decay through the gradient", f"{OPTIM}:AdamW._update", "gradient = parameter.grad", "gradient = parameter.grad + self.weight_decay * parameter.data; rate_decay = 0", IN_OPTIM + "test_adamw_equals_torchs", says="Your weight decay enters the running means. In AdamW it acts on the weight alone, and that is what the W stands for."),
    model("weight decay without the rate", f"{OPTIM}:AdamW._update", "1 - rate * self.weight_decay", "1 - self.weight_decay", IN_OPTIM + "test_adamw_by_hand", says="Your weights shrink by the whole weight decay in each step. Compare with algorithm 2: what is it multiplied by?"),
    model("mean not corrected", f"{OPTIM}:AdamW._update", "rate / (1 - beta_1**self.steps)", "rate", IN_OPTIM + "test_adamw_by_hand", says="Your running mean is used as it is. It starts at 0, so its first values are too small: look at algorithm 1, bias correction."),
    model("decay rates swapped", f"{OPTIM}:AdamW._update", "beta_1, beta_2 = self.betas", "beta_2, beta_1 = self.betas", IN_OPTIM + "test_adamw_equals_torchs", says="The two decay rates have exchanged their places. Which of them belongs to the mean?"),
    model("optimizer restarts its count", f"{OPTIM}:AdamW.load_state_dict", 'int(state["steps"])', "0", IN_OPTIM + "test_state_of_adamw_continues_in_every_stage"),
    model("step02's optimizer restarts its count", "step02_torch.optimizer:AdamW.load_state_dict", 'int(state["steps"])', "0", IN_TRAIN + "test_training_continues_in_another_stage"),
    model("clipping enlarges small gradients", f"{OPTIM}:clip_gradients", "if factor < 1", "if True", IN_OPTIM + "test_gradients_within_the_norm_stay_bit_for_bit"),
    model("clipping by the sum of norms", f"{OPTIM}:clip_gradients", "sqrt(sum(float((p.grad * p.grad).sum()) for p in parameters))", "sum(sqrt(float((p.grad * p.grad).sum())) for p in parameters)", IN_OPTIM + "test_clipping_equals_torchs"),
    model("norm reported after clipping", f"{OPTIM}:clip_gradients", "return norm", "return min(norm, max_norm)", IN_OPTIM + "test_clipping_equals_torchs"),
    model("the first rate is 0", f"{OPTIM}:learning_rate", "* step / config.warmup", "* (step - 1) / config.warmup", IN_OPTIM + "test_cosine_schedule"),
    model("cosine does not end at 0", f"{OPTIM}:learning_rate", "(1 + cos(pi * min(1.0, done))) / 2", "(1 + cos(pi * min(1.0, done) / 2)) / 2", IN_OPTIM + "test_cosine_schedule"),
    model("cosine rises again", f"{OPTIM}:learning_rate", "min(1.0, done)", "done", IN_OPTIM + "test_cosine_schedule"),
    model("inverse instead of inverse root", f"{OPTIM}:learning_rate", "sqrt(max(config.warmup, 1) / step)", "max(config.warmup, 1) / step", IN_OPTIM + "test_inverse_square_root_schedule"),
    model("gradients of earlier batches stay", f"{TRAIN}:loss_and_gradients", "model.zero_grad()", "pass", IN_TRAIN + "test_earlier_gradients_are_forgotten"),
    model("padding counts as a token", f"{TRAIN}:loss_and_gradients", "targets != PAD", "targets >= PAD", IN_TRAIN + "test_loss_and_every_gradient_equal_torchs_cross_entropy"),
    model("projection's gradient forgotten", f"{TRAIN}:loss_and_gradients", "weight.accumulate(d_weight)", "pass", IN_TRAIN + "test_loss_and_every_gradient_equal_torchs_cross_entropy"),
    model("batch stays on the host", f"{TRAIN}:loss_and_gradients", "np.asarray(x, like=weight.data)", "np.asarray(x)", IN_TRAIN + "test_step01s_models_run_on_arrays_that_are_not_numpys"),
    model("smoothing not passed on", f"{TRAIN}:training_step", "smoothing=config.label_smoothing", "smoothing=0.0", IN_TRAIN + "test_one_update"),
    model("no clipping", f"{TRAIN}:training_step", "clip_gradients(model.parameters(), config.max_norm)", "clip_gradients(model.parameters(), 1e9)", IN_TRAIN + "test_one_update"),
    model("no clipping in step02", "step02_torch.training:training_step", "clip_gradients(model.parameters(), config.max_norm)", "clip_gradients(model.parameters(), 1e9)", IN_TRAIN + "test_two_hundred_updates_are_equal"),
    model("dropout on in step02 only", f"{TRAIN}:train", "model.train()", "model.eval()", IN_TRAIN + "test_two_hundred_updates_are_equal"),
    model("steps start again", f"{TRAIN}:train", "first_step + 1", "1", IN_TRAIN + "test_train_is_lazy_counts_on_and_switches_dropout_on"),
    model("weights never move", f"{TRAIN}:training_step", "optimizer.step(rate)", "pass", IN_TRAIN + "test_a_model_learns_to_copy"),
    model("padding mask not reordered", f"{MODEL}:DecoderCache.reorder", '"memory", "memory_mask"', '"memory"', IN_GEN + "test_reordered_rows_continue_the_others"),
    model("cross-attention's cache not reordered", f"{MODEL}:DecoderCache.reorder", "for cache in pair", "for cache in pair[:1]", IN_GEN + "test_reordered_rows_continue_the_others"),
    model("memory not reordered", f"{MODEL}:DecoderCache.reorder", '"memory", "memory_mask"', '"memory_mask"', IN_GEN + "test_rows_reordered_before_the_first_step"),
    model("caches not reordered in step02", "step02_torch.transformer:DecoderCache.reorder", "cache.reorder(rows)", "pass", IN_GEN + "test_beams_with_a_cache_equal_beams_without"),
    model("a step decodes without its past", f"{MODEL}:Transformer.decode", '"cache": cache', '"cache": None', IN_GEN + "test_every_step_gives_the_full_forwards_logits"),
    model("keys projected at each step", "step01_numpy.multi_head_attention:MultiHeadAttention._project", "cache is not None and cache.length", "False", IN_GEN + "test_a_step_reads_only_what_is_new"),
    model("one block's cache for all", f"{MODEL}:DecoderCache.__init__", "for w in windows]", "for w in [next(windows)]] * config.n_layers", "decoding/test_cache.py::test_a_model_says_the_same_with_both"),
    model("weights loaded without a check", "step01_numpy.common.support.layer:Layer.load_state_dict", "checks.state({name: parameter.data.shape for name, parameter in own.items()}, state)", "pass", IN_BAD + "test_weights_of_another_model"),
]  # fmt: skip

LANGUAGE = "step01_numpy.language_model:LanguageModel"
IN_LANGUAGE = "models/test_language_model.py::"
LLAMA3 = "attention/test_positions.py::test_scaled_frequencies_are_transformers"
SAME = IN_LANGUAGE + "test_outputs_and_every_gradient_equal_another_stages"
STEPS = IN_LANGUAGE + "test_every_step_gives_the_full_forwards_logits"
FAMILY = [
    model("rotary scaling turned round", "step01_numpy.rotary:rotary_frequencies", "share * plain + (1 - share) * plain / factor", "(1 - share) * plain + share * plain / factor", LLAMA3),
    model("scaling beyond its two ends", "step02_torch.rotary:rotary_frequencies", ".clamp(0, 1)", "", LLAMA3),
    model("sines and cosines in turn for Marian", f"{BLOCKS}:PositionalInput.forward", 'interleaved=self.kind == "sinusoidal"', "interleaved=True", PEER),
    model("window one too narrow", f"{BLOCKS}:Block.__init__", "window - 1", "window - 2", SAME),
    model("a window keeps one key too few", f"{MODEL}:DecoderCache.__init__", "w - 1", "w - 2", STEPS),
    model("a window keeps everything", f"{MODEL}:DecoderCache.__init__", "None if w is None else w - 1", "None", IN_LANGUAGE + "test_a_window_keeps_no_more_than_it_sees"),
    model("rolling cache keeps one key too many", "step01_numpy.engine.growing:_Rows.append", "self.end - limit", "self.end - limit - 1", IN_LANGUAGE + "test_a_window_keeps_no_more_than_it_sees"),
    model("mask's first columns for the kept keys", "step01_numpy.multi_head_attention:MultiHeadAttention.forward", "mask[..., -k.shape[-2] :]", "mask[..., : k.shape[-2]]", STEPS),
    model("positions count the padding", f"{MODEL}:Stack.forward", "np.cumsum(mask, axis=-1) - 1", "np.cumsum(mask | True, axis=-1) - 1", IN_LANGUAGE + "test_padding_changes_nothing"),
    model("padding is seen", f"{MODEL}:Stack.forward", '"mask": _over_heads(mask)', '"mask": None', IN_LANGUAGE + "test_padding_changes_nothing"),
    model("BERT sees the past alone", f"{LANGUAGE}.__init__", 'config.architecture == "decoder"', "True", IN_LANGUAGE + "test_what_a_token_sees"),
    model("a prompt's padding forgotten", f"{LANGUAGE}._continue", "np.ones_like(tokens, dtype=bool) if mask is None else mask", "np.ones_like(tokens, dtype=bool)", STEPS),
    model("mask not reordered with the texts", f"{MODEL}:DecoderCache.reorder", '"mask", "memory"', '"memory"', IN_LANGUAGE + "test_reordered_rows_continue_the_others"),
    model("gate without activation", f"{FEED}:FeedForward.forward", "active * gate", "hidden * gate", IN_LAYERS + "test_layer_equals_torchs"),
    model("gate's gradient forgotten", f"{FEED}:FeedForward.backward", " + self.w_3.backward(d_gate)", "", IN_LAYERS + "test_layer_equals_torchs"),
    model("SwiGLU gates the other half in step02", "step02_torch.feed_forward:FeedForward.forward", "self.activate(hidden)", "self.activate(hidden if gate is None else gate)", IN_LAYERS + "test_layer_equals_torchs"),
    model("exact GELU by tanh", f"{FEED}:gelu", "x * _normal_distribution(x)", "gelu_tanh(x)", IN_LAYERS + "test_activation_equals_torchs"),
    model("GELU's derivative without the density", f"{FEED}:gelu_backward", " + x * density", "", IN_LAYERS + "test_activation_equals_torchs"),
    model("GELU's cube has no derivative", f"{FEED}:gelu_tanh_backward", " + 3 * 0.044715 * x * x", "", IN_LAYERS + "test_activation_equals_torchs"),
    model("SiLU's derivative is a sigmoid", f"{FEED}:silu_backward", "s + x * s * (1 - s)", "s", IN_LAYERS + "test_activation_equals_torchs"),
    model("short runs for decoding", "step01_numpy.generation:lay_out", "weight.shape[0] > weight.shape[1]", "weight.shape[0] < weight.shape[1]", IN_LANGUAGE + "test_a_matrix_lies_along_its_longer_side"),
    model("short runs for decoding in step02", "step02_torch.generation:lay_out", "weight.shape[0] > weight.shape[1]", "weight.shape[0] < weight.shape[1]", IN_LANGUAGE + "test_a_matrix_lies_along_its_longer_side"),
    model("fused product of weights that were replaced", "step01_numpy.engine.fused:FusedLinear.__call__", "not all(map(self._holds, maps, self.views))", "False", "models/test_fused_linear.py::test_new_weights_reach_the_product"),
    model("fused product of weights that were replaced in step02", "step02_torch.engine.fused:FusedLinear.__call__", "not all(map(_holds, maps, self.views))", "False", "models/test_fused_linear.py::test_new_weights_reach_the_product"),
    model("a copied layer multiplies by the weights it was copied with", "step01_numpy.engine.fused:FusedLinear._holds", "weight.base is self.weight", "True", "models/test_fused_linear.py::test_a_copied_layer_follows_its_own_weights"),
    model("another's weights in the fused memory", "step01_numpy.engine.fused:FusedLinear._holds", "x.weight.data is weight", "x.weight.data.base is self.weight", "models/test_fused_linear.py::test_a_map_that_takes_anothers_weights"),
    model("a bias that was taken away is still added", "step01_numpy.engine.fused:FusedLinear._holds", "given is bias and", "(given is None or given is bias) and", "models/test_fused_linear.py::test_a_bias_taken_away_or_given"),
    model("a bias that was taken away is still added in step02", "step02_torch.engine.fused:_holds", "x.bias is bias if", "x.bias is None if", "models/test_fused_linear.py::test_a_bias_taken_away_or_given"),
    model("fused weights are copies", "step01_numpy.engine.fused:FusedLinear.__init__", "self.weight[:, part].T", "self.weight[:, part].T.copy()", "models/test_fused_linear.py::test_one_product_gives_what_each_gave"),
    model("a fused forward keeps no rows for its backward", "step01_numpy.engine.fused:FusedLinear.__call__", "linear_map.saved = x", "pass", "models/test_fused_linear.py::test_gradients_after_fusing"),
    model("gradients do not reach fused weights in step02", "step02_torch.engine.fused:FusedLinear.__call__", "torch.is_grad_enabled() or ", "", "models/test_fused_linear.py::test_gradients_after_fusing"),
    model("projections are not fused for decoding", "step01_numpy.generation:prepare", "fuse(model)", "model", IN_LANGUAGE + "test_a_prepared_model_says_the_same"),
    model("heads of a product left without their norms", "step01_numpy.engine.fused:finished", "linear_map.norm_heads(rows) if", "rows if", IN_LANGUAGE + "test_a_prepared_model_says_the_same"),
    model("heads of a product left without their norms in step02", "step02_torch.engine.fused:finished", "linear_map.norm_heads(rows) if", "rows if", IN_LANGUAGE + "test_a_prepared_model_says_the_same"),
    model("heads normed all together", "step01_numpy.block_attention:NormedLinear._heads", "-1, self.norm.d_model", "self.norm.d_model, -1", SAME),
    model("second norm forgotten", f"{BLOCKS}:Residual.forward", "out if self.norm_after is None else self.norm_after(out)", "out", SAME),
    model("second norm passes gradients through", f"{BLOCKS}:Residual.backward", "self.norm_after.backward(d_f)", "d_f", SAME),
    model("capped attention not scaled by Gemma's own", "step01_numpy.block_attention:block_attention", "scale=config.attention_scale, ", "", SAME),
    model("logits' cap has no derivative", "step01_numpy.head:Head.logits_backward", "d_logits if scores is None else", "d_logits if True else", SAME),
    model("logits of a step uncapped", "step01_numpy.generation:step", "model.softcap", "None", STEPS),
    model("logits of the loss uncapped", f"{TRAIN}:loss_and_gradients", "softcap=model.softcap", "softcap=None", IN_LANGUAGE + "test_the_loss_is_that_of_the_logits"),
    model("capped loss has the gradient of an uncapped one", f"{LOSS}:linear_cross_entropy", "if softcap is not None", "if False", IN_LOSS + "test_linear_cross_entropy_of_capped_logits"),
    model("capped loss has another gradient in step02", "step02_torch.loss:_LinearCrossEntropy.forward", "(logits / softcap) ** 2", "(scores / softcap) ** 2", IN_LOSS + "test_linear_cross_entropy_of_capped_logits"),
    model("head's transformation untrained", "step01_numpy.head:Head.backward", "return self.dense.backward(self.activate_backward(self.norm.backward(d_out), self.saved))", "self.dense.backward(self.activate_backward(self.norm.backward(d_out), self.saved)); return d_out", SAME),
    model("head without its activation", "step01_numpy.head:Head.forward", "self.activate(self.saved)", "self.saved", SAME),
    model("untied logits from the embedding", "step01_numpy.head:Head.projection", "embedding.weight if self.weight is None else self.weight", "embedding.weight", SAME),
    model("logits without their bias", "step01_numpy.head:Head.logits", "None if bias is None else bias.data", "None", SAME),
    model("segments' gradient forgotten", f"{BLOCKS}:PositionalInput.backward", "self.segments.backward(_sum_rows(d_x, self.saved), self.saved)", "pass", SAME),
    model("norm of the embeddings untrained", f"{BLOCKS}:PositionalInput.backward", "d_x if self.norm is None else self.norm.backward(d_x)", "d_x", SAME),
    model("RMS norm with the mean taken off", "step01_numpy.layers:rms_norm", "(wide / np", "((wide - _mean(wide)) / np", "attention/test_onnx.py"),
    model("bias forgotten by the blockwise loss", f"{LOSS}:linear_cross_entropy", "linear(hidden[rows], weight, bias)", "linear(hidden[rows], weight)", IN_LOSS + "test_linear_cross_entropy_equals_torchs"),
    model("last block's bias gradient only", f"{LOSS}:linear_cross_entropy", "d_bias += ", "d_bias = ", IN_LOSS + "test_linear_cross_entropy_equals_torchs"),
]  # fmt: skip
