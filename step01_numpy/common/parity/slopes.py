"""Central differences along a direction: what gradients are compared with that have no peer."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DIFFERENCES_TOLERANCE = 1e-6  # central differences lose half the digits


@dataclass(frozen=True)
class Evaluation:
    """
    One stage's answer to a case, and how to ask it again.

    Attributes
    ----------
    arrays : dict
        The inputs and, of a layer, the weights by name.
    run : callable
        From such arrays to the result.
    out, d_out : np.ndarray
        The result for `arrays`, and its random upstream gradient.
    gradients : dict
        Of Σ d_out · out, by the names in `arrays`.
    """

    arrays: dict
    run: Callable
    out: np.ndarray
    d_out: np.ndarray
    gradients: dict


def slopes(evaluation: Evaluation, seed: int, step: float = 1e-6) -> tuple[dict, dict]:
    """
    Return how Σ d_out · out changes along one random direction of each array.

    Returns
    -------
    found, measured : dict
        By the gradients, Σ gradient · direction; and by central differences, which need no calculus:
        (f(x + h direction) - f(x - h direction)) / 2h.
    """
    rng, found, measured = np.random.default_rng(seed), {}, {}
    for name, gradient in evaluation.gradients.items():
        direction = rng.choice([-1.0, 1.0], size=gradient.shape)  # every entry counts alike
        found[name] = np.array((gradient * direction).sum())
        ends = [{**evaluation.arrays, name: evaluation.arrays[name] + h * direction} for h in (step, -step)]
        above, below = ((evaluation.d_out * evaluation.run(end)).sum() for end in ends)
        measured[name] = np.array((above - below) / (2 * step))
    return found, measured
