"""Mutants of what users of PyTorch expect of step02 beside its numbers."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def torch(name, target, old, new, test):
    return Mutant(name, f"step02_torch.{target}", old, new, f"tests/{test}")


ATTENTION, MODELS = "attention/test_torch_behaviour.py::test_", "models/test_torch_behaviour.py::test_"
TORCH = [
    torch("softmax reads what cannot be read", "softmax:softmax", "is_known(empty) and ", "", ATTENTION + "transforms_of_functions"),
    torch("flash's gradients without a history", "flash_attention:_FlashAttention.backward", "torch.is_grad_enabled()", "False", ATTENTION + "a_gradient_penalty_equals_torchs"),
    torch("flash's mask forgotten in second derivatives", "flash_attention:_at_once", "_, scores = rule", "scores, _ = rule", ATTENTION + "a_gradient_penalty_equals_torchs"),
    torch("the loss's gradients without a history", "loss:_LinearCrossEntropy.backward", "torch.is_grad_enabled()", "False", MODELS + "a_gradient_penalty_on_the_loss_equals_torchs"),
    torch("autocast inside attention", "arrays:_autocast_dtype", "torch.get_autocast_dtype(kind) if on else None", "None", ATTENTION + "mixed_dtypes_under_autocast"),
    torch("bias widens the scores", "attention:scaled_dot_product_attention", "bias.detach().to(scores.dtype)", "bias.detach()", ATTENTION + "bias_of_any_floating_dtype"),
    torch("tokens keep their dtype", "arrays:as_tokens", "return x.long()", "return x", MODELS + "lookups_of_any_integer_dtype"),
    torch("rows as a mask", "cache:KVCache.reorder", "rows.long()", "rows", MODELS + "tokens_of_any_integer_dtype"),
    torch("weights drawn in float32 always", "parameters:_weight", "torch.get_default_dtype()", "torch.float32", MODELS + "default_dtype"),
    torch("weights of a file lost on meta", "parameters:Layer.load_state_dict", "own[name].dtype if own[name].is_meta else own[name]", "own[name]", MODELS + "shapes_alone_on_meta"),
    torch("no length too long while compiled", "blocks:PositionalInput.forward", "else embedded.shape[1]", "else 0", MODELS + "a_text_that_is_too_long_is_refused_while_compiled"),
]  # fmt: skip
