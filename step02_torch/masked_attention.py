"""Masked self-attention: no position may look ahead, so that a decoder can be trained on all at once."""

from jaxtyping import Bool, Float

from step02_torch.arrays import Array
from step02_torch.self_attention import AttentionHead


class MaskedSelfAttention(AttentionHead):
    """One head of causal self-attention: position i sees positions 0 to i."""

    def forward(
        self, x: Float[Array, "*batch L d_model"], mask: Bool[Array, "..."] | None = None
    ) -> Float[Array, "*batch L d_head"]:
        """Attend from each row of x to itself and the rows before it that `mask`, (..., L, L), allows."""
        q, k, v = self.w_q(x), self.w_k(x), self.w_v(x)
        out, _ = self.attend(q, k, v, mask, causal=True)
        return out
