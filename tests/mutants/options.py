"""Mutants of what is asked of arguments: options, what a backward is handed, and numbers at the edge."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant

SUPPORT = "step01_numpy.common.support"


def options(name, function, old, new, test):
    return Mutant(name, f"{SUPPORT}.options:{function}", old, new, f"tests/attention/test_options.py::{test}")


def handed(name, target, old, new, test="test_a_backward_trusts_nothing"):
    return Mutant(name, target, old, new, f"tests/attention/test_gradients_given.py::{test}")


def edge(name, target, old, new, test):
    return Mutant(name, target, old, new, f"tests/{test}")


OPTIONS = [
    options("NumPy's integers as they are", "plain", "int(value)", "value", "test_numbers_of_any_kind_are_pythons"),
    options("NumPy's soft cap as it is", "softcap", "return float(value)", "return value", "test_numbers_of_any_kind_are_pythons"),
    options("far positions as they are", "band", ">= FAR", "> 10**99", "test_masks_of_far_positions"),
    options("a far offset moved without its window", "band", "near(own) - near(own - left)", "min(left, n_queries + n_keys)", "test_masks_of_far_positions"),
    options("an integer of hundreds of digits", "is_finite", "except OverflowError", "except KeyError", "test_what_is_no_such_number"),
    options("an endless soft cap", "softcap", "is_finite(value) and smallest <= float(value) < largest", "True", "test_what_is_no_such_number"),
    options("a soft cap below every quotient", "softcap", "smallest <= float", "0 <= float", "test_what_the_dtype_cannot_hold"),
    options("a scale beyond the dtype", "scale", ">= largest", "> 10**999", "test_what_the_dtype_cannot_hold"),
    options("True is a number", "is_number", " and not isinstance(x, bool)", "", "test_what_is_no_such_number"),
    edge("floats of 8 bits", f"{SUPPORT}.checks:floating", "x.dtype.itemsize < 2", "False", "attention/test_options.py::test_floats_of_8_bits_are_refused"),
    edge("a cache's limit as it is", "step01_numpy.cache:KVCache.__init__", 'options.integer("limit", limit)', "limit", "attention/test_options.py::test_a_cache_takes_a_limit_of_any_kind"),
    handed("a gradient that broadcasts", f"{SUPPORT}.gradients:array", "tuple(x.shape) != tuple(shape)", "False"),
    handed("a gradient of another dtype", f"{SUPPORT}.gradients:array", "dtype_name(x.dtype) != dtype_name(dtype)", "False"),
    handed("lse in 16 bits", f"{SUPPORT}.gradients:attention", "sum_dtype(q)", "q.dtype", "test_lse_of_16_bits_is_in_float32"),
    handed("heads regrouped", f"{SUPPORT}.gradients:grouped", "own[:-1] != tuple(heads[:-1])", "False", "test_heads_that_were_not_repeated"),
    handed("step02's backward trusts its lse", "step02_torch.flash_attention:flash_attention_backward", ", lse=lse", ""),
    edge("0 times a logit of -inf", "step01_numpy.loss:cross_entropy", "if smoothing:", "if True:", "training/test_loss.py::test_a_logit_of_minus_infinity_equals_torchs"),
    edge("0 times a logit of -inf in step02", "step02_torch.loss:cross_entropy", "if smoothing:", "if True:", "training/test_loss.py::test_a_logit_of_minus_infinity_equals_torchs"),
    edge("smoothing widens the loss", f"{SUPPORT}.checks:rate", "return float(value)", "return value", "training/test_loss.py::test_options_of_numpys_leave_the_dtype_alone"),
    edge("a sigmoid by tanh", "step01_numpy.feed_forward:sigmoid", "1 / (1 + np.exp(-x))", "0.5 * np.tanh(0.5 * x) + 0.5", "models/test_layers.py::test_activation_keeps_its_dtype_and_its_digits"),
    edge("squares of 16 bits", "step01_numpy.feed_forward:gelu_tanh_backward", "np.clip(x, -20, 20)", "x.astype(np.float16)", "models/test_layers.py::test_activation_keeps_its_dtype_and_its_digits"),
]  # fmt: skip
