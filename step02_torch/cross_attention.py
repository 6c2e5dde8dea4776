"""Cross-attention: the positions of one sequence ask those of another, as a translation asks its source."""

from jaxtyping import Bool, Float

from step02_torch.arrays import Array
from step02_torch.self_attention import AttentionHead


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
        out, _ = self.attend(q, k, v, mask)
        return out
