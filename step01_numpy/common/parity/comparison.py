"""
Parity: how far a stage's numbers are from step01's, forward and gradient, operation by operation.

`check(stage)` serves the `parity` command, the tests, grading, and anyone's own implementation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from step01_numpy.common.parity.cases import CASES, Case
from step01_numpy.common.parity.stage import Stage

TOLERANCE = 1e-10  # float64, times max(1, largest reference value)
DIFFERENCES_TOLERANCE = 1e-6  # central differences lose half the digits


@dataclass(frozen=True)
class Row:
    """A line of the table: one operation's largest differences, and whether they are within tolerance."""

    operation: str
    stage: str
    reference: str
    forward: float
    gradient: float
    within_tolerance: bool


def check(stage, reference="step01_numpy", seed: int = 0) -> list[Row]:
    """
    Compare a stage with another, in float64, with random inputs and random upstream gradients.

    Parameters
    ----------
    stage : module, str or Stage
        A package of the stages' face.
    reference : module, str or Stage
        What it is compared with. When it is the stage itself, the gradients are compared with central
        differences instead, along one random direction of each array.
    seed : int

    Returns
    -------
    rows : list of Row
        One for each operation that both offer, in reading order.
    """
    stage, reference = (x if isinstance(x, Stage) else Stage(x) for x in (stage, reference))
    offered = [case for case in CASES if stage.has(case.name) and reference.has(case.name)]
    return [compare(case, stage, reference, seed) for case in offered]


def compare(case: Case, stage: Stage, reference: Stage, seed: int = 0) -> Row:
    """Compare one operation."""
    evaluate = evaluate_layer if case.is_layer else evaluate_function
    ours, theirs = evaluate(case, stage, seed), evaluate(case, reference, seed)
    found, expected, tolerance = ours.gradients, theirs.gradients, TOLERANCE
    against_itself = stage.name == reference.name
    if against_itself:
        found, expected = slopes(ours, seed)
        tolerance = DIFFERENCES_TOLERANCE
    pairs = [(found.get(name, np.empty(0)), x) for name, x in expected.items()]
    return Row(
        case.operation,
        stage.name,
        "central differences" if against_itself else reference.name,
        difference(ours.out, theirs.out),
        max(difference(*pair) for pair in pairs),
        agrees(ours.out, theirs.out, TOLERANCE) and all(agrees(*pair, tolerance) for pair in pairs),
    )


def difference(x: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest absolute difference; NaN or a wrong shape counts as infinite."""
    if x.shape != expected.shape:
        return np.inf
    equal = x == expected  # equal infinities differ by 0
    apart = np.abs(np.where(equal, 0, x) - np.where(equal, 0, expected))
    return np.inf if np.isnan(apart).any() else float(apart.max(initial=0))


def agrees(x: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Tell whether x is within tolerance · max(1, largest finite |expected|) of what was expected."""
    finite = np.abs(expected[np.isfinite(expected)])
    return difference(x, expected) <= tolerance * max(1.0, float(finite.max(initial=0)))


@dataclass(frozen=True)
class Evaluation:
    """
    One stage's answer to a case.

    Attributes
    ----------
    arrays : dict
        The inputs by number and, of a layer, the weights by name.
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


def evaluate_function(case: Case, stage: Stage, seed: int) -> Evaluation:
    """Call a function on random inputs; of several results the first counts."""
    rng = np.random.default_rng(seed)
    inputs = case.inputs(rng)
    options = {name: x(rng) if callable(x) else x for name, x in case.options.items()}
    arrays = {str(i): x for i, x in enumerate(inputs)}

    def run(arrays):
        out = stage.call(case.name, *arrays.values(), **options)
        return out[0] if isinstance(out, tuple) else out

    out = run(arrays)
    d_out = rng.normal(size=out.shape)
    gradients = stage.gradients(case.name, d_out, *inputs, **options)
    return Evaluation(arrays, run, out, d_out, {str(i): d for i, d in enumerate(gradients)})


def evaluate_layer(case: Case, stage: Stage, seed: int) -> Evaluation:
    """Run a layer on random inputs, with random weights: ones and zeros would hide mistakes."""
    rng = np.random.default_rng(seed)
    inputs = case.inputs(rng)
    layer = stage.layer(case.name, *case.build)
    shapes = {name: x.shape for name, x in layer.state().items()}
    weights = {name: rng.normal(size=shapes[name]) / 2 for name in sorted(shapes)}
    arrays = {str(i): x for i, x in enumerate(inputs)} | weights

    def run(arrays):
        layer.load({name: arrays[name] for name in weights})
        return layer.forward(*(arrays[str(i)] for i in range(len(inputs))), **case.options)

    out = run(arrays)
    d_out = rng.normal(size=out.shape)
    return Evaluation(arrays, run, out, d_out, layer.gradients(d_out, *inputs, **case.options))


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
