"""What the ranks of `ranks.py` run: each function is called on all of them, at the same time."""

from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist

import step02_torch
from step01_numpy.attention import Attend
from step01_numpy.common.training.configuration import RunConfig
from step02_torch import MultiHeadAttention
from step03_gpu.devices.data_parallel import DataParallel, ParallelTrainer
from step03_gpu.devices.distributed import ring_attention
from step03_gpu.devices.head_parallel import HeadParallelAttention, join_heads_of_state, split_heads_of_state
from step03_gpu.devices.ring import Ring
from step03_gpu.devices.sequence import split_sequence
from step03_gpu.tensors.attend import KERNELS, on_rung

GROUPS = {}  # by size, the group of the first ranks


def group_of(size):
    """Return the group of the first `size` ranks, which all ranks must ask for."""
    if size not in GROUPS:
        whole = size == dist.get_world_size()
        GROUPS[size] = None if whole else dist.new_group(list(range(size)))
    return GROUPS[size]


def inputs(n_queries, n_keys, dtype, heads=(2, 4), kv_heads=(2, 2), d=8, d_v=5):
    """Return q, k, v and d_out, the same on all ranks."""
    rng = np.random.default_rng(20170612)
    shapes = (
        (*heads, n_queries, d),
        (*kv_heads, n_keys, d),
        (*kv_heads, n_keys, d_v),
        (*heads, n_queries, d_v),
    )
    return [torch.tensor(rng.normal(size=shape)).to(dtype) for shape in shapes]


def whole(n_queries, n_keys, dtype, **options):
    """Return out, lse, d_q, d_k, d_v of one process."""
    q, k, v, d_out = inputs(n_queries, n_keys, dtype)
    leaves = [x.requires_grad_() for x in (q, k, v)]
    out, lse = step02_torch.flash_attention(*leaves, **options)
    out.backward(d_out)
    return [x.detach() for x in (out, lse[..., None], q.grad, k.grad, v.grad)]


def ring(size, n_queries, n_keys, dtype, order, attend=KERNELS, **options):
    """Return this rank's out, lse, d_q, d_k, d_v; None on ranks outside the group."""
    group, rank = group_of(size), dist.get_rank()
    if rank >= size:
        return None
    q, k, v, d_out = (split_sequence(x, size, order=order)[rank] for x in inputs(n_queries, n_keys, dtype))
    leaves = [x.requires_grad_() for x in (q, k, v)]
    out, lse = ring_attention(*leaves, order=order, group=group, attend=attend, **options)
    assert not lse.requires_grad
    out.backward(d_out)
    return [x.detach() for x in (out, lse[..., None], q.grad, k.grad, v.grad)]


def differences(size, cases, rung=None):
    """
    Compare the ring with one process, case by case; the ring's blocks by a rung, if one is given.

    Returns the largest difference of each of out, lse, d_q, d_k, d_v, over max(1, max |expected|).
    """
    found = []
    for n_queries, n_keys, dtype, order, options in cases:
        mine = ring(size, n_queries, n_keys, dtype, order, on_rung(rung), **options)
        if mine is None:
            return None
        expected = whole(n_queries, n_keys, dtype, **options)
        found.append([largest(a, b, size, order) for a, b in zip(mine, expected, strict=True)])
    return found


def largest(mine, expected, size, order):
    """Return the largest difference from this rank's part of what is expected."""
    part = split_sequence(expected, size, order=order)[dist.get_rank()]
    assert (mine.shape, mine.dtype) == (part.shape, part.dtype)
    if not part.numel():
        return 0.0
    difference = torch.where(mine == part, 0, (mine - part).abs()).max()  # -inf equals -inf
    return (difference / expected.masked_fill(expected.isinf(), 0).abs().max().clamp(min=1)).item()


def visible_pairs(size, length, order):
    """Count, step by step, the pairs of query and key that this rank computes of a causal ring."""
    steps = []

    def counting(q, k, v, *, offset, **options):
        keys = torch.arange(q.shape[-2]) + offset + 1  # that each query sees
        steps[-1] += keys.clamp(0, k.shape[-2]).sum().item()
        return KERNELS.forward(q, k, v, offset=offset, **options)

    blocks = Ring.blocks

    def marking(*args):
        for block in blocks(*args):
            steps.append(0)
            yield block

    Ring.blocks = marking
    try:
        ring(size, length, length, torch.float32, order, Attend(counting, KERNELS.backward), causal=True)
    finally:
        Ring.blocks = blocks
    return steps[:size]


def refused(size, change):
    """Call the ring with arguments that are wrong on some rank, and return the error's type and text."""
    rank = dist.get_rank()
    if rank >= size:
        return group_of(size) and None
    arguments, options = WRONG[change](
        rank, [split_sequence(x, size)[rank] for x in inputs(8, 8, torch.float32)[:3]]
    )
    return error_of(*arguments, group=group_of(size), **options)


def error_of(*arguments, **options):
    """Return the type and text of the error with which the ring refuses its arguments, or None."""
    try:
        ring_attention(*arguments, **options)
    except (TypeError, ValueError) as error:
        return type(error).__name__, str(error)
    return None


def outside():
    """Call a ring of two on all ranks."""
    group = group_of(2)
    return error_of(
        *(split_sequence(x, 2)[dist.get_rank() % 2] for x in inputs(8, 8, torch.float32)[:3]), group=group
    )


WRONG = {
    "a part too short": lambda rank, x: ([x[0][..., rank:, :], *x[1:]], {}),
    "keys split otherwise": lambda rank, x: ([x[0], *(y[..., : 4 - rank, :] for y in x[1:])], {}),
    "heads": lambda rank, x: ([x[0][:, : 4 - 2 * rank], *x[1:]], {}),
    "dtype": lambda rank, x: ([y.double() if rank else y for y in x], {}),
    "causal": lambda rank, x: (x, {"causal": rank == 0}),
    "order": lambda rank, x: (x, {"order": "zigzag" if rank else "contiguous"}),
    "no such order": lambda rank, x: (x, {"order": "random"}),
    "mask": lambda rank, x: (x, {"mask": torch.ones(4, 4, dtype=torch.bool)}),
    "scale": lambda rank, x: (x, {"scale": "large"}),
}


def stay_away(away):
    """Let rank 1 stay away from a ring of two, whose patience ends after 2 s; return rank 0's error."""
    group = dist.new_group([0, 1], timeout=timedelta(seconds=2))
    if dist.get_rank() == 0:
        q, k, v, _ = inputs(4, 4, torch.float32)
        if away == "from the backward":
            q.requires_grad_()
        try:
            out, _ = ring_attention(q, k, v, group=group)
            out.sum().backward()
        except RuntimeError as error:
            return str(error)
    if dist.get_rank() == 1 and away == "from the backward":
        q, k, v, _ = inputs(4, 4, torch.float32)
        ring_attention(q, k, v, group=group)
    return None


def heads(size, arguments, options, calls):
    """
    Compare a head-parallel attention with one of a single process, in out and every gradient.

    Returns the largest difference for each call, over max(1, max |expected|).
    """
    group, rank = group_of(size), dist.get_rank()
    if rank >= size:
        return None
    seed = np.random.default_rng(rank)  # ranks that draw different weights: those of rank 0 count
    parallel = HeadParallelAttention(*arguments, **options, rng=seed, group=group).double()
    states = [None] * size
    dist.all_gather_object(states, parallel.state_dict(), group=group)
    single = MultiHeadAttention(*arguments, **options).double()
    single.load_state_dict(join_heads_of_state(states))
    own = HeadParallelAttention(*arguments, **options, rng=np.random.default_rng(0), group=group)
    assert all(torch.equal(x.double(), parallel.state_dict()[name]) for name, x in own.state_dict().items())
    return [compare_heads(parallel, single, size, rank, call) for call in calls]


def compare_heads(parallel, single, size, rank, call):
    rng, found = np.random.default_rng(20170612), []
    x, context, d_out = (torch.tensor(rng.normal(size=(2, n, 24))) for n in (5, 7, 5))
    inputs, options = (
        (x, context) if "cross" in call else (x,),
        {k: y for k, y in call.items() if k != "cross"},
    )
    for layer in (parallel, single):
        leaves = [y.clone().requires_grad_() for y in inputs]
        layer.zero_grad()
        out = layer(*leaves, **options)
        out.backward(d_out)
        gradients = {name: p.grad for name, p in layer.named_parameters()}
        own = gradients if layer is parallel else split_heads_of_state(gradients, size)[rank]
        found.append([out.detach(), *(y.grad for y in leaves), *own.values()])
    pairs = zip(*found, strict=True)
    return max((a - b).abs().max().item() / max(1, b.abs().max().item()) for a, b in pairs)


def head_errors(arguments):
    """Return the text of the error with which four ranks refuse to share heads."""
    try:
        HeadParallelAttention(*arguments)
    except ValueError as error:
        return str(error)
    return None


def updates(data, path, config, kinds=(DataParallel, ParallelTrainer)):
    """Train in float64 and save; return the Progress of every update, the weights, and the batches' state."""
    backend, trainer = kinds
    trainer = trainer.new(backend(), data, RunConfig.from_dict(config))
    trainer.model.double()
    trainer.optimizer = trainer.backend.optimizer(trainer.model, trainer.config)
    progress = [tuple(x) for x in trainer.run()]
    trainer.save(path)
    return progress, trainer.backend.state(trainer.model), trainer.batches.state_dict()
