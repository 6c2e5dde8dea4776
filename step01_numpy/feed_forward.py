"""The feed-forward of a block: two linear maps with a non-linearity between, gated or not."""

from functools import wraps
from math import pi, sqrt

import numpy as np
from jaxtyping import Float

from step01_numpy.arrays import Array, widen
from step01_numpy.common.support import checks, gradients
from step01_numpy.common.support.normal_distribution import normal_distribution
from step01_numpy.parameters import Layer, Linear


def _keeps_dtype(function):
    """Let an activation, or its backward, return its argument's dtype; 16 bits are computed in float32."""

    @wraps(function)
    def forward(x):
        checks.floating(Array, "x", x)
        return function(widen(x)).astype(x.dtype, copy=False)

    @wraps(function)
    def backward(d_out, x):
        checks.floating(Array, "x", x)
        gradients.like("d_out", d_out, x)
        return function(widen(d_out), widen(x)).astype(x.dtype, copy=False)

    return backward if function.__name__.endswith("_backward") else forward


@_keeps_dtype
def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Let what is positive pass: max(x, 0)."""
    return np.maximum(x, 0)


@_keeps_dtype
def relu_backward(d_out: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Differentiate `relu`: nothing flows where it was shut."""
    return d_out * (x > 0)


@_keeps_dtype
def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """
    Weigh x by the probability Φ(x) that a standard normal number is smaller.

    References
    ----------
    Hendrycks and Gimpel 2016, equation 1, arXiv:1606.08415.
    """
    return x * _normal_distribution(x)


@_keeps_dtype
def gelu_backward(d_out: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Differentiate `gelu`: Φ(x) + x φ(x), φ being the normal density, the derivative of Φ."""
    density = np.exp(-0.5 * x * x) * (1 / sqrt(2 * pi))
    return d_out * (_normal_distribution(x) + x * density)


def _normal_distribution(x):
    """Return Φ(x); SciPy's erf, which dispatches, is exact and slow."""
    if isinstance(x, np.ndarray) and x.dtype == np.float32:
        return normal_distribution(x)
    from scipy.special import erf

    return 0.5 * (1 + erf(x * sqrt(0.5)))


@_keeps_dtype
def gelu_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """
    Approximate `gelu` as GPT-2 does, by a hyperbolic tangent: Φ(x) by ½ (1 + tanh u).

    It is computed as σ(2u), the same number, of which the sum would lose the digits where it is near 0.

    References
    ----------
    Hendrycks and Gimpel 2016, section 2, arXiv:1606.08415.
    """
    return x * sigmoid(sqrt(8 / pi) * (x + 0.044715 * x * x * x))


@_keeps_dtype
def gelu_tanh_backward(d_out: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Differentiate `gelu_tanh`: with s = σ(2u), s + x s (1 - s) 2u'."""
    x = np.clip(x, -20, 20)  # beyond, s is 0 or 1, and x² might be inf
    s = sigmoid(sqrt(8 / pi) * (x + 0.044715 * x * x * x))
    twice_d_u = sqrt(8 / pi) * (1 + 3 * 0.044715 * x * x)
    return d_out * (s + x * s * (1 - s) * twice_d_u)


@_keeps_dtype
def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return 1 / (1 + exp(-x)); as a tanh it would lose the digits of what is near 0."""
    with np.errstate(over="ignore"):  # exp(-x) is inf then, and the quotient 0
        return 1 / (1 + np.exp(-x))


@_keeps_dtype
def silu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """
    Weigh x by its own sigmoid; also called swish.

    References
    ----------
    Elfwing et al. 2017, arXiv:1702.03118; Ramachandran et al. 2017, arXiv:1710.05941.
    """
    return x * sigmoid(x)


@_keeps_dtype
def silu_backward(d_out: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Differentiate `silu`: s + x s (1 - s), since the sigmoid's derivative is s (1 - s)."""
    s = sigmoid(x)
    return d_out * (s + x * s * (1 - s))


ACTIVATIONS = {
    "relu": (relu, relu_backward),
    "gelu": (gelu, gelu_backward),
    "gelu_tanh": (gelu_tanh, gelu_tanh_backward),
    "silu": (silu, silu_backward),
}


class FeedForward(Layer):
    """
    w_2 f(w_1 x), or gated, w_2 (f(w_1 x) · w_3 x), applied to each position alone.

    Parameters
    ----------
    d_model, d_ff : int
    activation : str
        f, a name in `ACTIVATIONS`.
    gated : bool
        With "silu" this is SwiGLU.
    bias : bool
        Whether the linear maps add a bias.
    rng : numpy.random.Generator, optional
        Source of the initial weights.

    References
    ----------
    Vaswani et al. 2017, equation 2, arXiv:1706.03762; gated: Shazeer 2020, equation 6, arXiv:2002.05202.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        activation: str = "relu",
        gated: bool = False,
        bias: bool = True,
        rng=None,
    ):
        self.activate, self.activate_backward = ACTIVATIONS[activation]
        self.w_1 = Linear(d_model, d_ff, bias=bias, rng=rng)
        self.w_2 = Linear(d_ff, d_model, bias=bias, rng=rng)
        self.w_3 = Linear(d_model, d_ff, bias=bias, rng=rng) if gated else None

    def forward(self, x: Float[Array, "*rows d_model"]) -> Float[Array, "*rows d_model"]:
        """Transform each row of x, (..., d_model)."""
        hidden, gate = self.hidden_and_gate(x)
        active = self.activate(hidden)
        self.saved = hidden, active, gate
        return self.w_2(active if gate is None else active * gate)

    def hidden_and_gate(self, x: Float[Array, "*rows d_model"]):
        """Return w_1 x and w_3 x, (..., d_ff), which is None without a gate."""
        return self.w_1(x), None if self.w_3 is None else self.w_3(x)

    def backward(self, d_out: Float[Array, "*rows d_model"]) -> Float[Array, "*rows d_model"]:
        """Return d_x, (..., d_model)."""
        hidden, active, gate = self.saved
        d_active = self.w_2.backward(d_out)
        if gate is None:
            return self.w_1.backward(self.activate_backward(d_active, hidden))
        d_gate, d_active = d_active * active, d_active * gate  # active * gate
        return self.w_1.backward(self.activate_backward(d_active, hidden)) + self.w_3.backward(d_gate)
