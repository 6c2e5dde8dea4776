"""The blocks of a Transformer: attention and feed-forward, each in a residual with a norm."""

from jaxtyping import Bool, Float

from step01_numpy.arrays import Array
from step01_numpy.attention import STANDARD, Attend
from step01_numpy.common.configuration import ModelConfig
from step01_numpy.layers import Dropout, FeedForward, LayerNorm
from step01_numpy.multi_head_attention import MultiHeadAttention
from step01_numpy.parameters import Layer
from step01_numpy.positions import Rotary


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
        self.norm_first = config.norm_first
        self.norm = LayerNorm(config.d_model)
        self.dropout = Dropout(config.dropout, rng=rng)

    def forward(self, x: Float[Array, "B L d_model"], sublayer) -> Float[Array, "B L d_model"]:
        """Lead x, (B, L, d_model), through the sublayer and around it."""
        if self.norm_first:
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))

    def backward(self, d_out: Float[Array, "B L d_model"], sublayer_backward) -> Float[Array, "B L d_model"]:
        """Return d_x, the sum of what comes by either way; `sublayer_backward` maps d_f to d_x."""
        if self.norm_first:
            return d_out + self.norm.backward(sublayer_backward(self.dropout.backward(d_out)))
        d_sum = self.norm.backward(d_out)
        return d_sum + sublayer_backward(self.dropout.backward(d_sum))


class EncoderBlock(Layer):
    """Self-attention, then feed-forward, each in a residual. Parameters as in `Encoder`."""

    def __init__(self, config: ModelConfig, *, attend: Attend = STANDARD, rng=None):
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

    def backward(self, d_out: Float[Array, "B S d_model"]) -> Float[Array, "B S d_model"]:
        """Return d_x, (B, S, d_model)."""
        d_x = self.feed_forward_residual.backward(d_out, self.feed_forward.backward)
        return self.self_attention_residual.backward(d_x, lambda d: self.self_attention.backward(d)[0])


class DecoderBlock(Layer):
    """Causal self-attention, cross-attention to the memory, feed-forward. Parameters as in `Decoder`."""

    def __init__(self, config: ModelConfig, *, attend: Attend = STANDARD, rng=None):
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

    def backward(
        self, d_out: Float[Array, "B L d_model"]
    ) -> tuple[Float[Array, "B L d_model"], Float[Array, "B S d_model"]]:
        """Return d_x and d_memory."""
        d_memory = []

        def cross_attention_backward(d):
            d_y, d_context = self.cross_attention.backward(d)
            d_memory.append(d_context)
            return d_y

        d_x = self.feed_forward_residual.backward(d_out, self.feed_forward.backward)
        d_x = self.cross_attention_residual.backward(d_x, cross_attention_backward)
        d_x = self.self_attention_residual.backward(d_x, lambda d: self.self_attention.backward(d)[0])
        return d_x, d_memory[0]


def _self_attention(config: ModelConfig, attend: Attend, rng) -> MultiHeadAttention:
    """Build a block's self-attention; rotary positions live here, all others in the embedding."""
    rotary = Rotary(config.d_model // config.n_heads) if config.positions == "rotary" else None
    return MultiHeadAttention(
        config.d_model, config.n_heads, config.n_kv_heads, rotary=rotary, attend=attend, rng=rng
    )
