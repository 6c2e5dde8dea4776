"""The Transformer of 2017: an encoder reads the source, a decoder writes the target and looks back at it."""

import torch
from jaxtyping import Bool, Float, Int
from torch.nn import ModuleList

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.support import checks
from step02_torch.arrays import Array, random_generator
from step02_torch.attention import STANDARD, Attend
from step02_torch.blocks import Block, PositionalInput
from step02_torch.cache import KVCache
from step02_torch.head import Head
from step02_torch.layers import NORMS, Embedding
from step02_torch.parameters import Layer, Parameter


class DecoderCache:
    """
    All that decoding has to remember of a batch.

    Attributes
    ----------
    blocks : list of (KVCache, KVCache)
        For self- and for cross-attention.
    mask : (B, S) or None
        Which of the positions seen are real; all where it is None.
    memory, memory_mask : (B, M, d_model), (B, M), or None
        What an encoder has read.
    """

    def __init__(self, config: ModelConfig, *, mask=None, memory=None, memory_mask=None):
        windows = map(config.window_of, range(config.n_layers))
        self.blocks = [(KVCache(None if w is None else w - 1), KVCache()) for w in windows]
        self.mask, self.memory, self.memory_mask = mask, memory, memory_mask

    @property
    def length(self) -> int:
        """Number of positions seen."""
        return self.blocks[0][0].length

    def reorder(self, rows: Int[Array, " B"]) -> None:
        """Let row b continue what was row `rows[b]`: beams are kept, dropped or doubled."""
        for name in ("mask", "memory", "memory_mask"):
            x = getattr(self, name)
            setattr(self, name, None if x is None else x[rows.long()])
        for pair in self.blocks:
            for cache in pair:
                cache.reorder(rows)


class Stack(Layer):
    """
    Embedded tokens in, hidden rows out: the input, blocks one upon another, and the last norm of pre-norm.

    Parameters
    ----------
    config : ModelConfig
    causal, cross : bool
        As in `Block`. An encoder is neither; the decoder of 2017 is both; GPT's and Llama's is causal alone.
    attend : Attend
        The attention of all blocks.
    rng : numpy.random.Generator, optional
        Source of weights and dropout.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        causal: bool = False,
        cross: bool = False,
        attend: Attend = STANDARD,
        rng=None,
    ):
        super().__init__()
        self.input = PositionalInput(config, rng=rng)
        options = {"causal": causal, "cross": cross, "attend": attend, "rng": rng}
        self.blocks = ModuleList([Block(config, i, **options) for i in range(config.n_layers)])
        self.norm = NORMS[config.norm](config.d_model, eps=config.norm_eps) if config.norm_first else None

    def forward(
        self,
        embedded: Float[Array, "B L d_model"],
        mask: Bool[Array, "B S"] | None = None,
        *,
        segments: Int[Array, "B L"] | None = None,
        memory: Float[Array, "B M d_model"] | None = None,
        memory_mask: Bool[Array, "B M"] | None = None,
        cache: DecoderCache | None = None,
    ) -> Float[Array, "B L d_model"]:
        """
        Run the blocks.

        Parameters
        ----------
        embedded : (B, L, d_model)
        mask : (B, S), optional
            True for real tokens, False for padding, on either side; with a cache, of all positions seen.
        segments : (B, L), optional
        memory, memory_mask : (B, M, d_model), (B, M), optional
            What cross-attention looks at.
        cache : DecoderCache, optional
            What `embedded` continues.

        Returns
        -------
        hidden : (B, L, d_model)
        """
        start, length = 0 if cache is None else cache.length, embedded.shape[1]
        if mask is None:
            positions = torch.arange(start, start + length, device=embedded.device)[None, :]
        else:  # the first real token stands at position 0
            positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -length:]
        x = self.input(embedded, positions, segments)
        masks = {"mask": _over_heads(mask), "memory_mask": _over_heads(memory_mask)}
        pairs = [(None, None)] * len(self.blocks) if cache is None else cache.blocks
        for block, caches in zip(self.blocks, pairs, strict=True):
            x = block(x, memory, positions=positions, caches=caches, **masks)
        return x if self.norm is None else self.norm(x)


def _over_heads(mask):
    """Make a mask of keys, (B, S), one that broadcasts over heads and queries, (B, 1, 1, S)."""
    return None if mask is None else mask[:, None, None, :]


class Transformer(Layer):
    """
    Encoder and decoder over one vocabulary, and one matrix that embeds both.

    Parameters
    ----------
    config : ModelConfig
    attend : Attend
        The attention of all blocks.
    rng : numpy.random.Generator, optional
        Source of weights and dropout.

    References
    ----------
    Vaswani et al. 2017, arXiv:1706.03762.
    """

    def __init__(self, config: ModelConfig, *, attend: Attend = STANDARD, rng=None):
        super().__init__()
        rng = random_generator() if rng is None else rng
        self.config, self.rng, self.softcap = config, rng, config.logit_softcap
        self.embedding = Embedding(config.vocab_size, config.d_model, rng=rng)
        self.encoder = Stack(config, attend=attend, rng=rng)
        self.decoder = Stack(config, causal=True, cross=True, attend=attend, rng=rng)
        self.head = Head(config, rng=rng)

    def forward(self, source: Int[Array, "B S"], target: Int[Array, "B L"]) -> Float[Array, "B L vocab_size"]:
        """Return the logits of the token that follows each of the target's, padded as the source."""
        return self.head.logits(self.hidden(source, target), self.embedding)

    def projection(self) -> tuple[Parameter, Parameter | None]:
        """Return the weight and the bias that make logits of hidden rows."""
        return self.head.projection(self.embedding)

    def hidden(self, source: Int[Array, "B S"], target: Int[Array, "B L"]) -> Float[Array, "B L d_model"]:
        """Return what the logits are a projection of; the loss can do without the logits themselves."""
        checks.rank("target", target, 2)
        memory, memory_mask = self.encode(source)
        hidden = self.decoder(self.embedding(target), memory=memory, memory_mask=memory_mask)
        return self.head(hidden)

    def encode(self, source: Int[Array, "B S"]) -> tuple[Float[Array, "B S d_model"], Bool[Array, "B S"]]:
        """Return the memory, and which of its rows are no padding."""
        checks.rank("source", source, 2)
        mask = source != self.config.pad
        return self.encoder(self.embedding(source), mask), mask

    def start(self, source: Int[Array, "B S"]) -> DecoderCache:
        """Read the source sentences, once, and stand before their translations."""
        memory, memory_mask = self.encode(source)
        return DecoderCache(self.config, memory=memory, memory_mask=memory_mask)

    def decode(self, tokens: Int[Array, "B L"], cache: DecoderCache) -> Float[Array, "B L d_model"]:
        """Return the hidden rows of target tokens that continue the cache's."""
        checks.rank("tokens", tokens, 2)
        checks.shape("tokens", tokens, (len(cache.memory), tokens.shape[1]))
        options = {"memory": cache.memory, "memory_mask": cache.memory_mask, "cache": cache}
        return self.head(self.decoder(self.embedding(tokens), **options))
