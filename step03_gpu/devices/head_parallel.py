"""
Multi-head attention whose heads are spread over ranks: each projects to its own, attends, projects back.

The other way to part attention: here every rank has the whole sequence and some of the weights, in a ring all
weights and some of the sequence.
"""

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float

from step01_numpy.common.support import checks
from step02_torch.arrays import Array, widen
from step02_torch.attention import STANDARD, Attend
from step02_torch.cache import KVCache
from step02_torch.multi_head_attention import MultiHeadAttention
from step02_torch.parameters import Linear, linear
from step02_torch.rotary import Rotary
from step03_gpu.devices.ring import device_of_messages, patience, rank_and_size


class HeadParallelAttention(MultiHeadAttention):
    """
    step02's `MultiHeadAttention`, of which each of n ranks holds H/n heads and their share of the weights.

    Parameters
    ----------
    d_model, n_heads, n_kv_heads, bias, rotary, attend, rng
        As there, for all ranks together. n divides n_heads and n_kv_heads. Rank 0 draws the weights.
    group : ProcessGroup, optional
        The ranks; all when not given.
    device : torch.device or str, optional
        Where this rank's weights are. When not given, what the group's messages come from: the current GPU
        under "nccl", which sends nothing else, and the CPU under others.

    Notes
    -----
    x and the context are the same on all ranks, as are the results. W_q, W_k and W_v are cut between heads,
    W_o likewise along its inputs, so that each rank has one summand of W_o · heads. One all_reduce of
    (B, L, d_model) numbers adds them up in the forward, and one the gradients of x (and one those of a
    context) in the backward; each sends 2 (n - 1)/n of its numbers from every rank. 16-bit numbers travel and
    are added up in float32.

    References
    ----------
    Shoeybi et al. 2019, section 3, arXiv:1909.08053.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        *,
        bias: bool = True,
        rotary: Rotary | None = None,
        attend: Attend = STANDARD,
        rng=None,
        group=None,
        device=None,
    ):
        super().__init__(d_model, n_heads, n_kv_heads, bias=bias, rotary=rotary, attend=attend, rng=rng)
        rank, size = rank_and_size(group)
        checks.divides("the number of ranks", size, "n_heads", self.n_heads)
        checks.divides("the number of ranks", size, "n_kv_heads", self.n_kv_heads)
        device = device_of_messages(device, group)
        self.to(device)
        with patience(group):
            for x in self.state_dict().values():
                dist.broadcast(x, group=group, group_src=0)
        own = split_heads_of_state(self.state_dict(), size)[rank]
        self.group, self.rank, self.all_heads = group, rank, self.n_heads
        self.n_heads, self.n_kv_heads = n_heads // size, self.n_kv_heads // size
        d_own, d_kv = (d_model // n_heads * n for n in (self.n_heads, self.n_kv_heads))
        self.w_q = Linear(d_model, d_own, bias=bias)
        self.w_k, self.w_v = Linear(d_model, d_kv, bias=bias), Linear(d_model, d_kv, bias=bias)
        self.w_o = SummedLinear(d_own, d_model, bias=bias, group=group)
        self.to(device).load_state_dict(own)

    def forward(
        self,
        x: Float[Array, "B L d_model"],
        context: Float[Array, "B S d_model"] | None = None,
        mask: Bool[Array, "..."] | None = None,
        *,
        bias: Float[Array, "..."] | None = None,
        cache: KVCache | None = None,
        **options,
    ) -> Float[Array, "B L d_model"]:
        """
        Attend as `MultiHeadAttention` does; all ranks must call this with the same arguments.

        Parameters
        ----------
        x, context, mask, bias
            As there, for all heads; and its other options.
        cache : KVCache, optional
            Each rank's own: it keeps the keys and values of its heads.

        Returns
        -------
        out : (B, L, d_model)
            The same on all ranks.
        """
        checks.rank("x", x, 3)
        x, context = (y if y is None else _Shared.apply(y, self.group) for y in (x, context))
        mask, bias = self._own(mask), self._own(bias)
        return super().forward(x, context, mask, bias=bias, cache=cache, **options)

    def _own(self, x):
        """Cut what differs from head to head, (..., H, L, S)."""
        if x is None or x.ndim < 3 or x.shape[-3] != self.all_heads or x.shape[-3] == 1:
            return x
        return x.narrow(-3, self.rank * self.n_heads, self.n_heads)


class SummedLinear(Linear):
    """
    out = Σ over ranks of x Wᵀ, + b: each rank holds some of the inputs, and the weights' columns for them.

    Parameters
    ----------
    d_in, d_out, bias, rng
        As in `Linear`; d_in is this rank's.
    group : ProcessGroup, optional
    """

    def __init__(self, d_in: int, d_out: int, *, bias: bool = True, rng=None, group=None):
        super().__init__(d_in, d_out, bias=bias, rng=rng)
        self.group = group

    def forward(self, x: Float[Array, "... d_in"]) -> Float[Array, "... d_out"]:
        """Return the sum, (..., d_out), the same on all ranks."""
        checks.features("x", x, self.d_in)
        out = _Summed.apply(linear(x, self.weight), self.group)
        return out if self.bias is None else out + self.bias  # added once, not by every rank


def split_heads_of_state(state: dict, n_ranks: int) -> list[dict]:
    """
    Cut a `MultiHeadAttention`'s weights into those of `HeadParallelAttention` on each rank.

    Parameters
    ----------
    state : dict
        Tensors by name: the rows of w_q, w_k, w_v are cut, the columns of w_o; the bias of w_o is on all.
    n_ranks : int
    """
    checks.positive("n_ranks", n_ranks)
    parts = {name: [x] * n_ranks for name, x in state.items()}
    for name, x in state.items():
        if name != "w_o.bias":
            parts[name] = x.chunk(n_ranks, dim=1 if name == "w_o.weight" else 0)
    return [{name: part[rank] for name, part in parts.items()} for rank in range(n_ranks)]


def join_heads_of_state(states: list) -> dict:
    """Undo `split_heads_of_state`: put the weights of all ranks, in their order, into one state."""
    joined = dict(states[0])
    for name in joined:
        if name != "w_o.bias":
            joined[name] = torch.cat([x[name] for x in states], dim=1 if name == "w_o.weight" else 0)
    return joined


class _Shared(torch.autograd.Function):
    """What all ranks have alike, and each uses in its own way: their gradients add up."""

    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_out):
        return _sum(d_out, ctx.group), None


class _Summed(torch.autograd.Function):
    """The sum over ranks: each of its summands has the gradient of the sum, which all ranks have alike."""

    @staticmethod
    def forward(ctx, x, group):
        return _sum(x, group)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_out):
        return d_out, None


def _sum(x, group):
    total = widen(x).clone(memory_format=torch.contiguous_format)
    with patience(group):
        dist.all_reduce(total, group=group)
    return total.to(x.dtype)
