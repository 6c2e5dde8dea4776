"""The linear map and its weights; what a layer is beside its mathematics, `common/support/layer.py` has."""

from math import sqrt

from jaxtyping import Float

from step01_numpy.arrays import Array
from step01_numpy.common.support import checks, gradients
from step01_numpy.common.support.layer import Layer, Parameter, normal, uniform

__all__ = ["Layer", "Linear", "Parameter", "linear", "linear_backward", "normal", "uniform"]


class Linear(Layer):
    """
    out = x Wᵀ + b.

    Parameters
    ----------
    d_in, d_out : int
    bias : bool
    rng : numpy.random.Generator, optional
        Source of the initial weights, uniform within ±1/√d_in as in PyTorch.
    """

    def __init__(self, d_in: int, d_out: int, *, bias: bool = True, rng=None):
        checks.positive("d_in", d_in)
        checks.positive("d_out", d_out)
        self.d_in = d_in
        self.weight = Parameter(uniform(1 / sqrt(d_in), (d_out, d_in), rng))
        self.bias = Parameter(uniform(1 / sqrt(d_in), (d_out,), rng)) if bias else None

    def forward(self, x: Float[Array, "... d_in"]) -> Float[Array, "... d_out"]:
        """Return x Wᵀ + b, (..., d_out)."""
        checks.features("x", x, self.d_in)
        self.saved = x
        return linear(x, self.weight.data, None if self.bias is None else self.bias.data)

    def backward(self, d_out: Float[Array, "... d_out"]) -> Float[Array, "... d_in"]:
        """Return d_x, (..., d_in)."""
        d_x, d_weight, d_bias = linear_backward(d_out, self.saved, self.weight.data)
        self.weight.accumulate(d_weight)
        if self.bias is not None:
            self.bias.accumulate(d_bias)
        return d_x


def linear(
    x: Float[Array, "*rows d_in"],
    weight: Float[Array, "d_out d_in"],
    bias: Float[Array, " d_out"] | None = None,
) -> Float[Array, "*rows d_out"]:
    """Return x Wᵀ + b, all rows in one product: many small ones would leave most of the machine idle."""
    out = x.reshape(-1, x.shape[-1]) @ weight.T
    if bias is not None:
        out += bias
    return out.reshape(*x.shape[:-1], -1)


def linear_backward(
    d_out: Float[Array, "*rows d_out"], x: Float[Array, "*rows d_in"], weight: Float[Array, "d_out d_in"]
) -> tuple[Float[Array, "*rows d_in"], Float[Array, "d_out d_in"], Float[Array, " d_out"]]:
    """Return d_x, d_weight and d_bias: a weight that served every row collects the gradients of every row."""
    gradients.product("d_out", d_out, x, weight)
    d_out = d_out.reshape(-1, d_out.shape[-1])  # (N, d_out)
    d_x = (d_out @ weight).reshape(x.shape)
    return d_x, d_out.T @ x.reshape(-1, x.shape[-1]), d_out.sum(axis=0)
