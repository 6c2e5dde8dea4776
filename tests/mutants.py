"""
Mutants: the classic wrong formulas of attention, each put into the code and killed by a named test.

`python -m tests.mutants` prints the table; it exits with 1 if one survives. A number or a word after it runs
only the mutants whose line holds it.
"""

import contextlib
import inspect
import io
import sys
import textwrap
from importlib import import_module
from typing import NamedTuple

import pytest


class Mutant(NamedTuple):
    """A wrong formula: where it goes, what it replaces, and the test that must fail."""

    name: str
    target: str
    old: str
    new: str
    killer: str


def attention(name, old, new, test, function="scaled_dot_product_attention", stage="step01_numpy"):
    return Mutant(name, f"{stage}.attention:{function}", old, new, f"tests/test_attention.py::{test}")


def flash(name, old, new, test, function="flash_attention"):
    return Mutant(name, f"step03_gpu.flash_attention:{function}", old, new, f"tests/{test}")


def heads(name, old, new, test, method="forward", stage="step01_numpy"):
    target = f"{stage}.multi_head_attention:{method}"
    return Mutant(name, target, old, new, f"tests/test_heads.py::{test}")


SCALE = "1 / sqrt(q.shape[-1])"
ATTENTION = [
    attention("no scale", SCALE, "1.0", "test_default_scale_is_one_over_root_of_head_size", "scale_or_default"),
    attention("scale 1/D", SCALE, "1 / q.shape[-1]", "test_plain", "scale_or_default"),
    attention("scale by key length", "scale_or_default(scale, q)", "k.shape[-2] ** -0.5", "test_plain", "attention_scores"),
    attention("softmax over queries", "softmax(hide(scores, visible))", "softmax(hide(scores, visible), -2)", "test_plain"),
    attention(
        "mask after softmax", "softmax(hide(scores, visible))", "np.where(visible, softmax(scores), 0)", "test_causal_for_any_lengths"
    ),
    attention("softcap after the mask", "softmax(hide(scores, visible))", "softmax(cap(hide(scores, visible), softcap))", "test_softcap_comes_before_bias_and_mask"),
    attention("bias before the softcap", "scores + widen(bias)", "cap(scores + widen(bias), softcap)", "test_softcap_comes_before_bias_and_mask"),
    attention("softcap without tanh", "softcap * np.tanh(scores / softcap)", "np.clip(scores, -softcap, softcap)", "test_softcap_comes_before_bias_and_mask", "cap"),
    attention("heads tiled, not repeated", "np.repeat(x, q.shape[-3] // x.shape[-3], axis=-3)", "np.concatenate([x] * (q.shape[-3] // x.shape[-3]), axis=-3)", "test_grouped_heads", "repeat_heads"),
    attention("groups summed crosswise", "reshape(*heads, -1, *d_x.shape[-2:]).sum(axis=-3)", "reshape(*heads[:-1], -1, heads[-1], *d_x.shape[-2:]).sum(axis=-4)", "test_grouped_heads", "repeat_heads_backward"),
    attention("gradient without the row sum", "d_weights - row_sum", "d_weights", "test_plain", "attention_backward"),
    attention("row sum over queries", "sum(axis=-1, keepdims=True)", "sum(axis=-2, keepdims=True).swapaxes(-1, -2)[..., :1, :]", "test_plain", "attention_backward"),
    attention("gradient without the scale", "d_scores * scale_or_default(scale, q)", "d_scores * 1.0", "test_scale", "attention_backward"),
    attention("d_v without transpose", "weights.swapaxes(-1, -2) @ d_out", "np.resize(weights, (*v.shape[:-1], q.shape[-2])) @ d_out", "test_plain", "attention_backward"),
    attention("gradient forgets the softcap", "if softcap is not None", "if False", "test_gradients_equal_central_differences", "attention_backward"),
    attention("tanh's derivative without the square", "np.tanh(scores / softcap) ** 2", "np.abs(np.tanh(scores / softcap))", "test_gradients_equal_central_differences", "cap_backward"),
    attention("dtype lost in 16 bits", "weights.astype(q.dtype, copy=False)", "weights", "test_lower_precision"),
    attention("16-bit sums", "repeat_heads(widen(k), q), repeat_heads(widen(v), q)", "repeat_heads(k, q), repeat_heads(v, q)", "test_lower_precision"),
    attention("no scale in step02", SCALE, "1.0", "test_plain", "scale_or_default", "step02_torch"),
    attention("causal forgotten in step02", "causal=causal, ", "", "test_causal_for_any_lengths", stage="step02_torch"),
    attention("heads tiled in step02", "x.repeat_interleave(q.shape[-3] // x.shape[-3], dim=-3)", "x.repeat(*[1] * (x.ndim - 3), q.shape[-3] // x.shape[-3], 1, 1)", "test_grouped_heads", "repeat_heads", "step02_torch"),
    attention("gradient without the row sum in step03", "d_scores -= (d_out * out).sum(axis=-1, keepdims=True)", "pass", "test_plain", "attention_backward", "step03_gpu"),
]  # fmt: skip

SOFTMAX = [
    Mutant("no maximum subtracted", "step01_numpy.softmax:_exp_and_sum", "np.where(np.isfinite(largest), largest, 0)", "largest * 0", "tests/test_softmax.py::test_large_scores_stay_in_range"),
    Mutant("NaN in a hidden row", "step01_numpy.softmax:softmax", "np.where(total == 0, 1, total)", "total", "tests/test_softmax.py::test_hidden_row_gives_zero_weights_and_gradients"),
    Mutant("softmax's gradient as a sigmoid's", "step01_numpy.softmax:softmax_backward", "(d_weights - row_sum)", "d_weights * (1 - wide)", "tests/test_softmax.py::test_gradient_equals_central_differences"),
    Mutant("row sum along the wrong axis", "step01_numpy.softmax:softmax_backward", "sum(axis=axis", "sum(axis=-2", "tests/test_softmax.py::test_gradient_equals_central_differences"),
    Mutant("log-sum-exp without the maximum", "step01_numpy.softmax:log_sum_exp", "largest + np.log", "np.log", "tests/test_softmax.py::test_log_sum_exp_equals_torch"),
    Mutant("lse of a hidden row is finite", "step01_numpy.softmax:log_sum_exp", "np.where(empty, -np.inf, lse)", "lse", "tests/test_softmax.py::test_hidden_row_gives_zero_weights_and_gradients"),
    Mutant("NaN in step02's hidden row", "step02_torch.softmax:softmax", "total.masked_fill(total == 0, 1)", "total", "tests/test_softmax.py::test_hidden_row_gives_zero_weights_and_gradients"),
]  # fmt: skip

MASKS = [
    Mutant("mask of -1e4", "step01_numpy.masks:hide", "-np.inf", "-1e4", "tests/test_attention.py::test_everything_hidden_is_zero_throughout"),
    Mutant("inverted mask", "step01_numpy.masks:hide", "np.where(mask, scores, -np.inf)", "np.where(mask, -np.inf, scores)", "tests/test_masks.py::test_hide"),
    Mutant("hidden scores multiplied by 0", "step01_numpy.masks:hide", "np.where(mask, scores, -np.inf)", "scores * mask", "tests/test_attention.py::test_mask_of_any_broadcastable_shape"),
    Mutant("causal without the diagonal", "step01_numpy.masks:sliding_window_mask", "key <= query + right", "key < query + right", "tests/test_masks.py::test_causal_mask_of_a_square"),
    Mutant("causal from the top left", "step01_numpy.masks:key_positions", "n_keys - n_queries if offset is None", "0 if offset is None", "tests/test_attention.py::test_causal_for_any_lengths"),
    Mutant("window one too wide", "step01_numpy.masks:sliding_window_mask", "key >= query - left", "key >= query - left - 1", "tests/test_masks.py::test_sliding_window"),
    Mutant("masks combine with or", "step01_numpy.masks:combine_masks", "mask & band", "mask | band", "tests/test_masks.py::test_combination_is_an_and"),
    Mutant("padding hides one key too few", "step01_numpy.masks:padding_mask", "< lengths", "<= lengths", "tests/test_masks.py::test_padding_mask"),
    Mutant("inverted mask in step03", "step03_gpu.masks:hide", "xp.where(mask, scores, -xp.inf)", "xp.where(mask, -xp.inf, scores)", "tests/test_masks.py::test_hide"),
]  # fmt: skip

HEADS = [
    heads("view without transpose", "x.reshape(batch, length, n_heads, -1).swapaxes(1, 2)", "x.reshape(batch, n_heads, length, -1)", "test_multi_head_equals_torchs", "split_heads"),
    heads("merge without transpose", "x.swapaxes(1, 2).reshape", "x.reshape", "test_multi_head_equals_torchs", "merge_heads"),
    heads("scale by d_model", "mask, **options)", "mask, **options, scale=x.shape[-1] ** -0.5)", "test_multi_head_equals_torchs", "MultiHeadAttention.forward"),
    heads("no output projection", "self.w_o(merge_heads(out))", "merge_heads(out)", "test_multi_head_equals_torchs", "MultiHeadAttention.forward"),
    heads("values from the keys' weights", "self.w_v(source)", "self.w_k(source)", "test_multi_head_equals_torchs", "MultiHeadAttention._keys_and_values"),
    heads("context ignored", "x if context is None else context", "x", "test_multi_head_equals_torchs", "MultiHeadAttention._keys_and_values"),
    heads("gradient of x by the queries only", "d_x + d_context, None", "d_x, None", "test_gradients_equal_step02s", "MultiHeadAttention.backward"),
    heads("rotary not turned back", "self.rotary.backward(d, positions)", "self.rotary.forward(d, positions)", "test_gradients_equal_step02s", "MultiHeadAttention.backward"),
    heads("cached keys in the wrong order", "[self.keys, k]", "[k, self.keys]", "test_cached_decoding_equals_the_full_forward", "KVCache.append"),
    heads("cache not reordered", "self.keys[rows], self.values[rows]", "self.keys, self.values", "test_reordered_cache_continues_the_other_row", "KVCache.reorder"),
    heads("cached positions start at 0", "0 if cache is None else cache.length", "0", "test_cached_decoding_equals_the_full_forward", "MultiHeadAttention._positions"),
    Mutant("self-attention looks ahead", "step01_numpy.masked_attention:MaskedSelfAttention.forward", ", causal=True", "", "tests/test_heads.py::test_the_courses_example"),
    Mutant("keys from x in cross-attention", "step01_numpy.cross_attention:CrossAttention.forward", "self.w_k(context)", "self.w_k(context[..., ::-1, :])", "tests/test_heads.py::test_one_head_is_projection_and_torchs_attention"),
    Mutant("queries and keys swapped", "step02_torch.self_attention:SelfAttention.forward", "self.attend(q, k, v, mask)", "self.attend(k, q, v, mask)", "tests/test_heads.py::test_the_courses_example"),
    Mutant("gradients overwrite each other", "step01_numpy.parameters:Parameter.accumulate", "self.grad + gradient", "gradient", "tests/test_heads.py::test_gradients_add_up_until_they_are_forgotten"),
    Mutant("weight's gradient transposed in size", "step01_numpy.parameters:linear_backward", "d_out.T @ x.reshape(-1, x.shape[-1])", "(x.reshape(-1, x.shape[-1]).T @ d_out).reshape(weight.shape)", "tests/test_heads.py::test_multi_head_equals_torchs"),
]  # fmt: skip

POSITIONS = [
    Mutant("rotation the wrong way back", "step01_numpy.positions:rotate_backward", "-sin", "sin", "tests/test_positions.py::test_rotation_of_some_coordinates_and_its_gradient"),
    Mutant("rotation with a sign lost", "step01_numpy.positions:rotate", "a * cos - b * sin", "a * cos + b * sin", "tests/test_positions.py::test_rotation_by_complex_numbers"),
    Mutant("pairs mixed up", "step01_numpy.positions:_pairs", "if interleaved", "if not interleaved", "tests/test_positions.py::test_rotation_by_complex_numbers"),
    Mutant("one frequency for all", "step01_numpy.positions:rotary_angles", "base**exponents", "base", "tests/test_positions.py::test_sinusoids_as_in_the_paper"),
    Mutant("cosine before sine", "step01_numpy.positions:sinusoidal_positions", "[sin, cos]", "[cos, sin]", "tests/test_positions.py::test_sinusoids_as_in_the_paper"),
    Mutant("ALiBi prefers far keys", "step01_numpy.positions:alibi_bias", "-slopes", "slopes", "tests/test_positions.py::test_alibi_bias"),
    Mutant("repeated rows overwrite each other", "step01_numpy.arrays:add_rows", "np.add.at(table, indices, rows)", "table[indices] += rows", "tests/test_positions.py::test_learned_positions"),
]  # fmt: skip

FLASH = [
    flash("sum not rescaled", "total * rescale", "total", "test_flash_attention.py"),
    flash("out not rescaled", "out * rescale", "out", "test_flash_attention.py"),
    flash("NaN before the first visible key", "xp.where(largest == -xp.inf, 0, largest)", "largest", "test_attention.py::test_mask_of_any_broadcastable_shape"),
    flash("last tile lost", "range(first // TILE * TILE, end, TILE)", "range(first // TILE * TILE, end - 1, TILE)", "test_attention.py::test_plain", "_tiles"),
    flash("tile's mask not moved", "offset=offset - start", "offset=offset", "test_flash_attention.py", "_tiles"),
    flash("weights from unnormalised scores", "- finite)", "- finite * 0)", "test_attention.py::test_plain", "flash_attention_backward"),
    flash("row sum forgotten", " - row_sum)", ")", "test_attention.py::test_plain", "flash_attention_backward"),
]  # fmt: skip

MUTANTS = ATTENTION + SOFTMAX + MASKS + HEADS + POSITIONS + FLASH


@contextlib.contextmanager
def applied(mutant):
    """Put a mutant into the running code: the function keeps its identity, so everyone who uses it is hit."""
    module, path = mutant.target.split(":")
    function = import_module(module)
    function = sys.modules[module]
    for name in path.split("."):
        function = getattr(function, name)
    function = inspect.unwrap(function)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(mutant.old) >= 1, f"{mutant.name}: {mutant.target} has no {mutant.old!r}"
    scope = dict(function.__globals__)
    exec(compile(source.replace(mutant.old, mutant.new), f"<{mutant.name}>", "exec"), scope)
    original = function.__code__
    function.__code__ = inspect.unwrap(scope[function.__name__]).__code__
    try:
        yield
    finally:
        function.__code__ = original


def run(mutant):
    """Run the test that must fail, on the stage that is mutated; return pytest's exit code."""
    stage = mutant.target.split(".")[0]
    arguments = [
        mutant.killer,
        "-x",
        "-q",
        "--no-header",
        "--assert=plain",
        "-p",
        "no:cacheprovider",
        f"--stage={stage}",
    ]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return pytest.main(arguments)


def main(words):
    survivors = 0
    for mutant in MUTANTS:
        line = f"{mutant.name:42} {mutant.target:58} {mutant.killer}"
        if words and not any(word in line for word in words):
            continue
        with applied(mutant):
            code = run(mutant)
        killed = code == pytest.ExitCode.TESTS_FAILED
        survivors += not killed
        print(f"{'killed  ' if killed else f'SURVIVED ({code!r})'} {line}", flush=True)
    print(f"{survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    import tests.conftest  # noqa: F401  (installs the shape checker before the stages are imported)

    sys.exit(main(sys.argv[1:]))
