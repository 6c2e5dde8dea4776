"""The Transformer of 2017: an encoder reads the source, a decoder writes the target and looks back at it."""

from math import sqrt

import numpy as np
from jaxtyping import Bool, Float, Int

from step01_numpy.arrays import Array, random_generator
from step01_numpy.attention import STANDARD, Attend
from step01_numpy.blocks import DecoderBlock, EncoderBlock
from step01_numpy.common import checks
from step01_numpy.common.batches import PAD
from step01_numpy.common.configuration import ModelConfig
from step01_numpy.layers import Dropout, Embedding, LayerNorm
from step01_numpy.parameters import Layer, linear, linear_backward
from step01_numpy.positions import LearnedPositions, sinusoidal_positions


class PositionalInput(Layer):
    """
    What a stack of blocks reads: embeddings times √d_model, plus positions, with dropout.

    Parameters
    ----------
    config : ModelConfig
    rng : numpy.random.Generator, optional
        Source of learned positions and dropout.
    """

    def __init__(self, config: ModelConfig, *, rng=None):
        self.kind, self.max_positions = config.positions, config.max_positions
        self.learned = None
        if config.positions == "learned":
            self.learned = LearnedPositions(config.max_positions, config.d_model, rng=rng)
        self.dropout = Dropout(config.dropout, rng=rng)

    def forward(self, embedded: Float[Array, "B L d_model"], start: int = 0) -> Float[Array, "B L d_model"]:
        """Add the positions from `start` on."""
        _, length, d_model = embedded.shape
        end = start + length
        checks.at_most("sequence length", end, "max_positions", self.max_positions)
        x = embedded * sqrt(d_model)
        if self.kind == "sinusoidal":
            x = x + sinusoidal_positions(end, d_model, like=x)[start:]
        if self.kind == "learned":
            x = x + self.learned(np.arange(start, end, like=x))
        return self.dropout(x)

    def backward(self, d_out: Float[Array, "B L d_model"]) -> Float[Array, "B L d_model"]:
        """Return the gradient of the embeddings."""
        d_x = self.dropout.backward(d_out)
        if self.kind == "learned":
            self.learned.backward(d_x.sum(axis=0))
        return d_x * sqrt(d_x.shape[-1])


class Encoder(Layer):
    """
    Embedded source in, memory out.

    Parameters
    ----------
    config : ModelConfig
    attend : Attend
        The attention of all blocks.
    rng : numpy.random.Generator, optional
        Source of weights and dropout.
    """

    def __init__(self, config: ModelConfig, *, attend: Attend = STANDARD, rng=None):
        self.input = PositionalInput(config, rng=rng)
        self.blocks = [EncoderBlock(config, attend=attend, rng=rng) for _ in range(config.n_layers)]
        self.norm = LayerNorm(config.d_model) if config.norm_first else None

    def forward(
        self, embedded: Float[Array, "B S d_model"], mask: Bool[Array, "B 1 1 S"] | None = None
    ) -> Float[Array, "B S d_model"]:
        """Return the memory, (B, S, d_model)."""
        x = self.input(embedded)
        for block in self.blocks:
            x = block(x, mask)
        return x if self.norm is None else self.norm(x)

    def backward(self, d_memory: Float[Array, "B S d_model"]) -> Float[Array, "B S d_model"]:
        """Return the gradient of the embedded source."""
        d_x = d_memory if self.norm is None else self.norm.backward(d_memory)
        for block in reversed(self.blocks):
            d_x = block.backward(d_x)
        return self.input.backward(d_x)


class Decoder(Layer):
    """Embedded target and memory in, hidden rows out, one for each next token. Parameters as in `Encoder`."""

    def __init__(self, config: ModelConfig, *, attend: Attend = STANDARD, rng=None):
        self.input = PositionalInput(config, rng=rng)
        self.blocks = [DecoderBlock(config, attend=attend, rng=rng) for _ in range(config.n_layers)]
        self.norm = LayerNorm(config.d_model) if config.norm_first else None

    def forward(
        self,
        embedded: Float[Array, "B L d_model"],
        memory: Float[Array, "B S d_model"],
        memory_mask: Bool[Array, "B 1 1 S"] | None = None,
        *,
        caches: list | None = None,
    ) -> Float[Array, "B L d_model"]:
        """Run the blocks; with `caches`, a pair (self, cross) of `KVCache` for each, `embedded` continues."""
        x = self.input(embedded, 0 if caches is None else caches[0][0].length)
        for block, pair in zip(self.blocks, caches or [(None, None)] * len(self.blocks), strict=True):
            x = block(x, memory, memory_mask, caches=pair)
        return x if self.norm is None else self.norm(x)

    def backward(
        self, d_hidden: Float[Array, "B L d_model"]
    ) -> tuple[Float[Array, "B L d_model"], Float[Array, "B S d_model"]]:
        """Return the gradients of the embedded target and of the memory, which every block has read."""
        d_x, d_memory = d_hidden if self.norm is None else self.norm.backward(d_hidden), 0
        for block in reversed(self.blocks):
            d_x, d_context = block.backward(d_x)
            d_memory = d_memory + d_context
        return self.input.backward(d_x), d_memory


class Transformer(Layer):
    """
    Encoder and decoder over one vocabulary; one matrix embeds source and target and projects to the logits.

    Parameters
    ----------
    config : ModelConfig
    attend : Attend
        The attention of all blocks.
    rng : numpy.random.Generator, optional
        Source of weights and dropout.

    References
    ----------
    Vaswani et al. 2017, arXiv:1706.03762; the shared matrix: section 3.4 and Press and Wolf 2017,
    arXiv:1608.05859.
    """

    def __init__(self, config: ModelConfig, *, attend: Attend = STANDARD, rng=None):
        rng = random_generator() if rng is None else rng
        self.config, self.rng = config, rng
        self.embedding = Embedding(config.vocab_size, config.d_model, rng=rng)
        self.encoder = Encoder(config, attend=attend, rng=rng)
        self.decoder = Decoder(config, attend=attend, rng=rng)

    def forward(self, source: Int[Array, "B S"], target: Int[Array, "B L"]) -> Float[Array, "B L vocab_size"]:
        """Return the logits of the token that follows each of the target's, padded with 0 as the source."""
        hidden = self.hidden(source, target)
        self.saved_hidden = hidden
        return linear(hidden, self.embedding.weight.data)

    def backward(self, d_logits: Float[Array, "B L vocab_size"]) -> None:
        """Differentiate `forward`: tokens have no gradient, so it returns nothing."""
        d_hidden, d_weight, _ = linear_backward(d_logits, self.saved_hidden, self.embedding.weight.data)
        self.embedding.weight.accumulate(d_weight)
        self.hidden_backward(d_hidden)

    def hidden(self, source: Int[Array, "B S"], target: Int[Array, "B L"]) -> Float[Array, "B L d_model"]:
        """Return what the logits are a projection of; the loss can do without the logits themselves."""
        checks.rank("target", target, 2)
        self.saved = source, target
        memory, memory_mask = self.encode(source)
        return self.decoder(self.embedding(target), memory, memory_mask)

    def hidden_backward(self, d_hidden: Float[Array, "B L d_model"]) -> None:
        """Differentiate `hidden`: down the decoder, then down the encoder."""
        source, target = self.saved
        d_target, d_memory = self.decoder.backward(d_hidden)
        self.embedding.backward(d_target, target)
        self.embedding.backward(self.encoder.backward(d_memory), source)

    def encode(self, source: Int[Array, "B S"]) -> tuple[Float[Array, "B S d_model"], Bool[Array, "B 1 1 S"]]:
        """Return the memory and the mask that hides its padding."""
        checks.rank("source", source, 2)
        mask = (source != PAD)[:, None, None, :]
        return self.encoder(self.embedding(source), mask), mask
