"""Masked self-attention: no position may look ahead, so that a decoder can be trained on all at once."""

from jaxtyping import Bool, Float

from step01_numpy.arrays import Array
from step01_numpy.self_attention import AttentionHead


class MaskedSelfAttention(AttentionHead):
    """One head of causal self-attention: position i sees positions 0 to i."""

    def forward(
        self, x: Float[Array, "*batch L d_model"], mask: Bool[Array, "..."] | None = None
    ) -> Float[Array, "*batch L d_head"]:
        """Attend from each row of x to itself and the rows before it that `mask`, (..., L, L), allows."""
        q, k, v = self.w_q(x), self.w_k(x), self.w_v(x)
        out, weights = self.attend.forward(q, k, v, mask, causal=True)
        self.saved = q, k, v, out, weights, mask
        return out

    def backward(self, d_out: Float[Array, "*batch L d_head"]) -> Float[Array, "*batch L d_model"]:
        """Return d_x: 0 flows from position i to the positions behind it."""
        d_q, d_k, d_v = self.attend.backward(d_out, *self.saved, causal=True)
        return self.w_q.backward(d_q) + self.w_k.backward(d_k) + self.w_v.backward(d_v)
