"""The parts of a Transformer that its configuration shapes: input, residual, block."""

from math import sqrt

import numpy as np
from jaxtyping import Bool, Float, Int

from step01_numpy.arrays import Array
from step01_numpy.attention import STANDARD, Attend
from step01_numpy.block_attention import block_attention
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.support import ranges
from step01_numpy.feed_forward import FeedForward
from step01_numpy.layers import NORMS, Dropout, Embedding, LearnedPositions
from step01_numpy.parameters import Layer
from step01_numpy.positions import sinusoids
from step01_numpy.rotary import Rotary


class PositionalInput(Layer):
    """
    What a stack of blocks reads: embeddings, scaled, plus positions and segments, normed, with dropout.

    Parameters
    ----------
    config : ModelConfig
    rng : numpy.random.Generator, optional
        Source of learned rows and dropout.
    """

    def __init__(self, config: ModelConfig, *, rng=None):
        self.kind, self.max_positions = config.positions, config.max_positions
        self.scale = sqrt(config.d_model) if config.scale_embedding else 1.0
        learned, segmented = config.positions == "learned", config.n_segments > 0
        self.learned = LearnedPositions(config.max_positions, config.d_model, rng=rng) if learned else None
        self.segments = Embedding(config.n_segments, config.d_model, rng=rng) if segmented else None
        self.norm = _norm(config) if config.embedding_norm else None
        self.dropout = Dropout(config.dropout, rng=rng)

    def forward(
        self,
        embedded: Float[Array, "B L d_model"],
        positions: Int[Array, "rows L"],
        segments: Int[Array, "B L"] | None = None,
    ) -> Float[Array, "B L d_model"]:
        """Add what tells the positions, (B, L) or (1, L), and the segments, 0 where not given."""
        ranges.positions(positions, self.max_positions)
        x = embedded * self.scale
        if self.kind.startswith("sinusoidal"):
            rows = sinusoids(positions, x.shape[-1], interleaved=self.kind == "sinusoidal")
            x = x + rows.astype(x.dtype)
        if self.learned is not None:
            x = x + self.learned(positions)
        if self.segments is not None:
            segments = np.zeros_like(positions) if segments is None else segments
            x = x + self.segments(segments)
        self.saved = segments
        return self.dropout(x if self.norm is None else self.norm(x))

    def backward(self, d_out: Float[Array, "B L d_model"]) -> Float[Array, "B L d_model"]:
        """Return the gradient of the embeddings."""
        d_x = self.dropout.backward(d_out)
        d_x = d_x if self.norm is None else self.norm.backward(d_x)
        if self.segments is not None:
            self.segments.backward(_sum_rows(d_x, self.saved), self.saved)
        if self.learned is not None:
            self.learned.backward(_sum_rows(d_x, self.learned.saved))
        return d_x * self.scale


def _sum_rows(d_x, indices):
    """Sum over the batch where one row of positions has served all of it."""
    return d_x.sum(axis=0, keepdims=True) if len(indices) == 1 else d_x


class Residual(Layer):
    """
    The way around a sublayer: pre-norm x + f(norm(x)), or post-norm norm(x + f(x)), with dropout on f.

    With a norm on either side of the sublayer, Gemma 2's, it is x + norm_after(f(norm(x))).

    Parameters
    ----------
    config : ModelConfig
    rng : numpy.random.Generator, optional
        Source of the dropout.

    References
    ----------
    Post-norm: Vaswani et al. 2017, section 3.1. Pre-norm: Xiong et al. 2020, arXiv:2002.04745.
    Both: Gemma 2, 2024, arXiv:2408.00118.
    """

    def __init__(self, config: ModelConfig, *, rng=None):
        self.norm_first = config.norm_first
        self.norm = _norm(config)
        self.norm_after = _norm(config) if config.norm_after else None
        self.dropout = Dropout(config.dropout, rng=rng)

    def forward(self, x: Float[Array, "B L d_model"], sublayer) -> Float[Array, "B L d_model"]:
        """Lead x, (B, L, d_model), through the sublayer and around it."""
        if self.norm_first:
            out = sublayer(self.norm(x))
            return x + self.dropout(out if self.norm_after is None else self.norm_after(out))
        return self.norm(x + self.dropout(sublayer(x)))

    def backward(self, d_out: Float[Array, "B L d_model"], sublayer_backward) -> Float[Array, "B L d_model"]:
        """Return d_x, the sum of what comes by either way; `sublayer_backward` maps d_f to d_x."""
        if self.norm_first:
            d_f = self.dropout.backward(d_out)
            d_f = d_f if self.norm_after is None else self.norm_after.backward(d_f)
            return d_out + self.norm.backward(sublayer_backward(d_f))
        d_sum = self.norm.backward(d_out)
        return d_sum + sublayer_backward(self.dropout.backward(d_sum))


class Block(Layer):
    """
    Self-attention, cross-attention where there is a memory, feed-forward, each in a residual.

    Parameters
    ----------
    config : ModelConfig
    number : int
        Which block of the stack, counted from 0.
    causal : bool
        Whether a position sees itself and what is before it, or everything.
    cross : bool
        Whether it attends to a memory too.
    attend : Attend
        The attention.
    rng : numpy.random.Generator, optional
        Source of weights and dropout.
    """

    def __init__(
        self,
        config: ModelConfig,
        number: int = 0,
        *,
        causal: bool = False,
        cross: bool = False,
        attend: Attend = STANDARD,
        rng=None,
    ):
        window = config.window_of(number)
        self.options = {"causal": causal, "window": None if window is None else (window - 1, None)}
        options = {"attend": attend, "rng": rng}
        self.self_attention = block_attention(config, rotary=_rotary(config, window), **options)
        self.self_attention_residual = Residual(config, rng=rng)
        self.cross_attention = block_attention(config, **options) if cross else None
        self.cross_attention_residual = Residual(config, rng=rng) if cross else None
        options = {"activation": config.activation, "gated": config.gated, "bias": config.bias, "rng": rng}
        self.feed_forward = FeedForward(config.d_model, config.d_ff, **options)
        self.feed_forward_residual = Residual(config, rng=rng)

    def forward(
        self,
        x: Float[Array, "B L d_model"],
        memory: Float[Array, "B M d_model"] | None = None,
        *,
        mask: Bool[Array, "B 1 1 S"] | None = None,
        positions: Int[Array, "rows L"] | None = None,
        memory_mask: Bool[Array, "B 1 1 M"] | None = None,
        caches: tuple = (None, None),
    ) -> Float[Array, "B L d_model"]:
        """Return x, (B, L, d_model); `caches` are those of self- and of cross-attention."""
        own, cross = caches
        options = {**self.options, "mask": mask, "positions": positions, "cache": own}
        x = self.self_attention_residual(x, lambda y: self.self_attention(y, **options))
        if self.cross_attention is not None:
            x = self.cross_attention_residual(
                x, lambda y: self.cross_attention(y, memory, memory_mask, cache=cross)
            )
        return self.feed_forward_residual(x, self.feed_forward)

    def backward(
        self, d_out: Float[Array, "B L d_model"]
    ) -> tuple[Float[Array, "B L d_model"], Float[Array, "B M d_model"] | None]:
        """Return d_x and d_memory, which is None where there is no memory."""
        d_memory = []

        def cross_attention_backward(d):
            d_y, d_context = self.cross_attention.backward(d)
            d_memory.append(d_context)
            return d_y

        d_x = self.feed_forward_residual.backward(d_out, self.feed_forward.backward)
        if self.cross_attention is not None:
            d_x = self.cross_attention_residual.backward(d_x, cross_attention_backward)
        d_x = self.self_attention_residual.backward(d_x, lambda d: self.self_attention.backward(d)[0])
        return d_x, d_memory[0] if d_memory else None


def _norm(config: ModelConfig) -> Layer:
    return NORMS[config.norm](config.d_model, eps=config.norm_eps)


def _rotary(config: ModelConfig, window: int | None) -> Rotary | None:
    """Build what turns queries and keys; other positions are added to the input."""
    if config.positions != "rotary":
        return None
    if window is not None and config.rotary_base_windowed is not None:
        return Rotary(config.head_size, base=config.rotary_base_windowed)
    options = {"base": config.rotary_base, "scaling": config.rotary_scaling}
    return Rotary(config.head_size, **options)
