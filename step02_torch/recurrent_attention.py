"""
Where attention began: at each step the decoder's state asks what the encoder wrote about the source.

Before, an encoder handed over one vector for the whole sentence (Cho et al. 2014): `NoAttention`.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float

from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.support import checks
from step02_torch.arrays import Array
from step02_torch.feed_forward import sigmoid
from step02_torch.masks import hide
from step02_torch.parameters import Layer, Linear, Parameter, linear, uniform
from step02_torch.recurrent import summary
from step02_torch.recurrent_scores import SCORE_LAYERS, DotScore
from step02_torch.softmax import softmax


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
        super().__init__()
        self.score = score

    def read(self, annotations: Float[Array, "B S d"], mask: Bool[Array, "B S"]) -> Memory:
        """Prepare what all steps of decoding read."""
        return Memory(annotations, self.score.keys(annotations), mask)

    def forward(
        self, state: Float[Array, "B d"], memory: Memory
    ) -> tuple[Float[Array, "B d"], Float[Array, "B S"]]:
        """Return the context and the weights."""
        weights = self.weigh(state, self.score(state, memory.keys), memory.mask)
        return (weights[:, None, :] @ memory.annotations)[:, 0], weights

    def weigh(
        self, state: Float[Array, "B d"], scores: Float[Array, "B S"], mask: Bool[Array, "B S"]
    ) -> Float[Array, "B S"]:
        """Turn scores into weights, which sum to 1."""
        return softmax(hide(scores, mask))


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
        Source of the initial weights; PyTorch's own when not given.

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
    ) -> Float[Array, "B S"]:
        """Return the weights of `local_weights`."""
        lengths = mask.sum(dim=-1).to(scores)
        centre = predict_position(state, self.w_p.weight, self.v_p, lengths)
        return local_weights(scores, centre, mask, self.window)


def predict_position(
    state: Float[Array, "B d"],
    weight: Float[Array, "d d"],
    v: Float[Array, " d"],
    lengths: Float[Array, " B"],
) -> Float[Array, " B"]:
    """Return length · σ(vᵀ tanh(W s)), a position between 0 and the length."""
    return lengths * sigmoid(linear(state, weight).tanh() @ v)


def local_weights(
    scores: Float[Array, "B S"], centre: Float[Array, " B"], mask: Bool[Array, "B S"], window: int
) -> Float[Array, "B S"]:
    """
    Return softmax over the window, times a Gaussian around its centre.

    Notes
    -----
    weights_j = softmax(scores)_j exp(-(j - p)² / 2σ²) with σ = D/2, over the j with |j - p| <= D. They sum to
    less than 1. Through the Gaussian the gradient reaches the centre p.
    """
    distance = torch.arange(scores.shape[1], device=scores.device) - centre[:, None]
    soft = softmax(hide(scores, mask & (distance.abs() <= window)))
    return soft * (distance.square() * (-2 / window**2)).exp()


class NoAttention(Layer):
    """Give every state the same context: one vector for the whole sentence, however long it is."""

    def read(self, annotations: Float[Array, "B S d"], mask: Bool[Array, "B S"]) -> Memory:
        """Keep the sentence's `summary`, as if it had one position."""
        whole = summary(annotations)[:, None, :]
        return Memory(whole, whole, mask[:, :1] | True)

    def forward(
        self, state: Float[Array, "B d"], memory: Memory
    ) -> tuple[Float[Array, "B d"], Float[Array, "B 1"]]:
        """Return the vector and its weight 1."""
        context = memory.annotations[:, 0]
        return context, torch.ones_like(context[:, :1])


def build_attention(config: RecurrentConfig, *, rng=None) -> Layer:
    """Build the attention that a configuration names."""
    if config.score == "none":
        return NoAttention()
    score = SCORE_LAYERS[config.score](config.d_hidden, rng=rng)
    if config.window is None:
        return GlobalAttention(score)
    return LocalAttention(score, config.d_hidden, config.window, rng=rng)
