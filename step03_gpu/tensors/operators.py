"""
The ladder's kernels inside PyTorch: operators that autograd, `torch.compile` and step02's modules know.

A tensor and an array of this stage share memory, so that nothing is copied on the way: CUDA's go to CuPy by
DLPack, those of a CPU to NumPy and, when a rung is asked for, to the emulator. The kernels run on PyTorch's
current stream; what CuPy allocates there, PyTorch keeps alive.

TF32 has no part in it: it would round float32 to 10 bits before it multiplies. The kernels multiply float32
in full, whatever `torch.backends.cuda.matmul` says.
"""

from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from step01_numpy.common.support import checks
from step02_torch import flash_attention as attend_by_tensors
from step02_torch.arrays import Array
from step02_torch.attention import scale_or_default
from step03_gpu import flash_attention as attend_by_arrays
from step03_gpu import flash_attention_backward as differentiate_by_arrays
from step03_gpu.kernels.rungs import HEAD_SIZES, TYPES

__all__ = ["BACKENDS", "as_array", "as_tensor", "covered", "flash_attention", "pytorchs_stream", "sdpa"]

BACKENDS = ("flash", "cudnn", "efficient", "math")
UNRECORDED = (
    torch.Tag.cudagraph_unsafe,
)  # CuPy allocates, where a CUDA graph would find other memory next time


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
    Compute step02's `flash_attention`, and its gradients, by the kernels: an `attend=` for step02's modules.

    Parameters
    ----------
    q, k, v, mask, bias, causal, window, offset, scale, softcap
        As there. Under autocast, float32 q, k and v are rounded to its dtype, as PyTorch does before its own
        attention; sums are made in float32 all the same.
    rung : int, optional
        Which kernels, 1 to 5, as in step03's `flash_attention`; on a CPU the emulator runs them. 0: step02's
        own code, on any device. When not given, the best kernels for CUDA tensors that they cover, for few
        queries those of decoding, else 0.

    Returns
    -------
    out : (*heads, L, D_v)
    lse : (*heads, L)
        Without a gradient.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was expected and what came.
    """
    q, k, v = _autocast(q), _autocast(k), _autocast(v)
    if rung == 0 or (rung is None and not covered(q, v, bias, softcap)):
        options = {"causal": causal, "window": window, "offset": offset, "scale": scale}
        return attend_by_tensors(q, k, v, mask, bias=bias, softcap=softcap, **options)
    if not torch.compiler.is_compiling():  # compiled, the shapes are checked when the operator runs
        options = checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
        window, offset, scale, softcap = options
    for name, x in (("bias", bias), ("softcap", softcap)):
        if x is not None:
            raise ValueError(f"rung {rung} takes no {name}; rung=0 does")
    left, right = (None, None) if window is None else window
    rule = (causal, window is not None, left, right, offset, scale_or_default(scale, q), rung)
    out, lse = torch.ops.attention_step_by_step.flash_attention(q, k, v, mask, *rule)
    return out, lse.detach()


@torch.library.custom_op("attention_step_by_step::flash_attention", mutates_args=(), tags=UNRECORDED)
def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    causal: bool,
    windowed: bool,
    left: int | None,
    right: int | None,
    offset: int | None,
    scale: float,
    rung: int | None,
) -> tuple[Tensor, Tensor]:
    options = _options(causal, windowed, left, right, offset, scale, rung)
    with pytorchs_stream(q):
        found = attend_by_arrays(*(as_array(x) for x in (q, k, v, mask)), **options)
        out, lse = (as_tensor(x).contiguous() for x in found)
    return out, lse


@torch.library.custom_op("attention_step_by_step::flash_attention_backward", mutates_args=(), tags=UNRECORDED)
def _backward(
    d_out: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    mask: Tensor | None,
    causal: bool,
    windowed: bool,
    left: int | None,
    right: int | None,
    offset: int | None,
    scale: float,
    rung: int | None,
) -> tuple[Tensor, Tensor, Tensor]:
    options = _options(causal, windowed, left, right, offset, scale, rung)
    with pytorchs_stream(q):
        arrays = (as_array(x) for x in (d_out, q, k, v, out, lse, mask))
        found = differentiate_by_arrays(*arrays, **options)
        d_q, d_k, d_v = (as_tensor(x).contiguous() for x in found)
    return d_q, d_k, d_v


@_forward.register_fake
def _(q, k, v, mask, *rule):
    """Tell the compiler what shapes and dtypes come out."""
    lse = torch.float64 if q.dtype == torch.float64 else torch.float32
    return q.new_empty(*q.shape[:-1], v.shape[-1]), q.new_empty(q.shape[:-1], dtype=lse)


@_backward.register_fake
def _(d_out, q, k, v, out, lse, mask, *rule):
    return tuple(x.new_empty(x.shape) for x in (q, k, v))


def _save(ctx, inputs, output):
    q, k, v, mask, *ctx.rule = inputs
    ctx.save_for_backward(q, k, v, *output, mask)


def _differentiate(ctx, d_out, _):
    q, k, v, out, lse, mask = ctx.saved_tensors
    operator = torch.ops.attention_step_by_step.flash_attention_backward
    return *operator(d_out, q, k, v, out, lse, mask, *ctx.rule), None, *(None for _ in ctx.rule)


_forward.register_autograd(_differentiate, setup_context=_save)


def sdpa(
    backend: str,
    q: Float[Array, "*heads L D"],
    k: Float[Array, "*heads S D"],
    v: Float[Array, "*heads S D"],
    *,
    causal: bool = False,
) -> Float[Array, "*heads L D"]:
    """
    Call PyTorch's own attention, pinned to one of its backends, for comparison.

    Left to itself it takes the first backend of a list that can serve the call, which need not be the
    fastest: on an H100 it was once FlashAttention-2 at half the speed of cuDNN (pytorch/pytorch#142132).

    Parameters
    ----------
    backend : str
        One of `BACKENDS`; a RuntimeError where it does not serve the call or the device.
    q, k, v : (*heads, L, D), (*heads, S, D), (*heads, S, D)
    causal : bool
        As in `flash_attention`: the queries are the last ones. (`is_causal` of PyTorch means the first.)
    """
    checks.one_of("backend", backend, BACKENDS)
    names = {"flash": "FLASH_ATTENTION", "cudnn": "CUDNN_ATTENTION", "efficient": "EFFICIENT_ATTENTION"}
    square, mask = q.shape[-2] == k.shape[-2], None
    if causal and not square:
        from torch.nn.attention.bias import causal_lower_right  # with PyTorch's compiler, which takes seconds

        mask = causal_lower_right(q.shape[-2], k.shape[-2])
    with sdpa_kernel(getattr(SDPBackend, names.get(backend, "MATH"))):
        return torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=causal and square
        )


def as_array(tensor: Tensor | None):
    """Show a tensor's memory as an array of this stage: CuPy's on a GPU, NumPy's on a CPU."""
    if tensor is None:
        return None
    tensor = tensor.detach()
    if tensor.is_cuda:
        import cupy

        return cupy.from_dlpack(tensor)
    if tensor.dtype == torch.bfloat16:  # NumPy knows it by ml_dtypes, DLPack does not
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def as_tensor(array) -> Tensor:
    """Show an array's memory as a tensor."""
    if hasattr(array, "get"):
        return torch.from_dlpack(array)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view("int16")).view(torch.bfloat16)
    return torch.from_numpy(array)


@contextmanager
def pytorchs_stream(tensor: Tensor):
    """Let CuPy work on PyTorch's current stream: left alone it takes the default one and would not wait."""
    if not tensor.is_cuda:
        yield
        return
    import cupy

    stream = torch.cuda.current_stream(tensor.device)
    with cupy.cuda.Device(tensor.device.index), cupy.cuda.Stream.from_external(stream):
        yield


def covered(q: Tensor, v: Tensor, bias=None, softcap=None) -> bool:
    """Tell whether a call is of CUDA tensors, and one that kernels cover."""
    small = max(q.shape[-1], v.shape[-1]) <= HEAD_SIZES[-1]
    known = str(q.dtype).removeprefix("torch.") in TYPES
    return q.is_cuda and known and small and bias is None and softcap is None


def _autocast(x):
    kind = x.device.type
    if x.dtype != torch.float32 or not torch.is_autocast_enabled(kind):
        return x
    return x.to(torch.get_autocast_dtype(kind))


def _options(causal, windowed, left, right, offset, scale, rung) -> dict:
    window = (left, right) if windowed else None
    return {"causal": causal, "window": window, "offset": offset, "scale": scale, "rung": rung}
