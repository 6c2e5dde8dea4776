"""The feed-forward of a block: two linear maps with a non-linearity between, gated or not."""

from jaxtyping import Float
from torch.nn import functional

from step02_torch.arrays import Array
from step02_torch.parameters import Layer, Linear


def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Let what is positive pass: max(x, 0)."""
    return functional.relu(x)


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """
    Weigh x by the probability Φ(x) that a standard normal number is smaller.

    References
    ----------
    Hendrycks and Gimpel 2016, equation 1, arXiv:1606.08415.
    """
    return functional.gelu(x)


def gelu_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """
    Approximate `gelu` as GPT-2 does, by a hyperbolic tangent.

    References
    ----------
    Hendrycks and Gimpel 2016, section 2, arXiv:1606.08415.
    """
    return functional.gelu(x, approximate="tanh")


def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return 1 / (1 + exp(-x))."""
    return x.sigmoid()


def silu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """
    Weigh x by its own sigmoid; also called swish.

    References
    ----------
    Elfwing et al. 2017, arXiv:1702.03118; Ramachandran et al. 2017, arXiv:1710.05941.
    """
    return functional.silu(x)


ACTIVATIONS = {"relu": relu, "gelu": gelu, "gelu_tanh": gelu_tanh, "silu": silu}


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
        Source of the initial weights; PyTorch's own when not given.

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
        super().__init__()
        self.activate = ACTIVATIONS[activation]
        self.w_1 = Linear(d_model, d_ff, bias=bias, rng=rng)
        self.w_2 = Linear(d_ff, d_model, bias=bias, rng=rng)
        self.w_3 = Linear(d_model, d_ff, bias=bias, rng=rng) if gated else None

    def forward(self, x: Float[Array, "*rows d_model"]) -> Float[Array, "*rows d_model"]:
        """Transform each row of x, (..., d_model)."""
        hidden, gate = self.hidden_and_gate(x)
        active = self.activate(hidden)
        return self.w_2(active if gate is None else active * gate)

    def hidden_and_gate(self, x: Float[Array, "*rows d_model"]):
        """Return w_1 x and w_3 x, (..., d_ff), which is None without a gate."""
        return self.w_1(x), None if self.w_3 is None else self.w_3(x)
