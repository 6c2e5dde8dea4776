"""Mistakes as students make them in PyTorch: those of step01 once more, and those that only autograd sees."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants import transformers
from tests.mutants.homework import (
    ATTENTION,
    HOMEWORK,
    IN_ATTENTION,
    IN_HEADS,
    IN_LOSS,
    IN_MASKS,
    IN_MERGE,
    IN_POSITIONS,
    IN_SOFTMAX,
    LAYER,
    LSE,
    SIMPLE,
    SOFTMAX,
)
from tests.mutants.mutant import Mutant

SAYS = {x.name.removeprefix("student: "): x.says for x in HOMEWORK}


def said(name):
    """Return what another table says of the same mistake."""
    (says,) = {
        x.says
        for table in vars(transformers).values()
        if isinstance(table, list)
        for x in table
        if x.name == name
    }
    return says


def torch(name, target, old, new, killer, says=""):
    """Return a mistake; where no sentence is given it is that of the same name in step01."""
    says = says or SAYS[name]
    return Mutant(f"torch: {name}", f"step02_torch.{target}", old, new, f"tests/{killer}", says)


PLAIN, SIMPLEST = IN_ATTENTION + "plain", IN_ATTENTION + "the_simple_one_is_the_general_one_without_options"
SOFTCAP, COURSE = IN_ATTENTION + "softcap_comes_before_bias_and_mask", IN_HEADS + "the_courses_example"
ONE_HEAD, MANY = (
    IN_HEADS + "one_head_is_projection_and_torchs_attention",
    IN_HEADS + "multi_head_equals_torchs",
)
BLOCK = "models/test_transformer.py::test_block_equals_pytorchs"
GATED = "models/test_language_model.py::test_outputs_and_every_gradient_equal_another_stages"
MASKED_HEAD, CACHED = (
    IN_HEADS + "one_head_takes_a_mask",
    "house/test_examples.py::test_an_example_shows_what_comes[cache-KVCache1]",
)
TURNED = IN_POSITIONS + "rotation_by_complex_numbers"
HIDDEN = "Where nothing is visible your numbers are right and their gradients are NaN: what was NaN on the way stays so on the way back. Put something else in before softmax, not behind it."
CUT = "Your numbers are right, and a part of the way is cut off from what it was computed from: no gradient gets past it. What takes a tensor out of autograd's graph?"
AHEAD = "Where it should be causal, your positions see what comes behind them. Which keys may a position see?"
TORCH_HOMEWORK = [
    # softmax
    torch("softmax without a maximum", SOFTMAX, "wide = widen(scores)", "return scores.exp() / scores.exp().sum(dim=axis, keepdim=True)", IN_SOFTMAX + "large_scores_stay_in_range"),
    torch("softmax over the last axis", SOFTMAX, ".softmax(dim=axis)", ".softmax(dim=-1)", IN_SOFTMAX + "softmax_equals_torch"),
    torch("NaN in a hidden row", SOFTMAX, "empty = wide.detach()", "return wide.softmax(dim=axis)\n    empty = wide.detach()", IN_SOFTMAX + "hidden_row_gives_zero_weights_and_gradients", said("NaN in a hidden row")),
    torch("NaN taken out too late", SOFTMAX, "wide.masked_fill(empty, 0)", "wide", IN_SOFTMAX + "hidden_row_gives_zero_weights_and_gradients", HIDDEN),
    torch("weights without a history", SOFTMAX, ".softmax(dim=axis)", ".softmax(dim=axis).detach()", IN_SOFTMAX + "gradient_equals_central_differences", CUT),
    torch("softmax divided by a constant", SOFTMAX, "wide = widen(scores)", "e = (scores - scores.amax(dim=axis, keepdim=True).clamp(-1e300)).exp(); return e / e.sum(dim=axis, keepdim=True).detach().clamp(1e-300)", IN_SOFTMAX + "gradient_equals_central_differences", "Your weights are right and their gradient is not: to autograd the sum that you divide by is a constant. Raising one score lowers all other weights of its row."),
    torch("log-sum-exp without a maximum", LSE, "wide = widen(scores)", "return scores.exp().sum(dim=axis).log()", IN_MERGE + "large_scores_stay_in_range"),
    torch("log-sum-exp without the maximum", LSE, "largest + total.masked_fill", "total.masked_fill", IN_SOFTMAX + "log_sum_exp_equals_torch", said("log-sum-exp without the maximum")),
    torch("lse of a hidden row is finite", LSE, "lse.masked_fill(total == 0, -torch.inf)", "lse", IN_SOFTMAX + "hidden_row_gives_zero_weights_and_gradients", said("lse of a hidden row is finite")),
    # masks
    torch("causal the wrong way round", "masks:causal_mask", "key <= query", "key >= query", IN_MASKS + "causal_mask_of_a_square"),
    torch("causal without the diagonal", "masks:causal_mask", "key <= query", "key < query", IN_MASKS + "causal_mask_of_a_square", said("causal without the diagonal")),
    torch("causal from the top left", "masks:key_positions", "n_keys - n_queries if offset is None", "0 if offset is None", IN_ATTENTION + "causal_for_any_lengths", said("causal from the top left")),
    torch("window one too narrow", "masks:sliding_window_mask", "ahead >= -left", "ahead > -left", IN_MASKS + "sliding_window"),
    torch("window one too wide", "masks:sliding_window_mask", "ahead >= -left", "ahead >= -left - 1", IN_MASKS + "sliding_window", said("window one too wide")),
    torch("padding hides one key too few", "masks:padding_mask", "< lengths", "<= lengths", IN_MASKS + "padding_mask", said("padding hides one key too few")),
    torch("padding shown", "masks:padding_mask", "< lengths", ">= lengths", IN_MASKS + "padding_mask"),
    torch("inverted mask", "masks:hide", "~mask, -torch.inf", "mask, -torch.inf", IN_MASKS + "hide", said("inverted mask")),
    torch("mask of -1e9", "masks:hide", "~mask, -torch.inf", "~mask, -1e9", IN_ATTENTION + "everything_hidden_is_zero_throughout"),
    torch("hidden scores multiplied by 0", "masks:hide", "scores.masked_fill(~mask, -torch.inf)", "scores * mask", IN_ATTENTION + "mask_of_any_broadcastable_shape", said("hidden scores multiplied by 0")),
    torch("infinity times 0", "masks:hide", "scores.masked_fill(~mask, -torch.inf)", "scores + (~mask) * -torch.inf", IN_MASKS + "hide"),
    torch("scores without a history", "masks:hide", "scores.masked_fill(~mask", "scores.detach().masked_fill(~mask", IN_ATTENTION + "mask_of_any_broadcastable_shape", CUT),
    torch("masks combine with or", "masks:combine_masks", "mask & band", "mask | band", IN_MASKS + "combination_is_an_and", said("masks combine with or")),
    torch("mask forgotten beside a band", "masks:combine_masks", "band if mask is None else mask & band", "band", IN_MASKS + "combination_is_an_and", SAYS["mask ignored"]),
    # attention
    torch("simple attention without the scale", SIMPLE, "matches / sqrt(q.shape[-1])", "matches", SIMPLEST, said("simple attention without the scale")),
    torch("simple attention scaled by 1/D", SIMPLE, "sqrt(q.shape[-1])", "q.shape[-1]", SIMPLEST),
    torch("simple attention over the queries", SIMPLE, "softmax(scores)", "softmax(scores, -2)", SIMPLEST, said("simple attention over the queries")),
    torch("simple attention without softmax", SIMPLE, "softmax(scores)", "scores", SIMPLEST),
    torch("scale behind the softmax", SIMPLE, "softmax(scores)", "softmax(matches) / sqrt(q.shape[-1])", SIMPLEST),
    torch("simple weights without a history", SIMPLE, "weights = softmax(scores)", "weights = softmax(scores).detach()", SIMPLEST, CUT),
    torch("no scale", "attention:attention_scores", "scale_or_default(scale, q)", "(1.0 if scale is None else scale)", PLAIN),
    torch("scale 1/D", "attention:attention_scores", "scale_or_default(scale, q)", "(1 / q.shape[-1] if scale is None else scale)", PLAIN),
    torch("scale by the size of the values", ATTENTION, "widen(q), k, scale)", "widen(q), k, v.shape[-1] ** -0.5 if scale is None else scale)", PLAIN, said("scale by the size of the values")),
    torch("scale ignored", "attention:attention_scores", "scale_or_default(scale, q)", "scale_or_default(None, q)", IN_ATTENTION + "scale"),
    torch("softmax over queries", ATTENTION, "softmax(hide(scores, visible))", "softmax(hide(scores, visible), -2)", PLAIN, said("softmax over queries")),
    torch("mask after softmax", ATTENTION, "softmax(hide(scores, visible))", "softmax(scores) * (1 if visible is None else visible)", IN_ATTENTION + "causal_for_any_lengths", said("mask after softmax")),
    torch("softcap ignored", ATTENTION, "cap(attention_scores(widen(q), k, scale), softcap)", "attention_scores(widen(q), k, scale)", SOFTCAP),
    torch("softcap without tanh", "attention:cap", "softcap * (scores / softcap).tanh()", "scores.clamp(-softcap, softcap)", SOFTCAP, said("softcap without tanh")),
    torch("bias ignored", ATTENTION, "if bias is not None", "if False", IN_ATTENTION + "bias_with_minus_infinity"),
    torch("mask ignored", ATTENTION, "scores.shape[-2:], mask,", "scores.shape[-2:], None,", IN_ATTENTION + "mask_of_any_broadcastable_shape"),
    torch("causal ignored", ATTENTION, "causal=causal, ", "", IN_ATTENTION + "causal_for_any_lengths", AHEAD),
    torch("window ignored", ATTENTION, "window=window, ", "", IN_ATTENTION + "window"),
    torch("offset ignored by attention", ATTENTION, "offset=offset, ", "", IN_ATTENTION + "causal_offset"),
    torch("attention's weights without a history", ATTENTION, "weights = softmax(hide(scores, visible))", "weights = softmax(hide(scores, visible)).detach()", PLAIN, CUT),
    torch("heads tiled, not repeated", "attention:repeat_heads", "x.repeat_interleave(q.shape[-3] // x.shape[-3], dim=-3)", "x.repeat(*[1] * (x.ndim - 3), q.shape[-3] // x.shape[-3], 1, 1)", IN_ATTENTION + "grouped_heads", said("heads tiled, not repeated")),
    torch("one head for all", "attention:repeat_heads", "x.repeat_interleave(q.shape[-3] // x.shape[-3], dim=-3)", "x[..., :1, :, :].repeat_interleave(q.shape[-3], dim=-3)", IN_ATTENTION + "grouped_heads", "All your query heads take the first key/value head. Each of these serves its own group."),
    torch("repeated heads without a history", "attention:repeat_heads", "x.repeat_interleave", "x.detach().repeat_interleave", IN_ATTENTION + "grouped_heads", CUT),
    # one head
    torch("queries and keys exchanged", "self_attention:SelfAttention.forward", "self.attend(q, k, v, mask)", "self.attend(k, q, v, mask)", COURSE, "Your queries and keys have exchanged their places. Which of them asks?"),
    torch("self-attention's mask ignored", "self_attention:SelfAttention.forward", "q, k, v, mask)", "q, k, v)", MASKED_HEAD, SAYS["mask ignored"]),
    torch("values from the keys' weights", "self_attention:SelfAttention.forward", "self.w_v(x)", "self.w_k(x)", COURSE, said("values from the keys' weights")),
    torch("self-attention without values", "self_attention:SelfAttention.forward", "self.attend(q, k, v, mask)", "self.attend(q, k, x, mask)", COURSE, "Your values are the rows as they came in. Values are a view of them as queries and keys are."),
    torch("self-attention looks ahead", "masked_attention:MaskedSelfAttention.forward", ", causal=True", "", COURSE, AHEAD),
    torch("masked attention's mask ignored", "masked_attention:MaskedSelfAttention.forward", "q, k, v, mask,", "q, k, v, None,", MASKED_HEAD, SAYS["mask ignored"]),
    torch("masked queries and keys exchanged", "masked_attention:MaskedSelfAttention.forward", "self.attend(q, k, v,", "self.attend(k, q, v,", COURSE, "Your queries and keys have exchanged their places. Which of them asks?"),
    torch("keys from x in cross-attention", "cross_attention:CrossAttention.forward", "self.w_k(context), self.w_v(context)", "self.w_k(x), self.w_v(x)", ONE_HEAD, said("context ignored")),
    torch("queries from the context", "cross_attention:CrossAttention.forward", "self.w_q(x), self.w_k(context), self.w_v(context)", "self.w_q(context), self.w_k(x), self.w_v(x)", ONE_HEAD, "Your queries come from the context, and what you attend to from x. Which of the two sequences asks?"),
    torch("cross-attention's mask ignored", "cross_attention:CrossAttention.forward", "q, k, v, mask)", "q, k, v)", MASKED_HEAD, SAYS["mask ignored"]),
    torch("context without a history", "cross_attention:CrossAttention.forward", "self.w_k(context), self.w_v(context)", "self.w_k(context.detach()), self.w_v(context.detach())", ONE_HEAD, "No gradient gets back to your context: the encoder behind it would learn nothing. What takes a tensor out of autograd's graph?"),
    # many heads
    torch("view without transpose", "multi_head_attention:split_heads", "x.reshape(batch, length, n_heads, -1).swapaxes(1, 2)", "x.reshape(batch, n_heads, length, -1)", MANY, said("view without transpose")),
    torch("every H-th column", "multi_head_attention:split_heads", "x.reshape(batch, length, n_heads, -1).swapaxes(1, 2)", "x.reshape(batch, length, -1, n_heads).permute(0, 3, 1, 2)", MANY),
    torch("merge without transpose", "multi_head_attention:merge_heads", "x.swapaxes(1, 2).reshape", "x.reshape", MANY, said("merge without transpose")),
    torch("columns merged in turn", "multi_head_attention:merge_heads", "x.swapaxes(1, 2).reshape", "x.permute(0, 2, 3, 1).reshape", MANY),
    torch("no output projection", f"{LAYER}.forward", "self.w_o(merge_heads(out))", "merge_heads(out)", MANY, said("no output projection")),
    torch("layer's mask ignored", f"{LAYER}.forward", "self.attend(q, k, v, mask, **options)", "self.attend(q, k, v, None, **options)", MANY),
    torch("layer's causal ignored", f"{LAYER}.forward", '"causal": causal', '"causal": False', IN_HEADS + "causal_multi_head_equals_torchs", AHEAD),
    torch("context ignored", f"{LAYER}._project", "if context is None else", "if True else", MANY, said("context ignored")),
    torch("layer's rotary ignored", f"{LAYER}._project", "if self.rotary is not None", "if False", GATED),
    torch("values turned", f"{LAYER}._project", "return (q, k, v) if cache is None", "return (q, k, v if self.rotary is None else self.rotary.forward(v, positions)) if cache is None", GATED),
    torch("keys not turned", f"{LAYER}._project", "self.rotary.forward(k, positions)", "k", GATED),
    torch("given positions ignored", f"{LAYER}.forward", "self._positions(x, cache) if positions is None else positions", "self._positions(x, cache)", IN_HEADS + "rows_that_change_places_with_their_positions_keep_their_results"),
    # cache and positions
    torch("cached keys forgotten", "cache:KVCache.append", "torch.cat([self.keys, k], dim=-2)", "k", CACHED, said("cached keys forgotten")),
    torch("cache returns what it keeps", "cache:KVCache.append", "return k, v", "return self.keys, self.values", CACHED),
    torch("limit ignored", "cache:KVCache.append", "0 if self.limit is None else max(0, k.shape[-2] - self.limit)", "0", CACHED),
    torch("length of the newest", "cache:KVCache.append", "self.length += k.shape[-2]", "self.length = k.shape[-2]", CACHED),
    torch("oldest kept", "cache:KVCache.append", "k[..., first:, :], v[..., first:, :]", "k[..., : k.shape[-2] - first, :], v[..., : k.shape[-2] - first, :]", CACHED),
    torch("newest first", "cache:KVCache.append", "[self.keys, k], dim=-2)\n        v = torch.cat([self.values, v]", "[k, self.keys], dim=-2)\n        v = torch.cat([v, self.values]", CACHED),
    torch("rotation with a sign lost", "rotary:rotate", "a * cos - b * sin", "a * cos + b * sin", TURNED, said("rotation with a sign lost")),
    torch("turned the other way", "rotary:rotate", "a * cos - b * sin, a * sin + b * cos", "a * cos + b * sin, b * cos - a * sin", TURNED),
    torch("pairs mixed up", "rotary:_pairs", "if interleaved", "if not interleaved", TURNED, said("pairs mixed up")),
    torch("pairs put together in halves", "rotary:_join", "if interleaved", "if False", TURNED),
    # around attention
    torch("no activation", "feed_forward:FeedForward.forward", "self.activate(hidden)", "hidden", BLOCK, "Your feed-forward is one linear map in two steps. What stands between them?"),
    torch("gate ignored", "feed_forward:FeedForward.forward", "active if gate is None else active * gate", "active", GATED, "Your gate changes nothing. Where there is one it weighs what the activation lets pass."),
    torch("gate added", "feed_forward:FeedForward.forward", "active * gate", "active + gate", GATED, "You add the gate. A gate weighs: it lets a number pass, or not."),
    torch("gate activated instead", "feed_forward:FeedForward.forward", "active = self.activate(hidden)", "hidden, gate = (hidden, None) if gate is None else (gate, hidden)\n    active = self.activate(hidden)", GATED, "The activation acts on your gate, and should act on the other half."),
    torch("no way around", "blocks:Residual.forward", "x + self.dropout", "self.dropout", BLOCK, "What goes around the sublayer is missing in your result. What does a residual add to what?"),
    torch("way around from the norm", "blocks:Residual.forward", "return x + self.dropout(out", "return self.norm(x) + self.dropout(out", BLOCK, "With the norm first, normed rows go around your sublayer. What goes around it is left as it is."),
    torch("norm always first", "blocks:Residual.forward", "if self.norm_first", "if True", BLOCK, SAYS["causal ignored"].replace("causal", "norm_first")),
    torch("norm before the sum", "blocks:Residual.forward", "self.norm(x + self.dropout(sublayer(x)))", "x + self.norm(self.dropout(sublayer(x)))", BLOCK, "With the norm last, you norm what the sublayer returns and add afterwards. Norm the sum."),
    torch("second norm ignored", "blocks:Residual.forward", "out if self.norm_after is None else self.norm_after(out)", "out", GATED, SAYS["causal ignored"].replace("causal", "norm_after")),
    torch("probability without its logarithm", "loss:cross_entropy", "picked = logits", "return -logits.softmax(-1)[torch.arange(len(targets)), targets].mean()\n    picked = logits", IN_LOSS + "cross_entropy_equals_torchs"),
    torch("smoothing ignored", "loss:cross_entropy", "if smoothing:", "expected = picked\n    if False:", IN_LOSS + "cross_entropy_equals_torchs"),
    torch("loss in bits", "loss:cross_entropy", "expected).mean()", "expected).mean() / torch.log(torch.tensor(2.0, dtype=logits.dtype))", IN_LOSS + "cross_entropy_equals_torchs"),
    torch("large logits overflow", "loss:cross_entropy", "log_sum_exp(logits)", "logits.exp().sum(dim=-1).log()", IN_LOSS + "large_logits_stay_in_range"),
    torch("sum over the rows", "loss:cross_entropy", "expected).mean()", "expected).sum()", IN_LOSS + "cross_entropy_equals_torchs", "Your loss grows with the number of rows. It is asked for a token: what is taken over the rows?"),
    torch("loss as a number", "loss:cross_entropy", "return (log_sum_exp(logits) - expected).mean()", "return torch.tensor((log_sum_exp(logits) - expected).mean().item(), dtype=logits.dtype)", IN_LOSS + "cross_entropy_equals_torchs", "Your loss is a number without a history, and no gradient starts from it. Which calls turn a tensor into a number of Python's?"),
]  # fmt: skip
