"""One stack over one text: BERT, whose tokens see each other, or GPT and Llama, whose tokens see the past."""

import numpy as np
from jaxtyping import Bool, Float, Int

from step01_numpy.arrays import Array, random_generator
from step01_numpy.attention import STANDARD, Attend
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.support import checks
from step01_numpy.head import Head
from step01_numpy.layers import Embedding
from step01_numpy.parameters import Layer, Parameter
from step01_numpy.transformer import DecoderCache, Stack


class LanguageModel(Layer):
    """
    A text in, for each of its tokens a row out, and the logits of a token: of this one, or of the next.

    Parameters
    ----------
    config : ModelConfig
        With architecture "encoder" every token sees all others, and it is trained to guess tokens that were
        hidden; with "decoder" it sees those before it, and it is trained to guess the next.
    attend : Attend
        The attention of all blocks.
    rng : numpy.random.Generator, optional
        Source of weights and dropout.

    References
    ----------
    BERT: Devlin et al. 2018, arXiv:1810.04805. GPT-2: Radford et al. 2019. Llama: Touvron et al. 2023,
    arXiv:2302.13971. Mistral's window: Jiang et al. 2023, arXiv:2310.06825.
    """

    def __init__(self, config: ModelConfig, *, attend: Attend = STANDARD, rng=None):
        rng = random_generator() if rng is None else rng
        self.config, self.rng, self.softcap = config, rng, config.logit_softcap
        self.embedding = Embedding(config.vocab_size, config.d_model, rng=rng)
        self.stack = Stack(config, causal=config.architecture == "decoder", attend=attend, rng=rng)
        self.head = None if config.head == "none" else Head(config, rng=rng)

    def forward(
        self,
        tokens: Int[Array, "B L"],
        mask: Bool[Array, "B L"] | None = None,
        segments: Int[Array, "B L"] | None = None,
    ) -> Float[Array, "B L size"]:
        """
        Return the logits, (B, L, vocab_size), or where there is no head the hidden rows, (B, L, d_model).

        Parameters
        ----------
        tokens : (B, L)
        mask : (B, L), optional
            True for real tokens, False for padding, on either side; all are real when not given.
        segments : (B, L), optional
            Which of BERT's two texts a token belongs to; 0 when not given.
        """
        hidden = self.hidden(tokens, mask, segments)
        return hidden if self.head is None else self.head.logits(hidden, self.embedding)

    def backward(self, d_out: Float[Array, "B L size"]) -> None:
        """Differentiate `forward`: tokens have no gradient, so it returns nothing."""
        d_hidden = d_out if self.head is None else self.head.logits_backward(d_out, self.embedding)
        self.hidden_backward(d_hidden)

    def projection(self) -> tuple[Parameter, Parameter | None]:
        """Return the weight and the bias that make logits of hidden rows."""
        if self.head is None:
            raise ValueError("the model has no head: it gives hidden rows and no logits")
        return self.head.projection(self.embedding)

    def hidden(
        self,
        tokens: Int[Array, "B L"],
        mask: Bool[Array, "B L"] | None = None,
        segments: Int[Array, "B L"] | None = None,
    ) -> Float[Array, "B L d_model"]:
        """Return what the logits are a projection of; the loss can do without the logits themselves."""
        rows = self.encode(tokens, mask, segments)
        return rows if self.head is None else self.head(rows)

    def hidden_backward(self, d_hidden: Float[Array, "B L d_model"]) -> None:
        """Differentiate `hidden`."""
        d_rows = d_hidden if self.head is None else self.head.backward(d_hidden)
        self.encode_backward(d_rows)

    def encode(
        self,
        tokens: Int[Array, "B L"],
        mask: Bool[Array, "B L"] | None = None,
        segments: Int[Array, "B L"] | None = None,
    ) -> Float[Array, "B L d_model"]:
        """Return the rows of the stack, before the head: what embeddings are made from."""
        checks.rank("tokens", tokens, 2)
        if mask is not None:
            checks.shape("mask", mask, tokens.shape)
        self.saved = tokens
        return self.stack(self.embedding(tokens), mask, segments=segments)

    def encode_backward(self, d_rows: Float[Array, "B L d_model"]) -> None:
        """Differentiate `encode`."""
        d_embedded, _ = self.stack.backward(d_rows)
        self.embedding.backward(d_embedded, self.saved)

    def start(self, tokens: Int[Array, "B L"], mask: Bool[Array, "B L"] | None = None) -> DecoderCache:
        """Read the prompts, padded on the left where `mask` is False, and stand before what follows."""
        if mask is not None and mask.all():
            mask = None
        cache = DecoderCache(self.config, mask=None if mask is None else mask[:, :0])
        if tokens.shape[1]:
            self._continue(tokens, mask, cache)
        return cache

    def decode(self, tokens: Int[Array, "B L"], cache: DecoderCache) -> Float[Array, "B L d_model"]:
        """Return the hidden rows of tokens that continue the cache's."""
        checks.rank("tokens", tokens, 2)
        keys = cache.blocks[0][0].keys
        checks.shape("tokens", tokens, (len(tokens if keys is None else keys), tokens.shape[1]))
        rows = self._continue(tokens, None, cache)
        return rows if self.head is None else self.head(rows)

    def _continue(self, tokens, mask, cache):
        """Run the stack on tokens that continue the cache's; those without a mask are all real."""
        if cache.mask is not None:
            new = np.ones_like(tokens, dtype=bool) if mask is None else mask
            cache.mask = np.concatenate([cache.mask, new], axis=-1)
        return self.stack(self.embedding(tokens), cache.mask, cache=cache)
