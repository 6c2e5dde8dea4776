"""From hidden rows to logits."""

from math import sqrt

import torch
from jaxtyping import Float

from step01_numpy.common.configuration.model import ModelConfig
from step02_torch.arrays import Array
from step02_torch.attention import cap
from step02_torch.feed_forward import ACTIVATIONS
from step02_torch.layers import NORMS, Embedding
from step02_torch.parameters import Layer, Linear, Parameter, linear, normal


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
        self.norm = NORMS[config.norm](d_model, eps=config.norm_eps) if transformed else None
        shape = config.vocab_size, d_model
        self.weight = None if config.tied else Parameter(normal(1 / sqrt(d_model), shape, rng))
        self.bias = Parameter(torch.zeros(config.vocab_size)) if config.head_bias else None
        self.softcap = config.logit_softcap

    def forward(self, hidden: Float[Array, "B L d_model"]) -> Float[Array, "B L d_model"]:
        """Return the rows that are projected."""
        if self.dense is None:
            return hidden
        return self.norm(self.activate(self.dense(hidden)))

    def projection(self, embedding: Embedding) -> tuple[Parameter, Parameter | None]:
        """Return the weight, (vocab_size, d_model), and the bias of the projection."""
        return embedding.weight if self.weight is None else self.weight, self.bias

    def logits(
        self, rows: Float[Array, "B L d_model"], embedding: Embedding
    ) -> Float[Array, "B L vocab_size"]:
        """Return the logits of rows that `forward` gave."""
        return cap(linear(rows, *self.projection(embedding)), self.softcap)
