"""
Attention over a sequence that no single device holds: key and value blocks pass round a ring of ranks.

Each rank keeps its part of the queries and meets every block of keys once. What it finds in a block is merged
into what it has (`merge.py`): no rank ever holds more than two blocks, and a sequence may be as long as all
devices together can hold. On process groups of CPUs ("gloo") and of GPUs ("nccl").
"""

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float

from step01_numpy.attention import Attend
from step01_numpy.common.support import checks
from step01_numpy.common.support.options import positions
from step02_torch.arrays import Array, widen
from step02_torch.attention import scale_or_default
from step02_torch.merge import merge_attention
from step03_gpu.devices.ring import Ring, patience, rank_and_size
from step03_gpu.devices.sequence import CONTIGUOUS, ORDERS, check_lengths, sequence_chunks
from step03_gpu.tensors.attend import KERNELS


def ring_attention(
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
    order: str = CONTIGUOUS,
    group=None,
    attend: Attend = KERNELS,
) -> tuple[Float[Array, "*heads L D_v"], Float[Array, "*heads L"]]:
    """
    Compute `flash_attention` over the sequence of all ranks; each calls this with its own part of it.

    Parameters
    ----------
    q, k, v : (*heads, L, D), (*kv_heads, S, D), (*kv_heads, S, D_v)
        This rank's part, as `split_sequence` cuts it; it may be empty, and need not be as long as others.
    mask, bias : None
        Not served: a rank does not see all keys. Accepted so that this is an `attend=` for step02's modules.
    causal, window, offset, scale, softcap
        As in `scaled_dot_product_attention`, with positions in the whole sequence.
    order : "contiguous" or "zigzag"
        How the sequence was split. With `causal`, contiguous parts leave the first ranks idle while the last
        ones work; zigzag gives all the same work.
    group : ProcessGroup, optional
        The ranks; all when not given.
    attend : Attend
        What computes a block, and its gradients from an out and lse over all keys, on tensors: the kernels
        where they cover CUDA tensors, else step02's code.

    Returns
    -------
    out : (*heads, L, D_v)
    lse : (*heads, L)
        The rows of this rank's queries. lse has no gradient; for that of out every rank must take part in the
        backward.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was expected and what came.
    RuntimeError
        When another rank failed or stayed away; how long it is waited for is the group's `timeout`. Under
        "nccl" only with TORCH_NCCL_BLOCKING_WAIT=1 in the environment; else PyTorch ends the process.

    Notes
    -----
    All keys and values are B·H_kv·S·(D + D_v) numbers. In the forward a rank sends (n - 1)/n of them in n - 1
    messages; in the backward the same again, and with each block its gradients, in n messages as much as all
    keys and values. Messages are on their way while the block at hand is computed. First of all the ranks
    tell each other their lengths and options, less than 1 kB each.

    References
    ----------
    Liu et al. 2023, algorithm 1, arXiv:2310.01889. Zigzag: Llama 3, section 3.3.2, arXiv:2407.21783.
    """
    if mask is not None or bias is not None:
        raise ValueError("mask or bias is given; expected None: a rank of the ring does not see all keys")
    window, offset, scale, softcap = _check(q, k, v, window, offset, scale, softcap)
    options = {"causal": causal, "window": window, "softcap": softcap, "scale": scale_or_default(scale, q)}
    ring = _join(q, k, v, offset, order, group, options)
    return _RingAttention.apply(q, k, v, ring, options, attend)


class _RingAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, ring, options, attend):
        out = widen(q).new_zeros(*q.shape[:-1], v.shape[-1])
        lse = out.new_full(q.shape[:-1], -torch.inf)
        for owner, (k_block, v_block) in ring.blocks(k, v):
            for rows, keys, offset in ring.pairs(owner):
                block = q[..., rows, :], k_block[..., keys, :], v_block[..., keys, :]
                part, part_lse = attend.forward(*block, offset=offset, **options)
                merged = merge_attention(out[..., rows, :], lse[..., rows], widen(part), part_lse)
                out[..., rows, :], lse[..., rows] = merged
        out = out.to(q.dtype)
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.ring, ctx.options, ctx.attend = ring, options, attend
        ctx.mark_non_differentiable(lse)
        return out, lse

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_out, _):
        q, k, v, out, lse = ctx.saved_tensors
        d_q, arriving = torch.zeros_like(widen(q)), None
        for owner, (k_block, v_block) in ctx.ring.blocks(k, v):
            d_k, d_v = torch.zeros_like(widen(k_block)), torch.zeros_like(widen(v_block))
            for rows, keys, offset in ctx.ring.pairs(owner):
                d_rows, q_rows, out_rows = (x[..., rows, :] for x in (d_out, q, out))
                block = q_rows, k_block[..., keys, :], v_block[..., keys, :]
                saved = out_rows, lse[..., rows]  # over all keys: each block then finds its share
                parts = ctx.attend.backward(d_rows, *block, *saved, offset=offset, **ctx.options)
                for total, at, part in zip((d_q, d_k, d_v), (rows, keys, keys), parts, strict=True):
                    total[..., at, :] += part
            if arriving is not None:  # what the ranks before this one have found for the block
                d_k, d_v = (d + found for d, found in zip((d_k, d_v), arriving.wait(), strict=True))
            arriving = ctx.ring.pass_on((d_k, d_v), owner - 1)
        d_k, d_v = arriving.wait()  # after n steps the block's gradients are home
        return d_q.to(q.dtype), d_k.to(k.dtype), d_v.to(v.dtype), None, None, None


def _check(q, k, v, window, offset, scale, softcap):
    """Refuse what attention refuses, except for a part without positions; return the options as numbers."""
    q, k, v = (x if x.shape[-2] else x.new_zeros(*x.shape[:-2], 1, x.shape[-1]) for x in (q, k, v))
    _, _, scale, softcap = checks.attention(Array, q, k, v, None, None, window, offset, scale, softcap)
    window, offset = positions(window, offset)  # in the whole sequence: as far away as they are
    return window, offset, scale, softcap


def _join(q, k, v, offset, order, group, options) -> Ring:
    """Let the ranks tell each other what they bring, so that all of them refuse what does not fit."""
    checks.one_of("order", order, ORDERS)
    rank, size = rank_and_size(group)
    agreed = {name: (*x.shape[:-2], x.shape[-1], x.dtype) for name, x in (("q", q), ("k", k), ("v", v))}
    agreed |= {**options, "offset": offset, "order": order}
    everyone = [None] * size
    with patience(group):
        dist.all_gather_object(everyone, (q.shape[-2], k.shape[-2], agreed), group=group)
    n_queries, n_keys, brought = zip(*everyone, strict=True)
    for name in agreed:
        if any(x[name] != brought[0][name] for x in brought):
            raise ValueError(f"{name} is {[x[name] for x in brought]} on the ranks; expected the same on all")
    queries, keys = (sequence_chunks(sum(lengths), size, order) for lengths in (n_queries, n_keys))
    check_lengths("q", list(n_queries), queries)
    check_lengths("k", list(n_keys), keys)
    left, right = (None, None) if options["window"] is None else options["window"]
    offset = sum(n_keys) - sum(n_queries) if offset is None else offset
    return Ring(group, rank, queries, keys, left, 0 if options["causal"] else right, offset)
