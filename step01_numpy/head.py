"""From hidden rows to logits."""

from math import sqrt

import numpy as np
from jaxtyping import Float

from step01_numpy.arrays import Array
from step01_numpy.attention import cap, cap_backward
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.feed_forward import ACTIVATIONS
from step01_numpy.layers import NORMS, Embedding
from step01_numpy.parameters import Layer, Linear, Parameter, linear, linear_backward, normal


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
        d_model, transformed = config.d_model, config.head == "transformed"
        self.activate, self.activate_backward = ACTIVATIONS[config.activation]
        self.dense = Linear(d_model, d_model, rng=rng) if transformed else None
        self.norm = NORMS[config.norm](d_model, eps=config.norm_eps) if transformed else None
        shape = config.vocab_size, d_model
        self.weight = None if config.tied else Parameter(normal(1 / sqrt(d_model), shape, rng))
        self.bias = Parameter(np.zeros(config.vocab_size, np.float32)) if config.head_bias else None
        self.softcap = config.logit_softcap

    def forward(self, hidden: Float[Array, "B L d_model"]) -> Float[Array, "B L d_model"]:
        """Return the rows that are projected."""
        if self.dense is None:
            return hidden
        self.saved = self.dense(hidden)
        return self.norm(self.activate(self.saved))

    def backward(self, d_out: Float[Array, "B L d_model"]) -> Float[Array, "B L d_model"]:
        """Return d_hidden."""
        if self.dense is None:
            return d_out
        return self.dense.backward(self.activate_backward(self.norm.backward(d_out), self.saved))

    def projection(self, embedding: Embedding) -> tuple[Parameter, Parameter | None]:
        """Return the weight, (vocab_size, d_model), and the bias of the projection."""
        return embedding.weight if self.weight is None else self.weight, self.bias

    def logits(
        self, rows: Float[Array, "B L d_model"], embedding: Embedding
    ) -> Float[Array, "B L vocab_size"]:
        """Return the logits of rows that `forward` gave."""
        weight, bias = self.projection(embedding)
        scores = linear(rows, weight.data, None if bias is None else bias.data)
        self.projected = rows, None if self.softcap is None else scores
        return cap(scores, self.softcap)

    def logits_backward(
        self, d_logits: Float[Array, "B L vocab_size"], embedding: Embedding
    ) -> Float[Array, "B L d_model"]:
        """Return d_rows; the matrix collects its gradient."""
        (weight, bias), (rows, scores) = self.projection(embedding), self.projected
        d_scores = d_logits if scores is None else cap_backward(d_logits, scores, self.softcap)
        d_rows, d_weight, d_bias = linear_backward(d_scores, rows, weight.data)
        weight.accumulate(d_weight)
        if bias is not None:
            bias.accumulate(d_bias)
        return d_rows
