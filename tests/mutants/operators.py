"""Mutants of the kernels' operators in PyTorch."""

from tests.mutants.mutant import Mutant


def operator(name, function, old, new, test):
    return Mutant(
        name, f"step03_gpu.tensors.operators:{function}", old, new, f"tests/kernels/test_operators.py::{test}"
    )


OPERATORS = [
    operator(
        "an operator forgets the window",
        "_options",
        "(left, right) if windowed else None",
        "None",
        "test_equals_step02",
    ),
    operator(
        "an operator's backward takes d_out for out",
        "_differentiate",
        "v, out, lse, mask, *ctx.rule",
        "v, d_out, lse, mask, *ctx.rule",
        "test_equals_step02",
    ),
    operator(
        "autocast to one dtype only",
        "_autocast",
        "torch.get_autocast_dtype(kind)",
        "torch.float16",
        "test_autocast_rounds_what_attention_is_given",
    ),
    operator(
        "causal from the top left in SDPA", "sdpa", "causal and square", "causal", "test_each_backend_pinned"
    ),
    operator(
        "what no kernel covers is handed to one",
        "covered",
        "bias is None and softcap is None",
        "True",
        "test_what_a_gpu_is_given",
    ),
]
