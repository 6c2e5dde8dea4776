"""The layers around attention: what is looked up (tokens, positions), normalisation, dropout."""

from math import sqrt

import torch
from jaxtyping import Float, Int
from torch.nn import functional

from step01_numpy.common.support import checks
from step02_torch.arrays import Array, as_tokens, from_numpy, random_generator
from step02_torch.parameters import Layer, Parameter, normal


class Embedding(Layer):
    """
    One learned row for each token of the vocabulary.

    Parameters
    ----------
    vocab_size, d_model : int
    rng : numpy.random.Generator, optional
        Source of the initial rows, normal with deviation 1/√d_model.
    """

    def __init__(self, vocab_size: int, d_model: int, *, rng=None):
        super().__init__()
        checks.positive("vocab_size", vocab_size)
        checks.positive("d_model", d_model)
        self.weight = Parameter(normal(1 / sqrt(d_model), (vocab_size, d_model), rng))

    def forward(self, tokens: Int[Array, "*shape"]) -> Float[Array, "*shape d_model"]:
        """Return the row of each token."""
        return functional.embedding(as_tokens("tokens", tokens, len(self.weight)), self.weight)


class LearnedPositions(Layer):
    """
    One learned row for each position.

    Parameters
    ----------
    n_positions, d_model : int
    rng : numpy.random.Generator, optional
        Source of the initial rows, normal with deviation 0.02.
    """

    def __init__(self, n_positions: int, d_model: int, *, rng=None):
        super().__init__()
        checks.positive("n_positions", n_positions)
        self.weight = Parameter(normal(0.02, (n_positions, d_model), rng))

    def forward(self, positions: Int[Array, "*shape"]) -> Float[Array, "*shape d_model"]:
        """Return the row of each position."""
        return self.weight[as_tokens("positions", positions, len(self.weight))]


def layer_norm(
    x: Float[Array, "*rows d"], weight: Float[Array, " d"], bias: Float[Array, " d"], *, eps: float = 1e-5
) -> Float[Array, "*rows d"]:
    """
    Bring each row to mean 0 and variance 1, then scale and shift its columns.

    Notes
    -----
    out = (x - mean) / √(variance + eps) · weight + bias, with mean and variance over the last axis.

    References
    ----------
    Ba et al. 2016, arXiv:1607.06450.
    """
    return functional.layer_norm(x, weight.shape, weight, bias, eps)


class LayerNorm(Layer):
    """`layer_norm` with a weight and a bias of its own, for rows of size d_model."""

    def __init__(self, d_model: int, *, eps: float = 1e-5):
        super().__init__()
        checks.positive("d_model", d_model)
        self.d_model, self.eps = d_model, eps
        self.weight = Parameter(torch.ones(d_model))
        self.bias = Parameter(torch.zeros(d_model))

    def forward(self, x: Float[Array, "*rows d"]) -> Float[Array, "*rows d"]:
        """Normalise each row of x, (..., d_model)."""
        checks.features("x", x, self.d_model)
        return layer_norm(x, self.weight, self.bias, eps=self.eps)


def rms_norm(
    x: Float[Array, "*rows d"], weight: Float[Array, " d"], *, eps: float = 1e-6
) -> Float[Array, "*rows d"]:
    """
    Bring each row to root mean square 1, then scale its columns: layer_norm without the mean.

    References
    ----------
    Zhang and Sennrich 2019, equation 4, arXiv:1910.07467.
    """
    return functional.rms_norm(x, weight.shape, weight, eps)


class RMSNorm(Layer):
    """`rms_norm` with a weight of its own, for rows of size d_model."""

    def __init__(self, d_model: int, *, eps: float = 1e-6):
        super().__init__()
        checks.positive("d_model", d_model)
        self.d_model, self.eps = d_model, eps
        self.weight = Parameter(torch.ones(d_model))

    def forward(self, x: Float[Array, "*rows d"]) -> Float[Array, "*rows d"]:
        """Normalise each row of x, (..., d_model)."""
        checks.features("x", x, self.d_model)
        return rms_norm(x, self.weight, eps=self.eps)


NORMS = {"layer": LayerNorm, "rms": RMSNorm}


class Dropout(Layer):
    """
    While training, set entries to 0 with probability `rate` and scale the others by 1 / (1 - rate).

    Parameters
    ----------
    rate : float
        At least 0, below 1.
    rng : numpy.random.Generator, optional
        What is dropped is drawn on the host, from this: every stage drops the same.

    References
    ----------
    Srivastava et al. 2014, Journal of Machine Learning Research 15.
    """

    def __init__(self, rate: float, *, rng=None):
        super().__init__()
        self.rate, self.rng = checks.rate("rate", rate), random_generator() if rng is None else rng

    def forward(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Drop entries of x, of any shape, while training; otherwise return x."""
        if not self.training or self.rate == 0:
            return x
        if torch.compiler.is_exporting() or torch.jit.is_tracing():
            raise RuntimeError("an exported dropout would drop the same entries for ever; call eval() before")
        kept = self.rng.random(tuple(x.shape), dtype="float32") >= self.rate
        return x * (from_numpy(kept).to(x) * (1 / (1 - self.rate)))
