"""Mutants of the recurrent part: where each wrong formula goes, what it replaces, the test that must fail."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def gru(name, function, old, new, test, stage="step01_numpy", says=""):
    killer = f"tests/models/test_recurrent.py::{test}"
    return Mutant(name, f"{stage}.recurrent:{function}", old, new, killer, says)


def attention(name, target, old, new, test, stage="step01_numpy", says=""):
    killer = f"tests/models/test_recurrent_attention.py::{test}"
    return Mutant(name, f"{stage}.{target}", old, new, killer, says)


def translator(name, function, old, new, test, stage="step01_numpy"):
    return Mutant(
        name,
        f"{stage}.recurrent_translator:{function}",
        old,
        new,
        f"tests/models/test_recurrent_translator.py::{test}",
    )


def shown(name, target, old, new, test):
    return Mutant(
        name, f"step01_numpy.common.{target}", old, new, f"tests/commands/test_alignment.py::{test}"
    )


STEP, SEQUENCE, PACKED = (
    "test_a_step_equals_torchs_cell",
    "test_a_sequence_equals_torchs",
    "test_both_directions_equal_torchs_with_packed_padding",
)
FORMULAS, DIFFERENCES = (
    "test_context_and_weights_equal_the_papers_formulas",
    "test_gradients_equal_central_differences",
)
SEEN = "test_it_is_what_the_models_decoder_saw_step_by_step"
STAGES = "test_logits_and_every_gradient_equal_another_stages"
RECURRENT = [
    gru("update gate the wrong way round", "gru_step", "(1 - update) * candidate + update * state", "update * candidate + (1 - update) * state", STEP, says="Your update gate works the wrong way round: where it is 1 the old state should stay."),
    gru("reset gate forgotten", "gru_step", "reset * recalled", "recalled", STEP, says="Your reset gate does nothing. What does it act on before the new candidate is made?"),
    gru("reset before the product, as in Cho et al.", "gru_step", "reset * recalled", "((reset * state) @ weight.T + bias)[:, 2 * d :]", STEP, says="Your reset gate acts on the state before the product, as in the paper of 2014. Here, as in PyTorch, it acts on what the product offers."),
    gru("reset and update exchanged", "gru_step", "gate[:, :d], gate[:, d:]", "gate[:, d:], gate[:, :d]", STEP, says="Your reset and update gates have exchanged their places. The order is r, z, n."),
    gru("state's own gradient forgotten", "gru_step_backward", "d_new * update + d_hidden", "d_hidden", STEP),
    gru("gradient of the reset gate forgotten", "gru_step_backward", "d_sum * recalled", "0 * recalled", STEP),
    gru("reset missing in the gradient", "gru_step_backward", "d_sum * reset]", "d_sum]", STEP),
    gru("time cut off in the backward", "GRU.backward", "d_states[:, t] + d_state", "d_states[:, t]", SEQUENCE),
    gru("backward in the forward's order", "GRU.backward", "in reversed(self._order(len(self.saved)))", "in self._order(len(self.saved))", SEQUENCE),
    gru("never reversed", "GRU._order", "if self.reverse", "if False", SEQUENCE),
    gru("padding resets instead of standing still", "stand_still", "np.inf", "-np.inf", "test_at_padding_the_state_stands_still_and_hands_on_what_it_is_given"),
    gru("padding read", "stand_still", "still = ~", "still = False & ", "test_what_stands_at_padding_is_not_seen"),
    gru("both directions' last states taken at the end", "summary", "annotations[:, 0, half:]", "annotations[:, -1, half:]", "test_summary_is_each_directions_last_state"),
    gru("reset gate forgotten in step02", "gru_step", "torch.addcmul(x, reset, recalled)", "(x + recalled)", STEP, "step02_torch"),
    gru("reversed states left reversed in step02", "GRU.forward", "states[::-1] if self.reverse else states", "states", SEQUENCE, "step02_torch"),
    attention("additive without tanh", "recurrent_scores:additive_scores", "np.tanh(activation, out=activation)", "pass", FORMULAS, says="Your scores are those of a sum, without the non-linearity between. Look at the formula in the docstring."),
    attention("additive score's tanh without the square", "recurrent_scores:additive_scores_backward", "1 - activation * activation", "1 - abs(activation)", DIFFERENCES),
    attention("general with W transposed", "recurrent_scores:GeneralScore.keys", "self.w_h(annotations)", "annotations @ self.w_h.weight.data", FORMULAS),
    attention("dot scaled", "recurrent_scores:dot_scores", "[:, :, 0]", "[:, :, 0] * keys.shape[-1] ** -0.5", "test_dot_is_scaled_dot_product_attention_without_the_scale"),
    attention("concat [h; s]", "recurrent_scores:ConcatScore._halves", "weight[:, : self.d_hidden], weight[:, self.d_hidden :]", "weight[:, self.d_hidden :], weight[:, : self.d_hidden]", FORMULAS),
    attention("sentence's padding attended to", "recurrent_attention:GlobalAttention.weigh", "hide(scores, mask)", "scores", FORMULAS),
    attention("σ = D", "recurrent_attention:local_weights", "-2 / window**2", "-0.5 / window**2", FORMULAS),
    attention("no cut outside the window", "recurrent_attention:local_weights", " & (abs(distance) <= window)", "", FORMULAS),
    attention("weights made to sum to 1 after the Gaussian", "recurrent_attention:local_weights", "return soft * gaussian,", "return soft * gaussian / (soft * gaussian).sum(axis=-1, keepdims=True),", FORMULAS),
    attention("position predicted in the padded sentence", "recurrent_attention:LocalAttention.weigh", "mask.sum(axis=-1)", "(mask | True).sum(axis=-1)", FORMULAS),
    attention("no gradient to the predicted position", "recurrent_attention:local_weights_backward", "-d_distance.sum(axis=-1)", "0 * d_distance.sum(axis=-1)", DIFFERENCES),
    attention("annotations' gradient as values forgotten", "recurrent_attention:GlobalAttention.read_backward", "d_annotations + ", "", DIFFERENCES),
    attention("sentence's padding attended to in step02", "recurrent_attention:GlobalAttention.weigh", "hide(scores, mask)", "scores", FORMULAS, "step02_torch"),
    translator("context kept from the GRU", "RecurrentDecoder.forward", "inputs + linear(context, self.w_c.weight.data)", "inputs", "test_the_first_logits_equal_bahdanaus_formulas"),
    translator("gradient of what the state asks forgotten", "RecurrentDecoder._back_through_time", "d_state = d_state + d_asking", "pass", STAGES),
    translator("keys' gradient of the first step alone", "RecurrentDecoder._back_through_time", "d_keys += d_keys_t", "d_keys = d_keys_t", STAGES),
    translator("context's gradient through the GRU forgotten", "RecurrentDecoder._back_through_time", " + d_inputs[t] @ self.w_c.weight.data", "", STAGES),
    translator("first state's gradient forgotten", "RecurrentDecoder.start_backward", " + summary_backward(d_summary, annotations)", "", STAGES),
    translator("beams keep their own state", "RecurrentCache.reorder", "self.state[rows]", "self.state[: len(rows)]", "test_cached_steps_give_the_full_forwards_logits_reordered_too"),
    translator("cache's state not moved on in step02", "RecurrentDecoder.forward", "embedded, steps = self.input_dropout(embedded), []", "embedded, steps, cache = self.input_dropout(embedded), [], RecurrentCache(cache.state, cache.memory)", "test_cached_steps_give_the_full_forwards_logits_reordered_too", "step02_torch"),
    shown("alignment shown a step late", "display.alignment:alignment", "[[BOS, *found]]", "[[*found, BOS]]", SEEN),
    shown("states shown as contexts", "display.alignment:alignment", "for _, (context, *_) in steps", "for (context, *_), _ in steps", SEEN),
    shown("alignment beside other tokens", "display.alignment:with_alignment", "(operation.rows, operation.columns) == tour.labels[CROSS]", "True", "test_it_stands_behind_the_cross_attention"),
    shown("one doubt told twice", "display.alignment:with_alignment", "if doubt not in tour.doubts", "", "test_each_doubt_is_told_once_and_the_second_models_own_as_its_own"),
    shown("model without attention looks at words", "display.alignment:alignment", "asked if weights.shape[-1] == len(asked) else [SENTENCE]", "asked", "test_each_score_has_its_title"),
    shown("local attention shown as Bahdanau's", "display.alignment:titles", "config.score if config.window is None else", "config.score if True else", "test_local_attention"),
    shown("second map without its columns' labels", "display.heat_map:beside", "(line + gap) * len(matrices)", "line", "test_maps_beside_each_other"),
    shown("maps beside each other that do not fit", "display.heat_map:beside", "> width", "> 2 * width", "test_maps_beside_each_other"),
    shown("alignment beside every map of the page", "display.page:maps_data", "(kind, other) == (CROSS, ALIGNMENT)", "other == ALIGNMENT", "test_the_page_shows_it_beside_the_cross_attention"),
]  # fmt: skip
