"""Weights that are to be loaded are not drawn first: a generator that leaves memory as it is."""

import numpy as np


class Undrawn:
    """What stands in for a `numpy.random.Generator` where the numbers do not matter: float32, any values."""

    def uniform(self, low: float, high: float, shape: tuple) -> np.ndarray:
        """Return an array of the shape, its memory not touched."""
        return np.empty(shape, np.float32)

    def normal(self, mean: float, deviation: float, shape: tuple) -> np.ndarray:
        """Return an array of the shape, its memory not touched."""
        return np.empty(shape, np.float32)


NO_DRAW = Undrawn()
