"""The layers around attention: what is looked up (tokens, positions), normalisation, dropout."""

from math import sqrt

import numpy as np
from jaxtyping import Float, Int

from step01_numpy.arrays import Array, random_generator, widen
from step01_numpy.common.support import checks, gradients, ranges
from step01_numpy.parameters import Layer, Parameter, normal


def lookup_backward(
    d_rows: Float[Array, "*shape d"], indices: Int[Array, "*shape"], table: Float[Array, "n d"]
) -> Float[Array, "n d"]:
    """Differentiate `table[indices]`: a row that was taken twice collects two gradients."""
    gradients.array("d_rows", d_rows, (*indices.shape, table.shape[-1]), table.dtype)
    d_table, indices, d_rows = np.zeros_like(table), indices.reshape(-1), d_rows.reshape(-1, table.shape[-1])
    np.add.at(d_table, indices, d_rows)
    return d_table


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
        checks.positive("vocab_size", vocab_size)
        checks.positive("d_model", d_model)
        self.weight = Parameter(normal(1 / sqrt(d_model), (vocab_size, d_model), rng))

    def forward(self, tokens: Int[Array, "*shape"]) -> Float[Array, "*shape d_model"]:
        """Return the row of each token."""
        ranges.tokens("tokens", tokens, len(self.weight.data))
        return self.weight.data[tokens]

    def backward(self, d_out: Float[Array, "*shape d_model"], tokens: Int[Array, "*shape"]) -> None:
        """Collect each token's gradients. Called once for every forward, it is told that forward's tokens."""
        self.weight.accumulate(lookup_backward(d_out, tokens, self.weight.data))


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
        checks.positive("n_positions", n_positions)
        self.weight = Parameter(normal(0.02, (n_positions, d_model), rng))

    def forward(self, positions: Int[Array, "*shape"]) -> Float[Array, "*shape d_model"]:
        """Return the row of each position."""
        ranges.tokens("positions", positions, len(self.weight.data))
        self.saved = positions
        return self.weight.data[positions]

    def backward(self, d_out: Float[Array, "*shape d_model"]) -> None:
        """Collect each position's gradients; positions themselves have none."""
        self.weight.accumulate(lookup_backward(d_out, self.saved, self.weight.data))


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
    normalised, _ = _standardise(widen(x), eps)
    return (normalised * weight + bias).astype(x.dtype, copy=False)


def layer_norm_backward(
    d_out: Float[Array, "*rows d"],
    x: Float[Array, "*rows d"],
    weight: Float[Array, " d"],
    *,
    eps: float = 1e-5,
) -> tuple[Float[Array, "*rows d"], Float[Array, " d"], Float[Array, " d"]]:
    """
    Differentiate `layer_norm`.

    Returns
    -------
    d_x, d_weight, d_bias
        d_x has mean 0 in each row and is orthogonal to the normalised row: moving a row or stretching it
        changes nothing.
    """
    gradients.like("d_out", d_out, x)
    normalised, deviation = _standardise(widen(x), eps)
    d_out, rows = widen(d_out), tuple(range(d_out.ndim - 1))
    d_normalised = d_out * weight
    along = _mean(d_normalised * normalised)
    d_x = (d_normalised - _mean(d_normalised) - normalised * along) / deviation
    d_weight, d_bias = (d_out * normalised).sum(axis=rows), d_out.sum(axis=rows)
    return tuple(d.astype(x.dtype, copy=False) for d in (d_x, d_weight, d_bias))


def _standardise(x, eps):
    """Return (x - mean) / √(variance + eps), and √(variance + eps)."""
    centred = x - _mean(x)
    deviation = np.sqrt(_mean(centred * centred) + eps)
    return centred / deviation, deviation


def _mean(x):
    """Return each row's mean; for a single row, `x.mean` takes more than twice as long."""
    return x.sum(axis=-1, keepdims=True) / x.shape[-1]


class LayerNorm(Layer):
    """`layer_norm` with a weight and a bias of its own, for rows of size d_model."""

    def __init__(self, d_model: int, *, eps: float = 1e-5):
        checks.positive("d_model", d_model)
        self.d_model, self.eps = d_model, eps
        self.weight = Parameter(np.ones(d_model, np.float32))
        self.bias = Parameter(np.zeros(d_model, np.float32))

    def forward(self, x: Float[Array, "*rows d"]) -> Float[Array, "*rows d"]:
        """Normalise each row of x, (..., d_model)."""
        checks.features("x", x, self.d_model)
        self.saved = x
        return layer_norm(x, self.weight.data, self.bias.data, eps=self.eps)

    def backward(self, d_out: Float[Array, "*rows d"]) -> Float[Array, "*rows d"]:
        """Return d_x, (..., d_model)."""
        d_x, d_weight, d_bias = layer_norm_backward(d_out, self.saved, self.weight.data, eps=self.eps)
        self.weight.accumulate(d_weight)
        self.bias.accumulate(d_bias)
        return d_x


def rms_norm(
    x: Float[Array, "*rows d"], weight: Float[Array, " d"], *, eps: float = 1e-6
) -> Float[Array, "*rows d"]:
    """
    Bring each row to root mean square 1, then scale its columns: layer_norm without the mean.

    References
    ----------
    Zhang and Sennrich 2019, equation 4, arXiv:1910.07467.
    """
    wide = widen(x)
    return (wide / np.sqrt(_mean(wide * wide) + eps) * weight).astype(x.dtype, copy=False)


def rms_norm_backward(
    d_out: Float[Array, "*rows d"],
    x: Float[Array, "*rows d"],
    weight: Float[Array, " d"],
    *,
    eps: float = 1e-6,
) -> tuple[Float[Array, "*rows d"], Float[Array, " d"]]:
    """Differentiate `rms_norm`: d_x is orthogonal to x, since stretching a row changes nothing."""
    gradients.like("d_out", d_out, x)
    d_out, wide = widen(d_out), widen(x)
    deviation = np.sqrt(_mean(wide * wide) + eps)
    normalised, d_normalised = wide / deviation, d_out * weight
    along = _mean(d_normalised * normalised)
    d_x = (d_normalised - normalised * along) / deviation
    d_weight = (d_out * normalised).sum(axis=tuple(range(d_out.ndim - 1)))
    return tuple(d.astype(x.dtype, copy=False) for d in (d_x, d_weight))


class RMSNorm(Layer):
    """`rms_norm` with a weight of its own, for rows of size d_model."""

    def __init__(self, d_model: int, *, eps: float = 1e-6):
        checks.positive("d_model", d_model)
        self.d_model, self.eps = d_model, eps
        self.weight = Parameter(np.ones(d_model, np.float32))

    def forward(self, x: Float[Array, "*rows d"]) -> Float[Array, "*rows d"]:
        """Normalise each row of x, (..., d_model)."""
        checks.features("x", x, self.d_model)
        self.saved = x
        return rms_norm(x, self.weight.data, eps=self.eps)

    def backward(self, d_out: Float[Array, "*rows d"]) -> Float[Array, "*rows d"]:
        """Return d_x, (..., d_model)."""
        d_x, d_weight = rms_norm_backward(d_out, self.saved, self.weight.data, eps=self.eps)
        self.weight.accumulate(d_weight)
        return d_x


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
        self.rate, self.rng = checks.rate("rate", rate), random_generator() if rng is None else rng

    def forward(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Drop entries of x, of any shape, while training; otherwise return x."""
        self.saved = None
        if not self.training or self.rate == 0:
            return x
        kept = self.rng.random(x.shape, dtype=np.float32) >= self.rate
        self.saved = np.array(kept, dtype=x.dtype, like=x) * (1 / (1 - self.rate))
        return x * self.saved

    def backward(self, d_out: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return d_x: what was dropped gets nothing."""
        if self.saved is None:
            return d_out
        gradients.like("d_out", d_out, self.saved)
        return d_out * self.saved
