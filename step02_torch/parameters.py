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

    def load_state_dict(
        self, state: dict, strict: bool = True, assign: bool = False, *, copy: bool = True
    ) -> tuple[list, list]:
        """
        Take the weights from `state`, arrays of any stage by name, in this module's dtype and on its device.

        Parameters
        ----------
        state : dict
        copy : bool
            Without a copy, the tensors take the place of the module's own.
        strict, assign : bool
            As in PyTorch; assign=True is copy=False. Not strict, names that one side lacks are left alone.

        Returns
        -------
        missing_keys, unexpected_keys : list
            What was left alone.

        Raises
        ------
        ValueError
            For names missing or unknown, or a wrong shape; then no weight has changed.
        """
        own = self.state_dict()
        expected = {name: data.shape for name, data in own.items() if strict or name in state}
        checks.state(expected, {name: x for name, x in state.items() if strict or name in own})
        tensors = {name: x if isinstance(x, Array) else from_numpy(x) for name, x in state.items()}
        for name in expected:
            like = own[name].dtype if own[name].is_meta else own[name]  # "meta" would drop the numbers
            tensors[name] = tensors[name].to(like)
        return Module.load_state_dict(self, tensors, strict=strict, assign=assign or not copy)


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
    """Draw numbers from [-bound, bound), in PyTorch's default dtype and on its default device."""
    if rng is None:
        return torch.empty(shape).uniform_(-bound, bound)
    return _weight(rng.uniform(-bound, bound, shape))


def normal(deviation: float, shape: tuple, rng=None) -> Float[Array, "..."]:
    """Draw numbers from a normal distribution of mean 0; dtype and device as in `uniform`."""
    rng = random_generator() if rng is None else rng
    return _weight(rng.normal(0, deviation, shape))


def _weight(x):
    return torch.as_tensor(x, dtype=torch.get_default_dtype())  # not copied: nobody else has it
