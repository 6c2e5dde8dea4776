"""Cross-attention: the positions of one sequence ask those of another, as a translation asks its source."""

from jaxtyping import Bool, Float

from step01_numpy.arrays import Array
from step01_numpy.self_attention import AttentionHead


class CrossAttention(AttentionHead):
    """One head of cross-attention: queries from x, keys and values from the context."""

    def forward(
        self,
        x: Float[Array, "*batch L d_model"],
        context: Float[Array, "*batch S d_model"],
        mask: Bool[Array, "..."] | None = None,
    ) -> Float[Array, "*batch L d_head"]:
        """Attend from each row of x to every row of the context that `mask`, (..., L, S), allows."""
        q, k, v = self.w_q(x), self.w_k(context), self.w_v(context)
        out, weights = self.attend.forward(q, k, v, mask)
        self.saved = q, k, v, out, weights, mask
        return out

    def backward(
        self, d_out: Float[Array, "*batch L d_head"]
    ) -> tuple[Float[Array, "*batch L d_model"], Float[Array, "*batch S d_model"]]:
        """Return d_x and d_context."""
        d_q, d_k, d_v = self.attend.backward(d_out, *self.saved)
        return self.w_q.backward(d_q), self.w_k.backward(d_k) + self.w_v.backward(d_v)
