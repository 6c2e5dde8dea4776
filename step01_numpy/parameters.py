"""Weights and the layers that hold them; every weight has the name it has in step02's `state_dict()`."""

from collections.abc import Iterator
from math import sqrt

import numpy as np
from jaxtyping import Float

from step01_numpy.arrays import Array, random_generator
from step01_numpy.common.support import checks


class Parameter:
    """
    A weight and the gradient that backward passes have added up for it.

    Attributes
    ----------
    data : Array
    grad : Array or None
        None until a backward pass reaches the weight.
    """

    def __init__(self, data: Array):
        self.data = data
        self.grad = None

    def accumulate(self, gradient: Array) -> None:
        """Add to `grad`: a weight that is used twice collects two gradients."""
        self.grad = gradient if self.grad is None else self.grad + gradient


class Layer:
    """
    A part of a model: `forward(...)`, and `backward(d_out)`, which adds to the gradients of its weights.

    Its weights are the `Parameter`, `Layer` and lists of `Layer` among its attributes, named as PyTorch
    names them ("layers.0.w_q.weight"). `forward` keeps in `saved` what `backward` needs.
    """

    training = True

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def children(self) -> Iterator[tuple[str, "Layer"]]:
        """Yield the layers directly inside this one, with their names."""
        for name, value in vars(self).items():
            if isinstance(value, Layer):
                yield name, value
            elif isinstance(value, list):
                yield from ((f"{name}.{i}", x) for i, x in enumerate(value) if isinstance(x, Layer))

    def modules(self) -> Iterator["Layer"]:
        """Yield this layer and all inside it."""
        yield self
        for _, layer in self.children():
            yield from layer.modules()

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield each weight with its dotted name, this layer's own first."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
        for name, layer in self.children():
            yield from layer.named_parameters(f"{prefix}{name}.")

    def parameters(self) -> list[Parameter]:
        """Return all weights."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> "Layer":
        """Switch dropout on, or off with `mode=False`, in this layer and all inside it."""
        for layer in self.modules():
            layer.training = mode
        return self

    def eval(self) -> "Layer":
        """Switch dropout off."""
        return self.train(False)

    def double(self) -> "Layer":
        """Turn all weights into float64."""
        return self.convert(lambda data: data.astype(np.float64))

    def float(self) -> "Layer":
        """Turn all weights into float32."""
        return self.convert(lambda data: data.astype(np.float32))

    def convert(self, change) -> "Layer":
        """Replace the array of each weight by `change(array)`: another dtype, another device."""
        for parameter in self.parameters():
            parameter.data, parameter.grad = change(parameter.data), None
        return self

    def fuse(self) -> None:
        """Lay weights that multiply the same rows side by side, where a layer has such."""

    def state_dict(self) -> dict[str, Array]:
        """Return the weights' arrays by name."""
        return {name: parameter.data for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: dict, *, copy: bool = True) -> None:
        """
        Take the weights from `state`, arrays of any stage by name, in this layer's dtype and on its device.

        Parameters
        ----------
        state : dict
        copy : bool
            Without a copy, arrays that have the dtype already are used as they are, on a file's pages maybe.

        Raises
        ------
        ValueError
            For names missing or unknown, or a wrong shape; then no weight has changed.
        """
        own = dict(self.named_parameters())
        checks.state({name: parameter.data.shape for name, parameter in own.items()}, state)
        for name, parameter in own.items():
            new, old = state[name], parameter.data
            new = new if isinstance(new, Array) else np.asarray(new)
            parameter.data = (np.array if copy else np.asarray)(new, dtype=old.dtype, like=old)


class Linear(Layer):
    """
    out = x Wᵀ + b.

    Parameters
    ----------
    d_in, d_out : int
    bias : bool
    rng : numpy.random.Generator, optional
        Source of the initial weights, uniform within ±1/√d_in as in PyTorch. In step02, without one they
        are drawn by PyTorch itself.
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


class FusedLinear:
    """Linear maps of the same rows, as one product: of weights that `fuse` has laid side by side."""

    def __init__(self):
        self.weight = self.bias = None

    def fuse(self, *maps: Linear) -> None:
        """Lay weights side by side, (d_in, sum of d_out), and biases; the maps keep theirs, as views."""
        self.weight = np.concatenate([x.weight.data for x in maps]).T.copy()
        self.bias = None if maps[0].bias is None else np.concatenate([x.bias.data for x in maps])
        ends = np.cumsum([len(x.weight.data) for x in maps]).tolist()
        self.parts = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        for x, part in zip(maps, self.parts, strict=True):
            x.weight.data = self.weight[:, part].T
            if x.bias is not None:
                x.bias.data = self.bias[part]
        self.views = [(x.weight.data, None if x.bias is None else x.bias.data) for x in maps]

    def __call__(self, x: Float[Array, "... d_in"], *maps: Linear) -> list[Float[Array, "... d_out"]]:
        """Return what each map makes of x: one by one if they are not fused, or have got other weights."""
        if self.weight is None or not all(map(self._holds, maps, self.views)):
            return [linear_map(x) for linear_map in maps]
        checks.features("x", x, len(self.weight))
        for linear_map in maps:
            linear_map.saved = x  # the backward passes are the maps' own
        out = linear(x, self.weight.T, self.bias)
        return [out[..., part] for part in self.parts]

    def _holds(self, x, view):
        weight, bias = view
        given = None if x.bias is None else x.bias.data
        same_bias = given is bias and (bias is None or bias.base is self.bias)
        return x.weight.data is weight and weight.base is self.weight and same_bias


def linear(
    x: Float[Array, "*rows d_in"],
    weight: Float[Array, "d_out d_in"],
    bias: Float[Array, " d_out"] | None = None,
) -> Float[Array, "*rows d_out"]:
    """
    Return x Wᵀ + b.

    All rows go into one matrix product: many small ones would leave most of the machine idle.
    """
    out = x.reshape(-1, x.shape[-1]) @ weight.T
    if bias is not None:
        out += bias
    return out.reshape(*x.shape[:-1], -1)


def linear_backward(
    d_out: Float[Array, "*rows d_out"], x: Float[Array, "*rows d_in"], weight: Float[Array, "d_out d_in"]
) -> tuple[Float[Array, "*rows d_in"], Float[Array, "d_out d_in"], Float[Array, " d_out"]]:
    """
    Differentiate `linear`.

    Returns
    -------
    d_x, d_weight, d_bias
        A weight that served every row collects the gradients of every row.
    """
    d_out = d_out.reshape(-1, d_out.shape[-1])  # (N, d_out)
    d_x = (d_out @ weight).reshape(x.shape)
    return d_x, d_out.T @ x.reshape(-1, x.shape[-1]), d_out.sum(axis=0)


def uniform(bound: float, shape: tuple, rng=None) -> Float[Array, "..."]:
    """Draw float32 numbers from [-bound, bound)."""
    rng = random_generator() if rng is None else rng
    return rng.uniform(-bound, bound, shape).astype(np.float32, copy=False)


def normal(deviation: float, shape: tuple, rng=None) -> Float[Array, "..."]:
    """Draw float32 numbers from a normal distribution of mean 0."""
    rng = random_generator() if rng is None else rng
    return rng.normal(0, deviation, shape).astype(np.float32, copy=False)
