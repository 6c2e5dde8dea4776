"""Weights and the modules that hold them; their names in `state_dict()` are those of every stage."""

from math import sqrt

import torch
from jaxtyping import Float
from torch.nn import Module, Parameter
from torch.nn.functional import linear

from step01_numpy.arrays import random_generator
from step01_numpy.common.support import checks
from step02_torch.arrays import Array, from_numpy

__all__ = ["Layer", "Linear", "Parameter", "linear", "normal", "uniform"]


class Layer(Module):
    """A module whose `load_state_dict` also takes the NumPy arrays of the other stages."""

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


def uniform(bound: float, shape: tuple, rng=None) -> Float[Array, "..."]:
    """Draw float32 numbers from [-bound, bound)."""
    if rng is None:
        return torch.empty(shape).uniform_(-bound, bound)
    return torch.from_numpy(rng.uniform(-bound, bound, shape)).float()  # not copied: nobody else has it


def normal(deviation: float, shape: tuple, rng=None) -> Float[Array, "..."]:
    """Draw float32 numbers from a normal distribution of mean 0."""
    rng = random_generator() if rng is None else rng
    return torch.from_numpy(rng.normal(0, deviation, shape)).float()
