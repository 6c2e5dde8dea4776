"""
Where attention began: at each step the decoder's state asks what the encoder wrote about the source.

Before, an encoder handed over one vector for the whole sentence (Cho et al. 2014): `NoAttention`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from step01_numpy.arrays import Array
from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.support import checks, gradients
from step01_numpy.feed_forward import sigmoid
from step01_numpy.masks import hide
from step01_numpy.parameters import Layer, Linear, Parameter, linear, linear_backward, uniform
from step01_numpy.recurrent import summary, summary_backward
from step01_numpy.recurrent_scores import SCORE_LAYERS, DotScore
from step01_numpy.softmax import softmax, softmax_backward


class Memory(NamedTuple):
    """
    What a decoder reads of a source.

    Attributes
    ----------
    annotations : (B, S, d)
        The values: what the encoder wrote about each position.
    keys : (B, S, d_key)
        What the state is matched with. No decoding step changes them: they are computed once a sentence.
    mask : boolean, (B, S)
        True = may attend.
    """

    annotations: Array
    keys: Array
    mask: Array


class GlobalAttention(Layer):
    """
    Give the state the mean of the annotations, weighted by how well they match it.

    Parameters
    ----------
    score : DotScore
        Or another of the scores.

    References
    ----------
    Bahdanau et al. 2014, equations 5 and 6, arXiv:1409.0473; Luong et al. 2015, section 3.1,
    arXiv:1508.04025.
    """

    def __init__(self, score: DotScore):
        self.score = score

    def read(self, annotations: Float[Array, "B S d"], mask: Bool[Array, "B S"]) -> Memory:
        """Prepare what all steps of decoding read."""
        return Memory(annotations, self.score.keys(annotations), mask)

    def read_backward(
        self, d_annotations: Float[Array, "B S d"], d_keys: Float[Array, "B S d"]
    ) -> Float[Array, "B S d"]:
        """Return the gradient of the annotations, which were values and made the keys."""
        return d_annotations + self.score.keys_backward(d_keys)

    def forward(
        self, state: Float[Array, "B d"], memory: Memory
    ) -> tuple[Float[Array, "B d"], Float[Array, "B S"], tuple]:
        """Return the context, the weights, and what `backward` needs, since each step has its own."""
        scores, of_score = self.score(state, memory.keys)
        weights, of_weights = self.weigh(state, scores, memory.mask)
        context = (weights[:, None, :] @ memory.annotations)[:, 0]
        return context, weights, (weights, of_score, of_weights)

    def backward(
        self, d_context: Float[Array, "B d"], memory: Memory, saved: tuple
    ) -> tuple[Float[Array, "B d"], Float[Array, "B S d"], Float[Array, "B S d"]]:
        """Return d_state, d_annotations and d_keys of the step that `saved` is of."""
        weights, of_score, of_weights = saved
        d_annotations = weights[:, :, None] * d_context[:, None, :]  # context = weights @ annotations
        d_weights = (memory.annotations @ d_context[:, :, None])[:, :, 0]
        d_scores, d_asking = self.weigh_backward(d_weights, of_weights)
        d_state, d_keys = self.score.backward(d_scores, of_score)
        return d_state + d_asking, d_annotations, d_keys

    def weigh(
        self, state: Float[Array, "B d"], scores: Float[Array, "B S"], mask: Bool[Array, "B S"]
    ) -> tuple[Float[Array, "B S"], tuple]:
        """Turn scores into weights, which sum to 1, and return what `weigh_backward` needs."""
        weights = softmax(hide(scores, mask))
        return weights, (weights,)

    def weigh_backward(self, d_weights: Float[Array, "B S"], saved: tuple) -> tuple:
        """Return d_scores, and d_state: 0 where the state itself has no say in the weights."""
        return softmax_backward(d_weights, *saved), 0


class LocalAttention(GlobalAttention):
    """
    Attend near one position of the source, which the state predicts: Luong's local-p.

    Parameters
    ----------
    score : DotScore
        Or another of the scores.
    d_hidden : int
        Size of the state.
    window : int
        D: what is farther than D positions from the predicted one is not seen.
    rng : numpy.random.Generator, optional
        Source of the initial weights.

    References
    ----------
    Luong et al. 2015, equations 9 and 10, arXiv:1508.04025.
    """

    def __init__(self, score: DotScore, d_hidden: int, window: int, *, rng=None):
        super().__init__(score)
        checks.positive("window", window)
        self.window = int(window)
        self.w_p = Linear(d_hidden, d_hidden, bias=False, rng=rng)
        self.v_p = Parameter(uniform(d_hidden**-0.5, (d_hidden,), rng))

    def weigh(
        self, state: Float[Array, "B d"], scores: Float[Array, "B S"], mask: Bool[Array, "B S"]
    ) -> tuple[Float[Array, "B S"], tuple]:
        """Return the weights of `local_weights`, and what `weigh_backward` needs."""
        lengths = mask.sum(axis=-1).astype(scores.dtype)
        centre, predicted = predict_position(state, self.w_p.weight.data, self.v_p.data, lengths)
        weights, weighed = local_weights(scores, centre, mask, self.window)
        return weights, (weighed, (state, *predicted, lengths))

    def weigh_backward(self, d_weights: Float[Array, "B S"], saved: tuple) -> tuple:
        """Return d_scores and d_state."""
        weighed, predicted = saved
        d_scores, d_centre = local_weights_backward(d_weights, *weighed, self.window)
        d_state, d_weight, d_v = predict_position_backward(
            d_centre, *predicted, self.w_p.weight.data, self.v_p.data
        )
        self.w_p.weight.accumulate(d_weight)
        self.v_p.accumulate(d_v)
        return d_scores, d_state


def predict_position(
    state: Float[Array, "B d"],
    weight: Float[Array, "d d"],
    v: Float[Array, " d"],
    lengths: Float[Array, " B"],
) -> tuple[Float[Array, " B"], tuple]:
    """Return length · σ(vᵀ tanh(W s)), a position between 0 and the length, and what the backward needs."""
    hidden = np.tanh(linear(state, weight))
    share = sigmoid(hidden @ v)
    return lengths * share, (hidden, share)


def predict_position_backward(d_centre, state, hidden, share, lengths, weight, v) -> tuple:
    """Differentiate `predict_position`: return d_state, d_weight and d_v."""
    gradients.like("d_centre", d_centre, share)
    d_score = d_centre * lengths * share * (1 - share)  # centre = lengths · σ(score)
    d_sum = d_score[:, None] * v * (1 - hidden * hidden)  # score = tanh(W s) @ v
    d_state, d_weight, _ = linear_backward(d_sum, state, weight)
    return d_state, d_weight, d_score @ hidden


def local_weights(
    scores: Float[Array, "B S"], centre: Float[Array, " B"], mask: Bool[Array, "B S"], window: int
) -> tuple[Float[Array, "B S"], tuple]:
    """
    Return softmax over the window, times a Gaussian around its centre, and what the backward needs.

    Notes
    -----
    weights_j = softmax(scores)_j exp(-(j - p)² / 2σ²) with σ = D/2, over the j with |j - p| <= D. They sum to
    less than 1. Through the Gaussian the gradient reaches the centre p.
    """
    distance = np.arange(scores.shape[1], like=scores).astype(scores.dtype) - centre[:, None]
    soft = softmax(hide(scores, mask & (abs(distance) <= window)))
    gaussian = np.exp(distance * distance * (-2 / window**2))
    return soft * gaussian, (soft, gaussian, distance)


def local_weights_backward(d_weights, soft, gaussian, distance, window: int) -> tuple:
    """Differentiate `local_weights`: return d_scores and d_centre."""
    gradients.like("d_weights", d_weights, soft)
    d_distance = d_weights * soft * gaussian * distance * (-4 / window**2)
    return softmax_backward(d_weights * gaussian, soft), -d_distance.sum(axis=-1)


class NoAttention(Layer):
    """Give every state the same context: one vector for the whole sentence, however long it is."""

    def read(self, annotations: Float[Array, "B S d"], mask: Bool[Array, "B S"]) -> Memory:
        """Keep the sentence's `summary`, as if it had one position."""
        self.saved = annotations
        whole = summary(annotations)[:, None, :]
        return Memory(whole, whole, mask[:, :1] | True)

    def read_backward(
        self, d_annotations: Float[Array, "B 1 d"], d_keys: Float[Array, "B 1 d"]
    ) -> Float[Array, "B S d"]:
        """Return the gradient of the annotations; there were no keys."""
        return summary_backward(d_annotations[:, 0], self.saved)

    def forward(
        self, state: Float[Array, "B d"], memory: Memory
    ) -> tuple[Float[Array, "B d"], Float[Array, "B 1"], tuple]:
        """Return the vector, its weight 1, and nothing."""
        context = memory.annotations[:, 0]
        return context, np.ones_like(context[:, :1]), ()

    def backward(
        self, d_context: Float[Array, "B d"], memory: Memory, saved: tuple
    ) -> tuple[Float[Array, "B d"], Float[Array, "B 1 d"], Float[Array, "B 1 d"]]:
        """Return d_state, d_annotations and d_keys: only the vector has a gradient."""
        d_annotations = d_context[:, None, :]
        return np.zeros_like(d_context), d_annotations, np.zeros_like(d_annotations)


def build_attention(config: RecurrentConfig, *, rng=None) -> Layer:
    """Build the attention that a configuration names."""
    if config.score == "none":
        return NoAttention()
    score = SCORE_LAYERS[config.score](config.d_hidden, rng=rng)
    if config.window is None:
        return GlobalAttention(score)
    return LocalAttention(score, config.d_hidden, config.window, rng=rng)
