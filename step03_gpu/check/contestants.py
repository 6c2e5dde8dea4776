"""Who is measured: rungs, array operations, Triton, and PyTorch's own attention, each backend pinned."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch

from step03_gpu.attention import attention_backward, scaled_dot_product_attention
from step03_gpu.flash_attention import flash_attention, flash_attention_backward
from step03_gpu.kernels.rungs import DECODING, RUNGS
from step03_gpu.tensors.operators import BACKENDS, as_array, as_tensor, sdpa

BACKWARDS = (4, 5)  # the rungs that brought one


class Contestant(NamedTuple):
    """
    An attention that can be timed.

    Attributes
    ----------
    forward : callable
        (q, k, v, causal) -> (out, saved), of tensors (B, H, L, D).
    backward : callable
        (d_out, saved) -> (d_q, d_k, d_v).
    directions : tuple of str
        Which of the two is its own: a rung may share one with its neighbours.
    """

    forward: Callable
    backward: Callable
    directions: tuple = ("forward", "backward")


def contestants(dtype: str) -> dict[str, Contestant]:
    """Return all that take `dtype`, by name."""
    found = {f"SDPA {name}": of_sdpa(name) for name in BACKENDS}
    found["array operations"] = of_arrays(scaled_dot_product_attention, attention_backward)
    for n, rung in RUNGS.items():
        if dtype in rung.dtypes:
            flash = (partial(function, rung=n) for function in (flash_attention, flash_attention_backward))
            found[f"rung {n}"] = of_arrays(*flash)._replace(directions=_own(n))
    flash = (partial(function, rung=DECODING) for function in (flash_attention, flash_attention_backward))
    found[DECODING] = of_arrays(*flash)._replace(directions=("forward",))
    triton = _triton(dtype)
    return found if triton is None else {**found, "Triton": of_tensors(triton)}


def _own(n):
    """Count a kernel for one rung: a forward for the first that has it, a backward for who brought it."""
    first = not any(RUNGS[m].forward is RUNGS[n].forward for m in RUNGS if m < n)
    return tuple(name for name, own in (("forward", first), ("backward", n in BACKWARDS)) if own)


def of_tensors(attention):
    """Time what autograd differentiates."""

    def forward(q, k, v, causal):
        inputs = [x.detach().requires_grad_() for x in (q, k, v)]
        out = attention(*inputs, causal)
        return out.detach(), (out, inputs)

    def backward(d_out, saved):
        out, inputs = saved
        return torch.autograd.grad(out, inputs, d_out, retain_graph=True)

    return Contestant(forward, backward)


def of_arrays(attention, attention_backward):
    """Time functions of arrays on the same memory: what tensors hold is not copied."""

    def forward(q, k, v, causal):
        arrays = [as_array(x) for x in (q, k, v)]
        out, kept = attention(*arrays, causal=causal)
        return as_tensor(out), (*arrays, out, kept, causal)

    def backward(d_out, saved):
        *saved, causal = saved
        return tuple(as_tensor(x) for x in attention_backward(as_array(d_out), *saved, causal=causal))

    return Contestant(forward, backward)


def of_sdpa(backend: str) -> Contestant:
    """Time PyTorch's own attention, pinned to a backend."""
    return of_tensors(partial(_sdpa, backend))


def _sdpa(backend, q, k, v, causal):
    return sdpa(backend, q, k, v, causal=causal)


def _triton(dtype):
    try:
        from step03_gpu.tensors.triton_attention import INTERPRETED, triton_attention
    except ImportError:
        return None
    if INTERPRETED and dtype == "bfloat16":
        return _wrongly_interpreted
    return lambda q, k, v, causal: triton_attention(q, k, v, causal=causal)[0]


def _wrongly_interpreted(*_):
    raise ValueError("Triton's interpreter, which stands in for a GPU, computes bfloat16 wrongly")
