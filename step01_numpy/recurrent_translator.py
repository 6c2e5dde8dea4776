"""The translator of 2014: a GRU reads the source both ways, another writes the target, looking back at it."""

from math import sqrt

import numpy as np
from jaxtyping import Bool, Float, Int

from step01_numpy.arrays import Array, random_generator, to_numpy
from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.support import checks
from step01_numpy.layers import Dropout, Embedding
from step01_numpy.parameters import Layer, Linear, Parameter, linear, linear_backward
from step01_numpy.recurrent import (
    BidirectionalGRU,
    gru_step,
    gru_step_backward,
    summary,
    summary_backward,
    weight_backward,
)
from step01_numpy.recurrent_attention import Memory, build_attention


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
        self.input_dropout = Dropout(config.dropout, rng=rng)
        self.gru = BidirectionalGRU(config.d_model, config.d_hidden, rng=rng)
        self.dropout = Dropout(config.dropout, rng=rng)

    def forward(
        self, embedded: Float[Array, "B S d_model"], mask: Bool[Array, "B S"]
    ) -> Float[Array, "B S d_hidden"]:
        """Return an annotation of each position, (B, S, d_hidden)."""
        return self.dropout(self.gru(self.input_dropout(embedded), mask))

    def backward(self, d_annotations: Float[Array, "B S d_hidden"]) -> Float[Array, "B S d_model"]:
        """Return the gradient of the embedded source."""
        return self.input_dropout.backward(self.gru.backward(self.dropout.backward(d_annotations)))


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
        state = np.tanh(self.w_0(summary(annotations)))
        self.saved_start = annotations, state
        return RecurrentCache(state, self.attention.read(annotations, mask))

    def start_backward(
        self,
        d_state: Float[Array, "B d_hidden"],
        d_values: Float[Array, "B _ d_hidden"],
        d_keys: Float[Array, "B _ d_hidden"],
    ) -> Float[Array, "B S d_hidden"]:
        """Return the gradient of the annotations, which made the first state, the values and the keys."""
        annotations, state = self.saved_start
        d_summary = self.w_0.backward(d_state * (1 - state * state))  # state = tanh(…)
        d_annotations = self.attention.read_backward(d_values, d_keys)
        return d_annotations + summary_backward(d_summary, annotations)

    def forward(
        self, embedded: Float[Array, "B L d_model"], cache: RecurrentCache, maps: list | None = None
    ) -> Float[Array, "B L d_model"]:
        """Run on from the cache's state and leave it the newest; `maps` collects the weights, (B, L, S)."""
        embedded, memory, steps = self.input_dropout(embedded), cache.memory, []
        for inputs in self.w_y(embedded.swapaxes(0, 1)):  # (L, B, 3d): the tokens' share, in one product
            context, weights, asked = self.attention(cache.state, memory)
            inputs = inputs + linear(context, self.w_c.weight.data)
            cache.state, gates = gru_step(inputs, cache.state, self.w_h.weight.data, self.w_h.bias.data)
            steps.append((cache.state, context, weights, asked, gates))
        states, contexts, weights, *_ = zip(*steps, strict=True)
        if maps is not None:
            maps.append(to_numpy(np.stack(weights, axis=1)))
        rows = [embedded, np.stack(states, axis=1), np.stack(contexts, axis=1)]
        hidden = np.tanh(self.readout(np.concatenate(rows, axis=-1)))
        self.saved = memory, steps, hidden
        return self.dropout(hidden)

    def backward(
        self, d_out: Float[Array, "B L d_model"]
    ) -> tuple[Float[Array, "B L d_model"], Float[Array, "B S d_hidden"]]:
        """Return the gradients of the embedded target and of the annotations."""
        memory, _, hidden = self.saved
        d_rows = self.readout.backward(self.dropout.backward(d_out) * (1 - hidden * hidden))
        d_model, d = d_out.shape[-1], memory.annotations.shape[-1]
        d_states, d_contexts = d_rows[..., d_model : d_model + d], d_rows[..., d_model + d :]
        d_inputs, d_first, d_values, d_keys = self._back_through_time(d_states, d_contexts)
        d_embedded = d_rows[..., :d_model] + self.w_y.backward(d_inputs).swapaxes(0, 1)
        return self.input_dropout.backward(d_embedded), self.start_backward(d_first, d_values, d_keys)

    def _back_through_time(self, d_states, d_contexts):
        """Go from the last step to the first, each of which adds to the gradient of all before it."""
        memory, steps, _ = self.saved
        d_inputs, d_hidden, d_state = [None] * len(steps), [None] * len(steps), 0
        d_values, d_keys = np.zeros_like(memory.annotations), np.zeros_like(memory.keys)
        for t, (_, _, _, asked, gates) in reversed(list(enumerate(steps))):
            d_new = d_states[:, t] + d_state
            d_inputs[t], d_hidden[t], d_state = gru_step_backward(d_new, *gates, self.w_h.weight.data)
            d_context = d_contexts[:, t] + d_inputs[t] @ self.w_c.weight.data
            d_asking, d_values_t, d_keys_t = self.attention.backward(d_context, memory, asked)
            d_state = d_state + d_asking
            d_values += d_values_t
            d_keys += d_keys_t
        d_inputs = np.stack(d_inputs)
        before, contexts = np.stack([step[4][0] for step in steps]), np.stack([step[1] for step in steps])
        d_weight, d_bias = weight_backward(np.stack(d_hidden), before)
        self.w_h.weight.accumulate(d_weight)
        self.w_h.bias.accumulate(d_bias)
        self.w_c.weight.accumulate(weight_backward(d_inputs, contexts)[0])
        return d_inputs, d_state, d_values, d_keys


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
        rng = random_generator() if rng is None else rng
        self.config, self.rng, self.maps = config, rng, None
        self.embedding = Embedding(config.vocab_size, config.d_model, rng=rng)
        self.encoder = RecurrentEncoder(config, rng=rng)
        self.decoder = RecurrentDecoder(config, rng=rng)

    def forward(self, source: Int[Array, "B S"], target: Int[Array, "B L"]) -> Float[Array, "B L vocab_size"]:
        """Return the logits of the token that follows each of the target's."""
        self.saved_hidden = self.hidden(source, target)
        return linear(self.saved_hidden, self.embedding.weight.data)

    def backward(self, d_logits: Float[Array, "B L vocab_size"]) -> None:
        """Differentiate `forward`: tokens have no gradient, so it returns nothing."""
        d_hidden, d_weight, _ = linear_backward(d_logits, self.saved_hidden, self.embedding.weight.data)
        self.embedding.weight.accumulate(d_weight)
        self.hidden_backward(d_hidden)

    def projection(self) -> tuple[Parameter, Parameter | None]:
        """Return the weight and the bias, here none, by which hidden rows become logits."""
        return self.embedding.weight, None

    def hidden(self, source: Int[Array, "B S"], target: Int[Array, "B L"]) -> Float[Array, "B L d_model"]:
        """Return what the logits are a projection of; the loss can do without the logits themselves."""
        checks.rank("target", target, 2)
        self.saved = source, target
        return self.decode(target, self.start(source))

    def hidden_backward(self, d_hidden: Float[Array, "B L d_model"]) -> None:
        """Differentiate `hidden`: down the decoder, then down the encoder."""
        source, target = self.saved
        d_target, d_annotations = self.decoder.backward(d_hidden)
        self._embed_backward(d_target, target)
        self._embed_backward(self.encoder.backward(d_annotations), source)

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

    def _embed_backward(self, d_embedded, tokens):
        self.embedding.backward(d_embedded * sqrt(self.config.d_model), tokens)
