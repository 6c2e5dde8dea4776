"""The Transformer of 2017: an encoder reads the source, a decoder writes the target and looks back at it."""

from math import sqrt

import torch
from jaxtyping import Bool, Float, Int
from torch.nn import ModuleList

from step01_numpy.common import checks
from step01_numpy.common.batches import PAD
from step01_numpy.common.configuration import ModelConfig
from step02_torch.arrays import Array, random_generator
from step02_torch.attention import STANDARD, Attend
from step02_torch.blocks import DecoderBlock, EncoderBlock
from step02_torch.layers import Dropout, Embedding, LayerNorm
from step02_torch.parameters import Layer, linear
from step02_torch.positions import LearnedPositions, sinusoidal_positions


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
        super().__init__()
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
            x = x + self.learned(torch.arange(start, end, device=x.device))
        return self.dropout(x)


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
        super().__init__()
        self.input = PositionalInput(config, rng=rng)
        blocks = [EncoderBlock(config, attend=attend, rng=rng) for _ in range(config.n_layers)]
        self.blocks = ModuleList(blocks)
        self.norm = LayerNorm(config.d_model) if config.norm_first else None

    def forward(
        self, embedded: Float[Array, "B S d_model"], mask: Bool[Array, "B 1 1 S"] | None = None
    ) -> Float[Array, "B S d_model"]:
        """Return the memory, (B, S, d_model)."""
        x = self.input(embedded)
        for block in self.blocks:
            x = block(x, mask)
        return x if self.norm is None else self.norm(x)


class Decoder(Layer):
    """Embedded target and memory in, hidden rows out, one for each next token. Parameters as in `Encoder`."""

    def __init__(self, config: ModelConfig, *, attend: Attend = STANDARD, rng=None):
        super().__init__()
        self.input = PositionalInput(config, rng=rng)
        blocks = [DecoderBlock(config, attend=attend, rng=rng) for _ in range(config.n_layers)]
        self.blocks = ModuleList(blocks)
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
        super().__init__()
        rng = random_generator() if rng is None else rng
        self.config, self.rng = config, rng
        self.embedding = Embedding(config.vocab_size, config.d_model, rng=rng)
        self.encoder = Encoder(config, attend=attend, rng=rng)
        self.decoder = Decoder(config, attend=attend, rng=rng)

    def forward(self, source: Int[Array, "B S"], target: Int[Array, "B L"]) -> Float[Array, "B L vocab_size"]:
        """Return the logits of the token that follows each of the target's, padded with 0 as the source."""
        return linear(self.hidden(source, target), self.embedding.weight)

    def hidden(self, source: Int[Array, "B S"], target: Int[Array, "B L"]) -> Float[Array, "B L d_model"]:
        """Return what the logits are a projection of; the loss can do without the logits themselves."""
        checks.rank("target", target, 2)
        memory, memory_mask = self.encode(source)
        return self.decoder(self.embedding(target), memory, memory_mask)

    def encode(self, source: Int[Array, "B S"]) -> tuple[Float[Array, "B S d_model"], Bool[Array, "B 1 1 S"]]:
        """Return the memory and the mask that hides its padding."""
        checks.rank("source", source, 2)
        mask = (source != PAD)[:, None, None, :]
        return self.encoder(self.embedding(source), mask), mask
