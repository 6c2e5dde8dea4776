"""Weights on the device. The layers are step01's: their code runs on CuPy's arrays as it runs on NumPy's."""

from step01_numpy import parameters as host
from step01_numpy.parameters import Layer, Parameter, linear, linear_backward
from step03_gpu.arrays import Array, from_numpy

__all__ = [
    "Layer",
    "Linear",
    "Parameter",
    "linear",
    "linear_backward",
    "normal",
    "uniform",
]


class Linear(host.Linear):
    """
    out = x Wᵀ + b, with its weights on the device.

    Parameters
    ----------
    d_in, d_out : int
    bias : bool
    rng : numpy.random.Generator, optional
        Source of the initial weights, uniform within ±1/√d_in, drawn on the host.
    """

    def __init__(self, d_in: int, d_out: int, *, bias: bool = True, rng=None):
        super().__init__(d_in, d_out, bias=bias, rng=rng)
        self.convert(from_numpy)


def uniform(bound: float, shape: tuple, rng=None) -> Array:
    """Draw float32 numbers from [-bound, bound)."""
    return from_numpy(host.uniform(bound, shape, rng))


def normal(deviation: float, shape: tuple, rng=None) -> Array:
    """Draw float32 numbers from a normal distribution of mean 0."""
    return from_numpy(host.normal(deviation, shape, rng))
