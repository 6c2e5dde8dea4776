"""Self-attention: every position of a sequence asks all positions of the same sequence."""

from jaxtyping import Bool, Float

from step02_torch.arrays import Array
from step02_torch.attention import STANDARD, Attend
from step02_torch.parameters import Layer, Linear


class AttentionHead(Layer):
    """
    What the three kinds of attention with one head share: the weights W_q, W_k and W_v.

    Parameters
    ----------
    d_model : int
        Size of the rows that attend and are attended to.
    d_head : int, optional
        Size of queries, keys and values; d_model when not given.
    bias : bool
        Whether the projections add one.
    attend : Attend
    rng : numpy.random.Generator, optional
        Source of the initial weights; PyTorch's own when not given.
    """

    def __init__(
        self,
        d_model: int,
        d_head: int | None = None,
        *,
        bias: bool = False,
        attend: Attend = STANDARD,
        rng=None,
    ):
        super().__init__()
        d_head = d_model if d_head is None else d_head
        self.w_q = Linear(d_model, d_head, bias=bias, rng=rng)
        self.w_k = Linear(d_model, d_head, bias=bias, rng=rng)
        self.w_v = Linear(d_model, d_head, bias=bias, rng=rng)
        self.attend = attend


class SelfAttention(AttentionHead):
    """One head of self-attention: queries, keys and values are three linear views of the same x."""

    def forward(
        self, x: Float[Array, "*batch L d_model"], mask: Bool[Array, "..."] | None = None
    ) -> Float[Array, "*batch L d_head"]:
        """Attend from each row of x to every row of x that `mask`, (..., L, L), allows."""
        q, k, v = self.w_q(x), self.w_k(x), self.w_v(x)
        out, _ = self.attend(q, k, v, mask)
        return out
