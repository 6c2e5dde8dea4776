"""The translator of 2014: a GRU reads the source both ways, another writes the target, looking back at it."""

from math import sqrt

import torch
from jaxtyping import Bool, Float, Int

from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.support import checks
from step02_torch.arrays import Array, random_generator, to_numpy
from step02_torch.layers import Dropout, Embedding
from step02_torch.parameters import Layer, Linear, Parameter, linear
from step02_torch.recurrent import BidirectionalGRU, gru_step, summary
from step02_torch.recurrent_attention import Memory, build_attention


class RecurrentCache:
    """
    All that decoding has to remember of a batch, however long the target grows.

    Attributes
    ----------
    state : (B, d_hidden)
        The decoder's, after the newest token.
    memory : Memory
        What it reads of the source.
    """

    def __init__(self, state: Float[Array, "B d_hidden"], memory: Memory):
        self.state, self.memory = state, memory

    def reorder(self, rows: Int[Array, " B"]) -> None:
        """Let row b continue what was row `rows[b]`: beams are kept, dropped or doubled."""
        rows = rows.long()  # PyTorch takes uint8 for a mask
        self.state, self.memory = self.state[rows], Memory(*(x[rows] for x in self.memory))


class RecurrentEncoder(Layer):
    """
    Embedded source in, annotations out.

    Parameters
    ----------
    config : RecurrentConfig
    rng : numpy.random.Generator, optional
        Source of weights and dropout.
    """

    def __init__(self, config: RecurrentConfig, *, rng=None):
        super().__init__()
        self.input_dropout = Dropout(config.dropout, rng=rng)
        self.gru = BidirectionalGRU(config.d_model, config.d_hidden, rng=rng)
        self.dropout = Dropout(config.dropout, rng=rng)

    def forward(
        self, embedded: Float[Array, "B S d_model"], mask: Bool[Array, "B S"]
    ) -> Float[Array, "B S d_hidden"]:
        """Return an annotation of each position, (B, S, d_hidden)."""
        return self.dropout(self.gru(self.input_dropout(embedded), mask))


class RecurrentDecoder(Layer):
    """
    Embedded target in, hidden rows out, one for each next token. Parameters as in `RecurrentEncoder`.

    Notes
    -----
    s_0 = tanh(W_0 summary + b_0), c_t = attention(s_{t-1}), s_t = GRU([y_{t-1}; c_t], s_{t-1}),
    hidden_t = tanh(W_r [y_{t-1}; s_t; c_t] + b_r): Bahdanau's order and inputs, with Luong's tanh (equation
    5) in place of maxout. Without attention every c_t is the summary (Cho et al. 2014, section 2.2).
    """

    def __init__(self, config: RecurrentConfig, *, rng=None):
        super().__init__()
        d_model, d = config.d_model, config.d_hidden
        self.input_dropout = Dropout(config.dropout, rng=rng)
        self.w_0 = Linear(d, d, rng=rng)
        self.w_y = Linear(d_model, 3 * d, rng=rng)
        self.w_c = Linear(d, 3 * d, bias=False, rng=rng)
        self.w_h = Linear(d, 3 * d, rng=rng)
        self.attention = build_attention(config, rng=rng)
        self.readout = Linear(d_model + 2 * d, d_model, rng=rng)
        self.dropout = Dropout(config.dropout, rng=rng)

    def start(self, annotations: Float[Array, "B S d_hidden"], mask: Bool[Array, "B S"]) -> RecurrentCache:
        """Return the first state, and what every step reads of the source."""
        state = self.w_0(summary(annotations)).tanh()
        return RecurrentCache(state, self.attention.read(annotations, mask))

    def forward(
        self, embedded: Float[Array, "B L d_model"], cache: RecurrentCache, maps: list | None = None
    ) -> Float[Array, "B L d_model"]:
        """Run on from the cache's state and leave it the newest; `maps` collects the weights, (B, L, S)."""
        embedded, steps = self.input_dropout(embedded), []
        for inputs in self.w_y(embedded.transpose(0, 1)).unbind():  # the tokens' share, in one product
            context, weights = self.attention(cache.state, cache.memory)
            inputs = inputs + linear(context, self.w_c.weight)
            cache.state = gru_step(inputs, cache.state, self.w_h.weight, self.w_h.bias)
            steps.append((cache.state, context, weights))
        states, contexts, weights = (torch.stack(x, dim=1) for x in zip(*steps, strict=True))
        if maps is not None:
            maps.append(to_numpy(weights))
        hidden = self.readout(torch.cat([embedded, states, contexts], dim=-1)).tanh()
        return self.dropout(hidden)


class RecurrentTranslator(Layer):
    """
    Encoder and decoder over one vocabulary; one matrix embeds source and target and projects to the logits.

    Parameters
    ----------
    config : RecurrentConfig
    rng : numpy.random.Generator, optional
        Source of weights and dropout.

    Attributes
    ----------
    maps : list or None
        A list collects the alignment of every run of the decoder, (B, L, S), as a NumPy array.

    References
    ----------
    Bahdanau et al. 2014, arXiv:1409.0473; Luong et al. 2015, arXiv:1508.04025; Cho et al. 2014,
    arXiv:1406.1078. The shared matrix: Press and Wolf 2017, arXiv:1608.05859.
    """

    softcap = None  # logits are as the projection makes them

    def __init__(self, config: RecurrentConfig, *, rng=None):
        super().__init__()
        rng = random_generator() if rng is None else rng
        self.config, self.rng, self.maps = config, rng, None
        self.embedding = Embedding(config.vocab_size, config.d_model, rng=rng)
        self.encoder = RecurrentEncoder(config, rng=rng)
        self.decoder = RecurrentDecoder(config, rng=rng)

    def forward(self, source: Int[Array, "B S"], target: Int[Array, "B L"]) -> Float[Array, "B L vocab_size"]:
        """Return the logits of the token that follows each of the target's."""
        return linear(self.hidden(source, target), self.embedding.weight)

    def projection(self) -> tuple[Parameter, Parameter | None]:
        """Return the weight and the bias, here none, by which hidden rows become logits."""
        return self.embedding.weight, None

    def hidden(self, source: Int[Array, "B S"], target: Int[Array, "B L"]) -> Float[Array, "B L d_model"]:
        """Return what the logits are a projection of; the loss can do without the logits themselves."""
        checks.rank("target", target, 2)
        return self.decode(target, self.start(source))

    def start(self, source: Int[Array, "B S"]) -> RecurrentCache:
        """Read the source sentences, once; padding is hidden."""
        checks.rank("source", source, 2)
        mask = source != self.config.pad
        return self.decoder.start(self.encoder(self._embed(source), mask), mask)

    def decode(self, tokens: Int[Array, "B L"], cache: RecurrentCache) -> Float[Array, "B L d_model"]:
        """Return the hidden rows of tokens that continue the cache: one step of the GRU each."""
        checks.shape("tokens", tokens, (len(cache.state), *tokens.shape[1:]))
        return self.decoder(self._embed(tokens), cache, self.maps)

    def _embed(self, tokens):
        return self.embedding(tokens) * sqrt(self.config.d_model)
