"""The blocks of a Transformer: attention and feed-forward, each in a residual with a norm."""

from jaxtyping import Bool, Float

from step01_numpy.common.configuration import ModelConfig
from step02_torch.arrays import Array
from step02_torch.attention import STANDARD, Attend
from step02_torch.layers import Dropout, FeedForward, LayerNorm
from step02_torch.multi_head_attention import MultiHeadAttention
from step02_torch.parameters import Layer
from step02_torch.positions import Rotary


class Residual(Layer):
    """
    The way around a sublayer: pre-norm x + f(norm(x)), or post-norm norm(x + f(x)), with dropout on f.

    Parameters
    ----------
    config : ModelConfig
    rng : numpy.random.Generator, optional
        Source of the dropout.

    References
    ----------
    Post-norm: Vaswani et al. 2017, section 3.1. Pre-norm: Xiong et al. 2020, arXiv:2002.04745.
    """

    def __init__(self, config: ModelConfig, *, rng=None):
        super().__init__()
        self.norm_first = config.norm_first
        self.norm = LayerNorm(config.d_model)
        self.dropout = Dropout(config.dropout, rng=rng)

    def forward(self, x: Float[Array, "B L d_model"], sublayer) -> Float[Array, "B L d_model"]:
        """Lead x, (B, L, d_model), through the sublayer and around it."""
        if self.norm_first:
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))


class EncoderBlock(Layer):
    """Self-attention, then feed-forward, each in a residual. Parameters as in `Encoder`."""

    def __init__(self, config: ModelConfig, *, attend: Attend = STANDARD, rng=None):
        super().__init__()
        self.self_attention = _self_attention(config, attend, rng)
        self.self_attention_residual = Residual(config, rng=rng)
        self.feed_forward = FeedForward(config.d_model, config.d_ff, rng=rng)
        self.feed_forward_residual = Residual(config, rng=rng)

    def forward(
        self, x: Float[Array, "B S d_model"], mask: Bool[Array, "B 1 1 S"] | None = None
    ) -> Float[Array, "B S d_model"]:
        """Return x, (B, S, d_model), having read what `mask` lets it see."""
        x = self.self_attention_residual(x, lambda y: self.self_attention(y, mask=mask))
        return self.feed_forward_residual(x, self.feed_forward)


class DecoderBlock(Layer):
    """Causal self-attention, cross-attention to the memory, feed-forward. Parameters as in `Decoder`."""

    def __init__(self, config: ModelConfig, *, attend: Attend = STANDARD, rng=None):
        super().__init__()
        self.self_attention = _self_attention(config, attend, rng)
        self.self_attention_residual = Residual(config, rng=rng)
        self.cross_attention = MultiHeadAttention(
            config.d_model, config.n_heads, config.n_kv_heads, attend=attend, rng=rng
        )
        self.cross_attention_residual = Residual(config, rng=rng)
        self.feed_forward = FeedForward(config.d_model, config.d_ff, rng=rng)
        self.feed_forward_residual = Residual(config, rng=rng)

    def forward(
        self,
        x: Float[Array, "B L d_model"],
        memory: Float[Array, "B S d_model"],
        memory_mask: Bool[Array, "B 1 1 S"] | None = None,
        *,
        caches: tuple = (None, None),
    ) -> Float[Array, "B L d_model"]:
        """Return x, (B, L, d_model); `caches` are those of self- and of cross-attention."""
        own, cross = caches
        x = self.self_attention_residual(x, lambda y: self.self_attention(y, causal=True, cache=own))
        x = self.cross_attention_residual(
            x, lambda y: self.cross_attention(y, memory, memory_mask, cache=cross)
        )
        return self.feed_forward_residual(x, self.feed_forward)


def _self_attention(config: ModelConfig, attend: Attend, rng) -> MultiHeadAttention:
    """Build a block's self-attention; rotary positions live here, all others in the embedding."""
    rotary = Rotary(config.d_model // config.n_heads) if config.positions == "rotary" else None
    return MultiHeadAttention(
        config.d_model, config.n_heads, config.n_kv_heads, rotary=rotary, attend=attend, rng=rng
    )
