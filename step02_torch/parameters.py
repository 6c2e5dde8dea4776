"""Weights and the modules that hold them; their names in `state_dict()` are those of every stage."""

from math import sqrt

import torch
from jaxtyping import Float
from torch.nn import Module, Parameter
from torch.nn.functional import linear

from step01_numpy.arrays import random_generator
from step01_numpy.common.support import checks
from step02_torch.arrays import Array, from_numpy

__all__ = ["FusedLinear", "Layer", "Linear", "Parameter", "linear", "normal", "uniform"]


class Layer(Module):
    """A module whose `load_state_dict` also takes the NumPy arrays of the other stages."""

    def fuse(self) -> None:
        """Lay weights that multiply the same rows side by side, where a module has such."""

    def load_state_dict(self, state: dict, *, copy: bool = True) -> None:
        """
        Take the weights from `state`, arrays of any stage by name, in this module's dtype and on its device.

        Parameters
        ----------
        state : dict
        copy : bool
            Without a copy, the tensors take the place of the module's own.

        Raises
        ------
        ValueError
            For names missing or unknown, or a wrong shape; then no weight has changed.
        """
        own = self.state_dict()
        checks.state({name: data.shape for name, data in own.items()}, state)
        tensors = {name: x if isinstance(x, Array) else from_numpy(x) for name, x in state.items()}
        tensors = {name: x.to(own[name]) for name, x in tensors.items()}
        super().load_state_dict(tensors, assign=not copy)


class Linear(Layer):
    """
    out = x Wᵀ + b.

    Parameters
    ----------
    d_in, d_out : int
    bias : bool
    rng : numpy.random.Generator, optional
        Source of the initial weights, uniform within ±1/√d_in. Without one they are drawn by PyTorch
        itself, as `nn.Linear` draws them.
    """

    def __init__(self, d_in: int, d_out: int, *, bias: bool = True, rng=None):
        super().__init__()
        checks.positive("d_in", d_in)
        checks.positive("d_out", d_out)
        self.d_in = d_in
        self.weight = Parameter(uniform(1 / sqrt(d_in), (d_out, d_in), rng))
        self.bias = Parameter(uniform(1 / sqrt(d_in), (d_out,), rng)) if bias else None

    def forward(self, x: Float[Array, "... d_in"]) -> Float[Array, "... d_out"]:
        """Return x Wᵀ + b, (..., d_out)."""
        checks.features("x", x, self.d_in)
        return linear(x, self.weight, self.bias)


class FusedLinear:
    """Linear maps of the same rows, as one product: of weights that `fuse` has laid side by side."""

    def __init__(self):
        self.weight = self.bias = None

    @torch.no_grad()
    def fuse(self, *maps: Linear) -> None:
        """Lay weights side by side, (d_in, sum of d_out), and biases; the maps keep theirs, as views."""
        self.weight = torch.cat([x.weight for x in maps]).T.contiguous()
        self.bias = None if maps[0].bias is None else torch.cat([x.bias for x in maps])
        self.sizes = [len(x.weight) for x in maps]
        for i, x in enumerate(maps):
            x.weight.data = self.weight.split(self.sizes, dim=1)[i].T
            if x.bias is not None:
                x.bias.data = self.bias.split(self.sizes)[i]
        self.views = [(x.weight.data, None if x.bias is None else x.bias.data) for x in maps]

    def __call__(self, x: Float[Array, "... d_in"], *maps: Linear) -> list[Float[Array, "... d_out"]]:
        """Return what each map makes of x: one by one if not fused, with other weights, or for gradients."""
        if self.weight is None or torch.is_grad_enabled() or not all(map(_holds, maps, self.views)):
            return [linear_map(x) for linear_map in maps]
        checks.features("x", x, len(self.weight))
        return list(linear(x, self.weight.T, self.bias).split(self.sizes, dim=-1))


def _holds(x, view):
    weight, bias = view
    same_bias = x.bias is bias if x.bias is None or bias is None else x.bias.is_set_to(bias)
    return x.weight.is_set_to(weight) and same_bias


def uniform(bound: float, shape: tuple, rng=None) -> Float[Array, "..."]:
    """Draw float32 numbers from [-bound, bound)."""
    if rng is None:
        return torch.empty(shape).uniform_(-bound, bound)
    return torch.from_numpy(rng.uniform(-bound, bound, shape)).float()


def normal(deviation: float, shape: tuple, rng=None) -> Float[Array, "..."]:
    """Draw float32 numbers from a normal distribution of mean 0."""
    rng = random_generator() if rng is None else rng
    return torch.from_numpy(rng.normal(0, deviation, shape)).float()
