"""The parts of a Transformer that its configuration shapes: input, residual, block, head."""

from math import sqrt

import torch
from jaxtyping import Bool, Float, Int

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.support import checks
from step02_torch.arrays import Array
from step02_torch.attention import STANDARD, Attend
from step02_torch.block_attention import block_attention
from step02_torch.feed_forward import ACTIVATIONS, FeedForward
from step02_torch.layers import NORMS, Dropout, Embedding, LearnedPositions
from step02_torch.parameters import Layer, Linear, Parameter, normal
from step02_torch.positions import sinusoids
from step02_torch.rotary import Rotary


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
        super().__init__()
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
        checks.at_most("sequence length", int(positions.max()) + 1, "max_positions", self.max_positions)
        x = embedded * self.scale
        if self.kind.startswith("sinusoidal"):
            rows = sinusoids(positions, x.shape[-1], interleaved=self.kind == "sinusoidal")
            x = x + rows.to(x.dtype)
        if self.learned is not None:
            x = x + self.learned(positions)
        if self.segments is not None:
            x = x + self.segments(torch.zeros_like(positions) if segments is None else segments)
        return self.dropout(x if self.norm is None else self.norm(x))


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
        self.norm = _norm(config)
        self.dropout = Dropout(config.dropout, rng=rng)

    def forward(self, x: Float[Array, "B L d_model"], sublayer) -> Float[Array, "B L d_model"]:
        """Lead x, (B, L, d_model), through the sublayer and around it."""
        if self.norm_first:
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))


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
        super().__init__()
        window = config.window_of(number)
        self.options = {"causal": causal, "window": None if window is None else (window - 1, None)}
        options = {"attend": attend, "rng": rng}
        self.self_attention = block_attention(config, rotary=_rotary(config), **options)
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


class Head(Layer):
    """
    From hidden rows to logits: a transformation where BERT has one, then a linear projection.

    Parameters
    ----------
    config : ModelConfig
        Tied, the projection is by the embedding's matrix; otherwise by one of its own.
    rng : numpy.random.Generator, optional
        Source of the initial weights.

    References
    ----------
    The shared matrix: Press and Wolf 2017, arXiv:1608.05859.
    """

    def __init__(self, config: ModelConfig, *, rng=None):
        super().__init__()
        d_model, transformed = config.d_model, config.head == "transformed"
        self.activate = ACTIVATIONS[config.activation]
        self.dense = Linear(d_model, d_model, rng=rng) if transformed else None
        self.norm = _norm(config) if transformed else None
        shape = config.vocab_size, d_model
        self.weight = None if config.tied else Parameter(normal(1 / sqrt(d_model), shape, rng))
        self.bias = Parameter(torch.zeros(config.vocab_size)) if config.head_bias else None

    def forward(self, hidden: Float[Array, "B L d_model"]) -> Float[Array, "B L d_model"]:
        """Return the rows that are projected."""
        if self.dense is None:
            return hidden
        return self.norm(self.activate(self.dense(hidden)))

    def projection(self, embedding: Embedding) -> tuple[Parameter, Parameter | None]:
        """Return the weight, (vocab_size, d_model), and the bias of the projection."""
        return embedding.weight if self.weight is None else self.weight, self.bias


def _norm(config: ModelConfig) -> Layer:
    return NORMS[config.norm](config.d_model, eps=config.norm_eps)


def _rotary(config: ModelConfig) -> Rotary | None:
    """Build what turns queries and keys; other positions are added to the input."""
    if config.positions != "rotary":
        return None
    options = {"base": config.rotary_base, "scaling": config.rotary_scaling}
    return Rotary(config.head_size, **options)
