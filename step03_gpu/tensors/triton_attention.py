"""
Flash attention in Triton, inside PyTorch: tiles are written in Python, and Triton's compiler lays them out.

The same tiling as our CUDA kernels, in a language in which the tile, not the thread, is the unit: layouts in
shared memory, copies ahead of time and the tensor cores' instructions are the compiler's business. float32
stays float32 (`input_precision="ieee"`): Triton's own default would be TF32.
"""

from importlib.util import find_spec
from math import log

import torch
from jaxtyping import Bool, Float
from torch.nn import functional

from step01_numpy.common.support import checks
from step02_torch.arrays import Array
from step02_torch.attention import scale_or_default

if find_spec("triton") is None:
    raise ImportError('Triton\'s attention needs triton: pip install "attention-step-by-step[triton]"')
import triton

from step03_gpu.tensors import triton_kernels as kernels

__all__ = ["triton_attention"]

INTERPRETED = not isinstance(kernels.forward, triton.JITFunction)  # TRITON_INTERPRET=1: on the CPU, slowly
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
SMALL = {  # by dtype and D: block of queries, block of keys, warps, stages
    **{(torch.float32, size): (32, 32, 4, 2) for size in (32, 64)},
    (torch.float32, 128): (16, 16, 4, 2),  # larger ones do not fit the registers
}
LONG = 1024  # queries and keys from which on the block sizes are tried out, once per head size and dtype


def triton_attention(
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
    blocks: tuple | None = None,
) -> tuple[Float[Array, "*heads L D_v"], Float[Array, "*heads L"]]:
    """
    Compute `step02_torch.flash_attention` by Triton's kernels, with its gradients.

    Parameters
    ----------
    q, k, v, mask, causal, window, offset, scale
        As there, in float32, float16 or bfloat16, with heads of at most 128. Heads that are no power of two
        of at least 32 are padded with zeros, and arrays that are not contiguous are copied.
    bias, softcap
        Must be None: these kernels have neither.
    blocks : (queries, keys), optional
        Sizes of the tiles, powers of two of at least 16. By default small ones for short sequences; on a GPU,
        for long ones in 16 bits, the fastest of a few, found by trying.

    Returns
    -------
    out : (*heads, L, D_v)
    lse : (*heads, L)
        Log-sum-exp of each query's scores, in nats, float32; -inf for a query that may attend to no key. No
        gradient.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was expected and what came.

    References
    ----------
    Dao 2023, algorithms 1 and 2, arXiv:2307.08691; Tillet et al. 2019, doi:10.1145/3315508.3329973.
    """
    options = checks.attention(Array, q, k, v, mask, bias, window, offset, scale, softcap)
    window, offset, scale, softcap = options
    _check(q, v, bias, softcap, blocks)
    scale = scale_or_default(scale, q)
    if scale <= 0:  # a running maximum of q kᵀ serves positive scales
        q, scale = (-q, -scale) if scale else (q * 0, 1.0)
    size = max(32, triton.next_power_of_2(max(q.shape[-1], v.shape[-1])))
    padded = (functional.pad(x, (0, size - x.shape[-1])) for x in (q, k, v))
    mask = None if mask is None else mask.expand(*q.shape[:-1], k.shape[-2])
    band = _band(q.shape[-2], k.shape[-2], causal, window, offset)
    out, lse = _TritonAttention.apply(*padded, mask, band, scale, blocks)
    return out[..., : v.shape[-1]], lse


class _TritonAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, mask, band, scale, blocks):
        q, k, v = (x.contiguous() for x in (q, k, v))
        out, lse = torch.empty_like(q), q.new_empty(q.shape[:-1], dtype=torch.float32)
        ctx.problem = hidden, sizes = _problem(q, k, mask, band)
        ctx.scale, ctx.blocks = scale, blocks
        launch = _launcher(q, k, blocks)
        launch(FORWARD, q, k, v, *hidden, out, lse, scale, *sizes, over="BLOCK_Q")
        ctx.save_for_backward(q, k, v, out, lse)
        nats = lse * log(2)  # the kernels count in bits
        ctx.mark_non_differentiable(nats)
        return out, nats

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_out, _):
        q, k, v, out, lse = ctx.saved_tensors
        d_out = d_out.contiguous()
        sums, (d_q, d_k, d_v) = torch.empty_like(lse), (torch.empty_like(x) for x in (q, k, v))
        grid = (triton.cdiv(sums.numel(), 64),)
        kernels.row_sum[grid](d_out, out, sums, sums.numel(), D=q.shape[-1], BLOCK=64)
        launch, (hidden, sizes) = _launcher(q, k, ctx.blocks), ctx.problem
        known = q, k, v, *hidden, d_out, lse, sums
        launch(KEY_GRADIENTS, *known, d_k, d_v, ctx.scale, *sizes, over="BLOCK_K")
        launch(QUERY_GRADIENTS, *known, d_q, ctx.scale, *sizes, over="BLOCK_Q")
        return d_q, d_k, d_v, None, None, None, None


def _launcher(q, k, blocks):
    """Return what launches a kernel, (kernel, *arguments, over=...), with one program per block."""
    n = {"BLOCK_Q": q.shape[-2], "BLOCK_K": k.shape[-2]}
    n_heads = {"BLOCK_Q": q.shape[:-2].numel(), "BLOCK_K": k.shape[:-2].numel()}
    long = min(n.values()) >= LONG and q.dtype.itemsize == 2 and not INTERPRETED
    options = {"D": q.shape[-1]}
    if blocks is not None or not long:
        block_q, block_k, warps, stages = SMALL.get((q.dtype, q.shape[-1]), (64, 64, 4, 2))
        block_q, block_k = (block_q, block_k) if blocks is None else blocks
        options |= {"BLOCK_Q": block_q, "BLOCK_K": block_k, "num_warps": warps, "num_stages": stages}

    def launch(kernel, *arguments, over):
        grid = lambda meta: (triton.cdiv(n[over], meta[over]), n_heads[over])  # noqa: E731
        (kernel if long and blocks is None else kernel.fn)[grid](*arguments, **options)

    return launch


def _problem(q, k, mask, band):
    """Return the mask with its strides, and heads, lengths and band, as the kernels take them."""
    heads = (q.shape[-3], k.shape[-3]) if q.ndim > 2 else (1, 1)
    lengths = q.shape[-2], k.shape[-2]
    sizes = *heads, *lengths, *band
    if mask is None:
        return (None, 0, 0, 0, 0), sizes
    mask = mask.reshape(-1, heads[0], *lengths)
    return (mask.view(torch.uint8), *mask.stride()), sizes


def _band(n_queries, n_keys, causal, window, offset):
    """Return (low, high): query i sees keys i + low to i + high. Clipped to where they still bind."""
    left, right = (None, None) if window is None else window
    right = 0 if causal else right
    offset = n_keys - n_queries if offset is None else offset
    low = -n_queries if left is None else offset - left
    high = n_keys if right is None else offset + right
    return tuple(max(-n_queries, min(n_keys, int(x))) for x in (low, high))


def _check(q, v, bias, softcap, blocks):
    for name, x in (("bias", bias), ("softcap", softcap)):
        if x is not None:
            raise ValueError(f"triton_attention takes no {name}; step02_torch.flash_attention does")
    if q.dtype not in DTYPES:
        raise TypeError(f"q has dtype {q.dtype}; triton_attention takes float32, float16 and bfloat16")
    if max(q.shape[-1], v.shape[-1]) > 128:
        raise ValueError(f"head sizes are {q.shape[-1]} and {v.shape[-1]}; triton_attention takes up to 128")
    if blocks is not None and not all(x >= 16 and x & (x - 1) == 0 for x in blocks):
        raise ValueError(f"blocks is {blocks}; expected two powers of two of at least 16")
    if not (q.is_cuda or INTERPRETED):
        raise ValueError(f"q is on {q.device}; on a CPU set TRITON_INTERPRET=1 before importing this module")


def _tuned(kernel, *sizes):
    """Let Triton try (queries, keys, warps, stages); one that asks for too much shared memory drops out."""
    configs = [
        triton.Config({"BLOCK_Q": rows, "BLOCK_K": keys}, num_warps=warps, num_stages=stages)
        for rows, keys, warps, stages in sizes
    ]
    return triton.autotune(configs, key=["D"])(kernel)


FORWARD = _tuned(kernels.forward, (128, 64, 8, 3), (128, 128, 8, 2), (128, 128, 8, 3), (128, 64, 4, 3))
KEY_GRADIENTS = _tuned(kernels.key_gradients, (64, 128, 8, 2), (64, 128, 8, 3), (32, 128, 8, 2))
QUERY_GRADIENTS = _tuned(kernels.query_gradients, (128, 64, 8, 2), (128, 64, 8, 3), (128, 32, 8, 3))
