"""Mistakes as students make them, where the other tables' mutants are those of the reference."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants import flash, transformers
from tests.mutants.mutant import Mutant


def student(name, target, old, new, killer, says):
    return Mutant(f"student: {name}", f"step01_numpy.{target}", old, new, f"tests/{killer}", says)


def said(name):
    """Return what another table says of the same mistake."""
    names = ("ATTENTION", "SOFTMAX", "MASKS", "HEADS", "MODELS")
    tables = [flash.PAPER, *(getattr(transformers, x) for x in names)]
    (says,) = [x.says for table in tables for x in table if x.name == name]
    return says


def ignored(option):
    return f"`{option}` changes nothing in your result. Look in the docstring at what it should do."


SOFTMAX, LSE, MASKS = "softmax:softmax", "merge:log_sum_exp", "masks"
SIMPLE, ATTENTION = "attention:simple_attention", "attention:scaled_dot_product_attention"
LAYER, TILES = "multi_head_attention:MultiHeadAttention", "flash_attention"
IN_SOFTMAX, IN_MASKS = "attention/test_softmax.py::test_", "attention/test_masks.py::test_"
IN_ATTENTION, IN_HEADS = "attention/test_attention.py::test_", "attention/test_heads.py::test_"
IN_FLASH, IN_MERGE = "attention/test_flash_attention.py::test_", "attention/test_merge.py::test_"
IN_POSITIONS, IN_CACHE = "attention/test_positions.py::test_", "decoding/test_cache.py::test_"
IN_LAYERS, IN_LOSS = "models/test_layers.py::test_", "training/test_loss.py::test_"
IN_OPTIMIZER, IN_GRU = "training/test_optimizer.py::test_", "models/test_recurrent.py::test_"
FORMULAS = "models/test_recurrent_attention.py::test_context_and_weights_equal_the_papers_formulas"
LARGE = "Large scores overflow exp, and very low ones vanish in it. What may be taken off all scores of a row without changing its weights?"
NO_SCALE = "The scores are not scaled: they grow with the head size, and softmax saturates. What does the paper divide q kᵀ by?"
ONE_OVER_D = "Your scores are scaled by the head size itself. Compare with the paper's equation 1: what is done to d_k before it divides?"
LOW = "Your hidden scores are large negative numbers. A row that sees nothing gets weights all the same: which score gives exactly 0?"
OFFSET = "The offset is ignored. It says at which position among the keys the first query stands."
HOMEWORK = [
    # softmax
    student("softmax without a maximum", SOFTMAX, "wide = widen(scores)", "return np.exp(scores) / np.exp(scores).sum(axis=axis, keepdims=True)", IN_SOFTMAX + "large_scores_stay_in_range", LARGE),
    student("one maximum for all rows", SOFTMAX, "wide.max(axis=axis, keepdims=True)", "wide.max(keepdims=True)", IN_SOFTMAX + "softmax_equals_torch", "You take off one maximum for all rows, and a row far below it vanishes. Which scores share their weights?"),
    student("softmax over the last axis", SOFTMAX, "axis=axis", "axis=-1", IN_SOFTMAX + "softmax_equals_torch", "Your softmax runs along the last axis, whatever axis is asked for. Look at the parameter axis."),
    student("log-sum-exp without a maximum", LSE, "wide = widen(scores)", "return np.log(np.exp(scores).sum(axis=axis))", IN_MERGE + "large_scores_stay_in_range", LARGE),
    student("softmax's gradient without the row sum", "softmax:softmax_backward", "d_weights - row_sum", "d_weights", IN_SOFTMAX + "gradient_equals_central_differences", said("gradient without the row sum")),
    student("softmax's gradient along the last axis", "softmax:softmax_backward", "axis=axis", "axis=-1", IN_SOFTMAX + "gradient_equals_central_differences", said("row sum along the wrong axis")),
    student("softmax's gradient without the weights", "softmax:softmax_backward", "wide * (d_weights - row_sum)", "(d_weights - row_sum)", IN_SOFTMAX + "gradient_equals_central_differences", "A key with a weight of 0 gets a gradient in your result. By how much does its weight answer to its score?"),
    # masks
    student("causal the wrong way round", f"{MASKS}:causal_mask", "key <= query", "key >= query", IN_MASKS + "causal_mask_of_a_square", "Your causal mask shows the future and hides the past. On which side of its own position may a query look?"),
    student("window one too narrow", f"{MASKS}:sliding_window_mask", "ahead >= -left", "ahead > -left", IN_MASKS + "sliding_window", "Your window reaches one key too few to the left. `left` counts the keys before the position, which is seen besides."),
    student("window without a left bound", f"{MASKS}:sliding_window_mask", "np.ones_like(ahead, dtype=bool) if left is None else ahead >= -left", "np.ones_like(ahead, dtype=bool)", IN_MASKS + "sliding_window", ignored("left")),
    student("window that never looks ahead", f"{MASKS}:sliding_window_mask", "mask & (ahead <= right)", "mask & (ahead <= 0)", IN_MASKS + "sliding_window", "Your window never shows a key ahead. `right` says how many there may be."),
    student("padding shown", f"{MASKS}:padding_mask", "< lengths", ">= lengths", IN_MASKS + "padding_mask", "Your padding mask shows the padding and hides the text: True means may attend."),
    student("offset ignored", f"{MASKS}:key_positions", 'n_keys - n_queries if offset is None else options.position("offset", offset)', "n_keys - n_queries", IN_MASKS + "causal_offset", OFFSET),
    student("mask of -1e9", f"{MASKS}:hide", "-np.inf", "-1e9", IN_ATTENTION + "everything_hidden_is_zero_throughout", LOW),
    student("-1e9 added", f"{MASKS}:hide", "np.where(mask, scores, -np.inf)", "scores + np.where(mask, 0.0, -1e9)", IN_ATTENTION + "everything_hidden_is_zero_throughout", LOW),
    student("infinity times 0", f"{MASKS}:hide", "np.where(mask, scores, -np.inf)", "scores + (1 - mask) * -np.inf", IN_MASKS + "hide", "Your visible scores are NaN, for 0 times infinity is no number. Choose instead of calculating."),
    student("mask forgotten beside a band", f"{MASKS}:combine_masks", "band if mask is None else mask & band", "band", IN_MASKS + "combination_is_an_and", "Beside a causal rule or a window your mask is forgotten. A key has to be allowed by all of them."),
    student("mask alone inverted", f"{MASKS}:combine_masks", "return mask\n    band = sliding_window_mask(n_queries, n_keys, left, right, offset=offset, like=like)\n    return band if mask is None else mask & band", "return None if mask is None else ~mask\n    band = sliding_window_mask(n_queries, n_keys, left, right, offset=offset, like=like)\n    return band if mask is None else ~mask & band", IN_MASKS + "combination_is_an_and", "Your mask is inverted: True means may attend."),
    student("causal forgotten beside a window", f"{MASKS}:combine_masks", "0 if causal else right", "0 if causal and window is None else right", IN_ATTENTION + "causal_window", "Beside a window your causal rule is forgotten. A key has to be allowed by both."),
    student("causal ignored in combining", f"{MASKS}:combine_masks", "0 if causal else right", "right", IN_ATTENTION + "causal_for_any_lengths", ignored("causal")),
    student("window ignored in combining", f"{MASKS}:combine_masks", "options.sides(window)", "None, None", IN_MASKS + "combination_is_an_and", ignored("window")),
    student("offset not handed on", f"{MASKS}:combine_masks", "offset=offset, like=like", "like=like", IN_ATTENTION + "causal_offset", OFFSET),
    # attention
    student("simple attention without softmax", SIMPLE, "softmax(scores)", "scores", IN_ATTENTION + "the_simple_one_is_the_general_one_without_options", "Your weights are the scores themselves, and may be negative. What turns a row of scores into shares?"),
    student("simple attention scaled by 1/D", SIMPLE, "sqrt(q.shape[-1])", "q.shape[-1]", IN_ATTENTION + "the_simple_one_is_the_general_one_without_options", ONE_OVER_D),
    student("simple attention scaled up", SIMPLE, "matches / sqrt", "matches * sqrt", IN_ATTENTION + "the_simple_one_is_the_general_one_without_options", "Your scores grow with the head size instead of being kept from it. Do you divide where you should?"),
    student("simple attention scaled by the key length", SIMPLE, "sqrt(q.shape[-1])", "sqrt(k.shape[-2])", IN_ATTENTION + "the_simple_one_is_the_general_one_without_options", said("scale by key length")),
    student("scale behind the softmax", SIMPLE, "softmax(scores)", "softmax(matches) / sqrt(q.shape[-1])", IN_ATTENTION + "the_simple_one_is_the_general_one_without_options", "You scale the weights, which then sum to less than 1. The scale belongs to the scores."),
    student("simple gradient past the softmax", f"{SIMPLE}_backward", "softmax_backward(d_weights, weights)", "d_weights", IN_ATTENTION + "the_simple_one_is_the_general_one_without_options", "Your gradient goes past the softmax as if the weights were the scores. Each line of the forward has its own on the way back."),
    student("simple gradient without the row sum", f"{SIMPLE}_backward", "softmax_backward(d_weights, weights)", "d_weights * weights", IN_ATTENTION + "the_simple_one_is_the_general_one_without_options", said("gradient without the row sum")),
    student("simple d_v without transpose", f"{SIMPLE}_backward", "weights.swapaxes(-1, -2) @ d_out", "weights @ d_out", IN_ATTENTION + "the_simple_one_is_the_general_one_without_options", said("d_v without transpose")),
    student("no scale", "attention:attention_scores", "scale_or_default(scale, q)", "(1.0 if scale is None else scale)", IN_ATTENTION + "plain", NO_SCALE),
    student("scale 1/D", "attention:attention_scores", "scale_or_default(scale, q)", "(1 / q.shape[-1] if scale is None else scale)", IN_ATTENTION + "plain", ONE_OVER_D),
    student("scale ignored", "attention:attention_scores", "scale_or_default(scale, q)", "scale_or_default(None, q)", IN_ATTENTION + "scale", ignored("scale")),
    student("softcap ignored", ATTENTION, "cap(attention_scores(widen(q), k, scale), softcap)", "attention_scores(widen(q), k, scale)", IN_ATTENTION + "softcap_comes_before_bias_and_mask", ignored("softcap")),
    student("softcap that bends too early", "attention:cap", "np.tanh(scores / softcap)", "np.tanh(scores)", IN_ATTENTION + "softcap_comes_before_bias_and_mask", "Your soft cap bends all scores at the same place. Scores far below the cap should pass nearly unchanged."),
    student("bias under the softcap", ATTENTION, "scores = cap(attention_scores(widen(q), k, scale), softcap)", "scores, bias = cap(attention_scores(widen(q), k, scale) + (0.0 if bias is None else widen(bias)), softcap), None", IN_ATTENTION + "softcap_comes_before_bias_and_mask", said("bias before the softcap")),
    student("bias ignored", ATTENTION, "if bias is not None", "if False", IN_ATTENTION + "bias_with_minus_infinity", ignored("bias")),
    student("mask ignored", ATTENTION, "scores.shape[-2:], mask,", "scores.shape[-2:], None,", IN_ATTENTION + "mask_of_any_broadcastable_shape", ignored("mask")),
    student("causal ignored", ATTENTION, "causal=causal, ", "", IN_ATTENTION + "causal_for_any_lengths", ignored("causal")),
    student("window ignored", ATTENTION, "window=window, ", "", IN_ATTENTION + "window", ignored("window")),
    student("offset ignored by attention", ATTENTION, "offset=offset, ", "", IN_ATTENTION + "causal_offset", OFFSET),
    student("gradient scaled by 1/D", "attention:attention_backward", "d_scores * scale_or_default(scale, q)", "d_scores / q.shape[-1]", IN_ATTENTION + "plain", said("gradient without the scale")),
    student("gradient scaled twice", "attention:attention_backward", "scale_or_default(scale, q)", "scale_or_default(scale, q) ** 2", IN_ATTENTION + "plain", said("gradient without the scale")),
    student("gradient past the softmax", "attention:attention_backward", "weights * (d_weights - row_sum)", "d_weights", IN_ATTENTION + "plain", "Your gradient goes past the softmax as if the weights were the scores. Each line of the forward has its own on the way back."),
    student("mean of the heads' gradients", "attention:repeat_heads_backward", "sum(axis=-3)", "mean(axis=-3)", IN_ATTENTION + "grouped_heads", "You take the mean of what the query heads send back. A head that served several collects from all of them."),
    # heads and layers
    student("every H-th column", "multi_head_attention:split_heads", "x.reshape(batch, length, n_heads, -1).swapaxes(1, 2)", "x.reshape(batch, length, -1, n_heads).transpose(0, 3, 1, 2)", IN_HEADS + "multi_head_equals_torchs", "Your heads take columns in turn. The columns of a head stand next to each other."),
    student("columns merged in turn", "multi_head_attention:merge_heads", "x.swapaxes(1, 2).reshape", "x.transpose(0, 2, 3, 1).reshape", IN_HEADS + "multi_head_equals_torchs", "Your merged rows take a column from each head in turn. The columns of a head stand next to each other."),
    student("layer's mask ignored", f"{LAYER}.forward", "forward(q, k, v, mask, **options)", "forward(q, k, v, None, **options)", IN_HEADS + "multi_head_equals_torchs", ignored("mask")),
    student("layer's causal ignored", f"{LAYER}.forward", '"causal": causal', '"causal": False', IN_HEADS + "causal_multi_head_equals_torchs", ignored("causal")),
    student("layer's rotary ignored", f"{LAYER}._project", "if self.rotary is not None", "if False", IN_HEADS + "gradients_equal_step02s", ignored("rotary")),
    student("values turned", f"{LAYER}._project", "return (q, k, v) if cache is None", "return (q, k, v if self.rotary is None else self.rotary.forward(v, positions)) if cache is None", IN_HEADS + "gradients_equal_step02s", "Your values are turned by their positions as well. Only what is matched is turned."),
    student("keys not turned", f"{LAYER}._project", "self.rotary.forward(k, positions)", "k", IN_HEADS + "gradients_equal_step02s", "Your queries are turned by their positions and your keys are not. Their products should see a distance."),
    student("given positions ignored", f"{LAYER}.forward", "self._positions(x, cache) if positions is None else positions", "self._positions(x, cache)", IN_HEADS + "rows_that_change_places_with_their_positions_keep_their_results", ignored("positions")),
    student("no gradient through the values", f"{LAYER}.backward", " + self.w_v.backward(merge_heads(d_v))", "", IN_HEADS + "gradients_equal_step02s", "What comes back through the values is missing in your gradients. They were made of the same rows as the keys."),
    student("gradient past the output projection", f"{LAYER}.backward", "self.w_o.backward(d_out)", "d_out", IN_HEADS + "gradients_equal_step02s", "Your gradient goes past the output projection. It was the last step of the forward, so it is the first on the way back."),
    student("cache returns what it keeps", "cache:KVCache.append", "return k, v", "return self.keys, self.values", IN_CACHE + "both_keep_the_same", "With a limit you return only what stays. The newest positions may still see those that go now."),
    student("limit ignored", "cache:KVCache.append", "0 if self.limit is None else max(0, k.shape[-2] - self.limit)", "0", IN_CACHE + "both_keep_the_same", "`limit` changes nothing in what your cache keeps. Look in the docstring at what it should do."),
    student("length of the newest", "cache:KVCache.append", "self.length += k.shape[-2]", "self.length = k.shape[-2]", IN_CACHE + "both_keep_the_same", "Your `length` is that of the last append. It counts all positions seen."),
    student("oldest kept", "cache:KVCache.append", "k[..., first:, :], v[..., first:, :]", "k[..., : k.shape[-2] - first, :], v[..., : k.shape[-2] - first, :]", IN_CACHE + "both_keep_the_same", "With a limit your cache keeps the oldest positions. Which will the next query want to see?"),
    student("newest first", "cache:KVCache.append", "k = np.concatenate([self.keys, k], axis=-2)\n        v = np.concatenate([self.values, v], axis=-2)", "k = np.concatenate([k, self.keys], axis=-2)\n        v = np.concatenate([v, self.values], axis=-2)", IN_CACHE + "both_keep_the_same", "Your newest positions stand before the older ones. A cache keeps the order of the text."),
    # positions
    student("sinusoids always in halves", "positions:sinusoids", "if interleaved", "if False", IN_POSITIONS + "sinusoids_as_in_the_paper", "Your sines fill the first half of the columns. Look at what `interleaved` asks for."),
    student("frequencies fall too slowly", "positions:frequencies", "np.arange(0, d_model, 2, like=like)", "np.arange(d_model // 2, like=like)", IN_POSITIONS + "sinusoids_as_in_the_paper", "Your frequencies fall too slowly from pair to pair. Compare the exponent with that of the docstring."),
    student("frequencies grow", "positions:frequencies", "1 / base **", "base **", IN_POSITIONS + "sinusoids_as_in_the_paper", "Your frequencies grow from pair to pair. They should fall."),
    student("turned the other way", "rotary:rotate", "a * cos - b * sin, a * sin + b * cos", "a * cos + b * sin, b * cos - a * sin", IN_POSITIONS + "rotation_by_complex_numbers", said("rotary not turned back")),
    student("pairs put together in halves", "rotary:_join", "if interleaved", "if False", IN_POSITIONS + "rotation_by_complex_numbers", "You take the pairs apart as asked for and put them back in another order. Look at `interleaved` again."),
    # norms, losses, the optimizer
    student("norm without its weight", "layers:layer_norm", "normalised * weight + bias", "normalised + bias", IN_LAYERS + "norms_function_equals_torchs", ignored("weight")),
    student("norm without its bias", "layers:layer_norm", "normalised * weight + bias", "normalised * weight", IN_LAYERS + "norms_function_equals_torchs", ignored("bias")),
    student("eps added to the deviation", "layers:_standardise", "np.sqrt(_mean(centred * centred) + eps)", "np.sqrt(_mean(centred * centred)) + eps", IN_LAYERS + "norms_function_equals_torchs", said("eps outside the root")),
    student("divided by the variance", "layers:_standardise", "centred / deviation, deviation", "centred / deviation**2, deviation", IN_LAYERS + "norms_function_equals_torchs", "You divide by the variance, and rows do not get variance 1. What is it the square of?"),
    student("one mean for all rows", "layers:_standardise", "x - _mean(x)", "x - x.mean()", IN_LAYERS + "norms_function_equals_torchs", "Your mean is one number for the whole array. Each row is normalised by itself."),
    student("norm's gradient not divided", "layers:layer_norm_backward", "(d_normalised - _mean(d_normalised) - normalised * along) / deviation", "d_normalised - _mean(d_normalised) - normalised * along", IN_LAYERS + "layer_equals_torchs", "Your gradient of x is off by a factor that differs from row to row. The forward divided by something."),
    student("weight's gradient from x", "layers:layer_norm_backward", "(d_out * normalised).sum", "(d_out * x).sum", IN_LAYERS + "layer_equals_torchs", "Your gradient of the weight takes x as it came in. What did the weight multiply?"),
    student("mean of the rows' gradients", "layers:layer_norm_backward", "sum(axis=rows), d_out.sum(axis=rows)", "mean(axis=rows), d_out.mean(axis=rows)", IN_LAYERS + "layer_equals_torchs", "Your gradients of weight and bias are means over the rows. What served every row collects from every row."),
    student("probability without its logarithm", "loss:cross_entropy", "picked = logits", "return -softmax(logits)[np.arange(len(targets)), targets].mean()\n    picked = logits", IN_LOSS + "cross_entropy_equals_torchs", "Your loss is made of probabilities. Surprise is measured by their logarithm."),
    student("smoothing ignored", "loss:cross_entropy", "expected = (1 - smoothing) * picked", "return (log_sum_exp(logits) - picked).mean()", IN_LOSS + "cross_entropy_equals_torchs", ignored("smoothing")),
    student("loss in bits", "loss:cross_entropy", "expected).mean()", "expected).mean() / np.log(2)", IN_LOSS + "cross_entropy_equals_torchs", "Your loss is in bits. It is asked for in nats."),
    student("large logits overflow", "loss:cross_entropy", "log_sum_exp(logits)", "np.log(np.exp(logits).sum(axis=-1))", IN_LOSS + "large_logits_stay_in_range", LARGE),
    student("target not taken off", "loss:cross_entropy_backward", "d_logits[np.arange(len(targets), like=targets), targets] -= 1 - smoothing", "pass", IN_LOSS + "gradient_equals_central_differences", "Your gradient does not know the targets. How probable should each of them have been?"),
    student("loss's gradient upside down", "loss:cross_entropy_backward", "(d_logits * (d_loss", "(-d_logits * (d_loss", IN_LOSS + "gradient_equals_central_differences", "Your gradient has the opposite sign. A higher logit of the target should lower the loss."),
    student("uphill", "optimizer:AdamW._update", "parameter.data -= rate", "parameter.data += rate", IN_OPTIMIZER + "adamw_by_hand", "Your weights move along the gradient. That makes the loss larger."),
    student("no decay", "optimizer:AdamW._update", "parameter.data *= 1 - rate * self.weight_decay", "pass", IN_OPTIMIZER + "adamw_by_hand", ignored("weight_decay")),
    student("the whole gradient in the mean", "optimizer:AdamW._update", "(1 - beta_1) * (gradient - mean)", "gradient - (1 - beta_1) * mean", IN_OPTIMIZER + "adamw_by_hand", "Your running mean takes in each gradient whole, and grows too large. What share has the newest one?"),
    student("steps not counted", "optimizer:AdamW.step", "self.steps += 1", "pass", IN_OPTIMIZER + "adamw_by_hand", "Your steps are not counted. The correction of the running means needs their number."),
    # flash attention and merging
    student("flash without the scale", f"{TILES}:_rule", "scale_or_default(scale, q)", "(1.0 if scale is None else scale)", IN_FLASH + "lengths_around_tile_edges", NO_SCALE),
    student("flash scaled by 1/D", f"{TILES}:_rule", "scale_or_default(scale, q)", "(1 / q.shape[-1] if scale is None else scale)", IN_FLASH + "lengths_around_tile_edges", ONE_OVER_D),
    student("flash ignores causal", f"{TILES}:_rule", "right = 0 if causal else right", "pass", IN_FLASH + "queries_before_the_first_key", ignored("causal")),
    student("flash without a running maximum", f"{TILES}:_attend", "shift = np.where(np.isfinite(largest), largest, 0)", "shift = largest = np.zeros_like(largest)", IN_FLASH + "scores_of_any_size", "Your scores go into exp as they are, and large ones overflow. What is the running maximum for?"),
    student("a query without a key is NaN", f"{TILES}:_attend", "np.where(empty, 1, total)", "total * 1.0", IN_FLASH + "queries_before_the_first_key", said("NaN in a hidden row")),
    student("flash gradient without the scale", f"{TILES}:_attend_backward", "d_scores * rule.scale", "d_scores * 1.0", IN_FLASH + "lengths_around_tile_edges", said("gradient without the scale")),
    student("d_v of the last queries alone", f"{TILES}:_attend_backward", "d_v[..., keys, :] +=", "d_v[..., keys, :] =", IN_FLASH + "lengths_around_tile_edges", "Your gradient of the values is that of the last block of queries. Every block adds its share."),
    student("shares of the logarithms", "merge:merge_attention", "softmax(lses, axis=0)", "(lses / lses.sum(axis=0))", IN_MERGE + "three_sets_of_keys_in_any_order", "Your shares are those of the lse themselves. An lse is a logarithm: of what?"),
    student("logarithms added", "merge:merge_attention", "log_sum_exp(lses, axis=0)", "lses.sum(axis=0)", IN_MERGE + "three_sets_of_keys_in_any_order", "Your merged lse is a sum of logarithms. What should be added are the sums behind them."),
    student("nothing visible is NaN", "merge:merge_attention", "softmax(lses, axis=0)", "np.exp(lses - log_sum_exp(lses, axis=0))", IN_MERGE + "rows_without_a_key", said("NaN in a hidden row")),
    # recurrent, decoding
    student("candidate between 0 and 1", "recurrent:gru_step", "np.tanh(", "sigmoid(", IN_GRU + "a_step_equals_torchs_cell", "Your candidate is squeezed between 0 and 1. A state may be negative: which non-linearity does it take?"),
    student("state's bias forgotten", "recurrent:gru_step", "state @ weight.T + bias", "state @ weight.T", IN_GRU + "a_step_equals_torchs_cell", ignored("bias")),
    student("query times key", "recurrent_scores:additive_scores", "query[:, None, :] + keys", "query[:, None, :] * keys", FORMULAS, "You multiply query and key. This score is called additive."),
    student("query ignored", "recurrent_scores:additive_scores", "query[:, None, :] + keys", "0 * query[:, None, :] + keys", FORMULAS, ignored("query")),
    student("no length penalty", "common.decoding.search:_Beams._end", "scores / self.penalty(self.length)", "scores", "decoding/test_search.py::test_a_narrow_beam_finds_what_the_definition_says", ignored("length_penalty")),
]  # fmt: skip
