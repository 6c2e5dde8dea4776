"""
Our kernels inside PyTorch: registered operators, so that step 2's modules train with them, compiled or not.

PyTorch owns every tensor, and CuPy or NumPy looks at the same memory; what a kernel returns is copied into
results that PyTorch allocated, so that its allocator and its streams keep the books. A CUDA tensor becomes a
CuPy array by DLPack, on PyTorch's current stream; a CPU tensor becomes a NumPy array, for the emulator.

Under autocast the tensors are rounded to its dtype first, as for a matrix product. TF32, which rounds float32
factors to 10 bits of mantissa, plays no part: kernels of float32 compute in float32, whatever the switches of
PyTorch (`torch.backends.cuda.matmul.fp32_precision`) and CuPy (`CUPY_TF32`) say.
"""

from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention

from step01_numpy.common import checks
from step02_torch.arrays import Array, to_numpy
from step02_torch.attention import scale_or_default
from step02_torch.flash_attention import flash_attention as autograd
from step03_gpu.flash_attention import flash_attention as forward
from step03_gpu.flash_attention import flash_attention_backward as backward
from step03_gpu.rungs import RUNGS, TYPES, choose, refusal

__all__ = ["SDPA_BACKENDS", "flash_attention", "sdpa", "shared_stream", "view"]

NAMES = {getattr(torch, name): name for name in TYPES}
SDPA_BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}
HOST_RUNG = 4  # what tensors on a CPU run on, by the emulator, unless told otherwise


def flash_attention(
    q: Float[Array, "*heads L D"],
    k: Float[Array, "*kv_heads S D"],
    v: Float[Array, "*kv_heads S D_v"],
    mask: Bool[Array, "..."] | None = None,
    *,
    bias: Float[Array, "..."] | None = None,
    causal: bool = False,
    window: tuple | None = None,
    offset: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    rung: int | None = None,
) -> tuple[Float[Array, "*heads L D_v"], Float[Array, "*heads L"]]:
    """
    Compute `step02_torch.flash_attention` by our CUDA kernels, with their gradients.

    Parameters
    ----------
    q, k, v, mask, bias, causal, window, offset, scale, softcap
        As there. What no kernel covers (a bias, a soft cap, heads above 128) is computed there.
    rung : int, optional
        Which kernels, as in `step03_gpu.flash_attention`; 0 = step 2's. Default: on a GPU the best that
        cover the call; on a CPU rung 4, by the emulator.

    Returns
    -------
    out : (*heads, L, D_v)
    lse : (*heads, L)
        Log-sum-exp of each query's scores, in nats; -inf for a query that may attend to no key. No gradient.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was expected and what came; among them a rung that does not cover the call.
    """
    q, k, v = _autocast(q, k, v)
    checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    chosen = _choose(rung, q, v, bias, softcap)
    options = {"causal": causal, "window": window, "offset": offset, "scale": scale}
    if not chosen:
        return autograd(q, k, v, mask, bias=bias, softcap=softcap, **options)
    left, right = (None, None) if window is None else window
    return torch.ops.attention_step_by_step.flash(
        q, k, v, mask, causal, left, right, offset, scale_or_default(scale, q), chosen
    )


@torch.library.custom_op("attention_step_by_step::flash", mutates_args=())
def _flash(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, causal: bool,
    left: int | None, right: int | None, offset: int | None, scale: float, rung: int,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    results = _flash_like(q, k, v)
    options = {"causal": causal, "window": (left, right), "offset": offset, "scale": scale, "rung": rung}
    with shared_stream(q):
        found = forward(*(view(x) for x in (q, k, v, mask)), **options)
        _copy(found, results)
    return results


@torch.library.custom_op("attention_step_by_step::flash_backward", mutates_args=())
def _flash_backward(
    d_out: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor,
    lse: torch.Tensor, mask: torch.Tensor | None, causal: bool,
    left: int | None, right: int | None, offset: int | None, scale: float, rung: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    gradients = _gradients_like(q, k, v)
    options = {"causal": causal, "window": (left, right), "offset": offset, "scale": scale, "rung": rung}
    with shared_stream(q):
        given = (view(x) for x in (d_out, q, k, v, out, lse, mask))
        _copy(backward(*given, **options), gradients)
    return gradients


@_flash.register_fake
def _(q, k, v, mask, causal, left, right, offset, scale, rung):
    return _flash_like(q, k, v)


@_flash_backward.register_fake
def _(d_out, q, k, v, out, lse, mask, causal, left, right, offset, scale, rung):
    return _gradients_like(q, k, v)


def _flash_like(q, k, v):
    lse = torch.float64 if q.dtype == torch.float64 else torch.float32
    return q.new_empty((*q.shape[:-1], v.shape[-1])), q.new_empty(q.shape[:-1], dtype=lse)


def _gradients_like(q, k, v):
    return tuple(torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, k, v))


def _keep(ctx, inputs, output):
    q, k, v, mask, *ctx.options = inputs
    ctx.save_for_backward(q, k, v, *output, mask)
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx, d_out, _):
    *known, mask = ctx.saved_tensors
    operator = torch.ops.attention_step_by_step.flash_backward
    return *operator(d_out, *known, mask, *ctx.options), *(None,) * 7


_flash.register_autograd(_differentiate, setup_context=_keep)


def view(x):
    """Look at a tensor as an array of its device, without a copy and without its history; None stays None."""
    if x is None:
        return None
    x = x.detach()
    if not x.is_cuda:
        return to_numpy(x)
    import cupy

    return cupy.from_dlpack(x)


@contextmanager
def shared_stream(x):
    """
    Let CuPy work on PyTorch's current stream, so that each waits for what the other began.

    Both use the device's default stream until told otherwise; inside `torch.cuda.stream(s)` only PyTorch
    knows of s, and kernels that CuPy launches would overtake it.
    """
    if not x.is_cuda:
        yield
        return
    import cupy

    with cupy.cuda.Device(x.device.index):
        stream = torch.cuda.current_stream(x.device).cuda_stream
        with cupy.cuda.ExternalStream(stream, x.device.index):
            yield


def sdpa(backend: str, q, k, v, *, causal: bool = False, scale: float | None = None) -> Array:
    """
    Run PyTorch's own attention on one named kernel: what ours are compared with.

    Left alone, PyTorch takes the first backend of a fixed order that accepts the call, which need not be the
    fastest: on an H100 its FlashAttention 2 was timed at half of cuDNN's rate (pytorch issue 142132). So a
    comparison names its backend.

    Parameters
    ----------
    backend : str
        One of `SDPA_BACKENDS`; PyTorch raises RuntimeError where it does not run.
    q, k, v : (B, H, L, D), (B, H_kv, S, D), (B, H_kv, S, D_v)
    causal : bool
        With the queries last, as everywhere here; PyTorch's `is_causal` would put them first.
    scale : float, optional
        Default 1/√D.
    """
    if backend not in SDPA_BACKENDS:
        raise ValueError(f"backend is {backend!r}; expected one of {tuple(SDPA_BACKENDS)}")
    square = q.shape[-2] == k.shape[-2]
    mask = causal_lower_right(q.shape[-2], k.shape[-2]) if causal and not square else None
    options = {"scale": scale, "enable_gqa": q.shape[-3] != k.shape[-3]}
    with sdpa_kernel(SDPA_BACKENDS[backend]):
        return scaled_dot_product_attention(q, k, v, mask, is_causal=causal and square, **options)


def _copy(found, results):
    for array, result in zip(found, results, strict=True):
        view(result)[...] = array


def _choose(rung, q, v, bias, softcap):
    facts = _facts(q), _facts(v), bias, softcap
    if rung is not None:
        return choose(rung, *facts)
    numbers = sorted(RUNGS, reverse=True) if q.is_cuda else (HOST_RUNG,)
    return next((n for n in numbers if refusal(n, *facts) is None), 0)


def _autocast(*tensors):
    """Round to torch.autocast's dtype, as PyTorch's own attention does; gradients come back widened."""
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind) or tensors[0].dtype == torch.float64:
        return tensors
    return tuple(x.to(torch.get_autocast_dtype(kind)) for x in tensors)


class _Dtype(NamedTuple):
    name: str


class _Facts(NamedTuple):
    """Shape and dtype of a tensor as an array tells them: under torch.compile there is no array yet."""

    shape: tuple
    dtype: _Dtype


def _facts(x):
    return _Facts(x.shape, _Dtype(NAMES.get(x.dtype, "float8")))
