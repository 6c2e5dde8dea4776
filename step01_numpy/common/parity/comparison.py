"""
Parity: how far a stage's numbers are from step01's, forward and gradient, operation by operation.

`check(stage)` serves the `parity` command, the tests, grading, and anyone's own implementation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from step01_numpy.common.parity.cases import CASES, Case, select
from step01_numpy.common.parity.evaluation import Call, FunctionCall, LayerCall
from step01_numpy.common.parity.slopes import DIFFERENCES_TOLERANCE, Evaluation, slopes
from step01_numpy.common.parity.stage import Stage
from step01_numpy.common.parity.table import Rows
from step01_numpy.common.parity.verdict import MISSING, NOT_OFFERED, Row, Verdict, judge


def check(stage, reference="step01_numpy", *, only: Iterable[str] | None = None, seed: int = 0) -> Rows:
    """
    Compare a stage with another, in float64, with random inputs and random upstream gradients.

    Parameters
    ----------
    stage : module, str or Stage
        A package of the stages' face.
    reference : module, str or Stage
        What it is compared with. When it is the stage itself, the gradients are compared with central
        differences instead, along one random direction of each array.
    only : iterable of str, optional
        Operations, families of them ("attention", "flash", "softmax"), or names of functions and classes.
    seed : int

    Returns
    -------
    rows : Rows
        One for each operation, in reading order, whatever came of it. `rows.passed` tells whether all is
        well, and printing them shows the table.

    Raises
    ------
    ValueError
        For a name in `only` that is no operation.
    """
    stage, reference = (x if isinstance(x, Stage) else Stage(x) for x in (stage, reference))
    return Rows(compare(case, stage, reference, seed) for case in select(only, CASES))


def compare(case: Case, stage: Stage, reference: Stage, seed: int = 0) -> Row:
    """Compare one operation."""
    kind = LayerCall if case.is_layer else FunctionCall
    theirs = kind(case, reference, seed)
    expected = ask(theirs)
    if stage.name != reference.name:
        return row(kind(case, stage, seed, like=theirs), expected, stage.name, reference.name)
    again = Evaluation(
        theirs.arrays(),
        lambda arrays: theirs.run(arrays)["out"],
        expected.results["out"],
        expected.d_out,
        expected.gradients,
    )
    found, measured = slopes(again, seed)
    forward = judge(theirs.results, expected.results)
    gradient = judge(lambda: for_names(found), for_names(measured), DIFFERENCES_TOLERANCE)
    return Row(case.operation, stage.name, "central differences", forward, gradient)


@dataclass(frozen=True)
class Expected:
    """What the reference answers to a case: results by name, gradients by the names of the arrays."""

    results: dict[str, np.ndarray]
    d_out: np.ndarray
    gradients: dict[str, np.ndarray]


def ask(call: Call) -> Expected:
    """Ask the reference, with a random upstream gradient."""
    results = {name: x.copy() for name, x in call.results().items()}
    d_out = np.random.default_rng([call.seed, 1]).normal(size=results["out"].shape)
    return Expected(results, d_out, call.gradients(d_out, results))


def row(call: Call, expected: Expected, stage: str, reference: str) -> Row:
    """Judge a stage's answer to a case, its results and its gradients apart."""
    forward = judge(call.results, expected.results)
    if forward.status in (MISSING, NOT_OFFERED):
        gradient = Verdict(forward.status, text=forward.text)
    else:
        gradients = partial(call.gradients, expected.d_out, expected.results)
        gradient = judge(lambda: for_names(gradients()), for_names(expected.gradients))
    return Row(call.case.operation, stage, reference, forward, gradient)


def for_names(gradients: Mapping) -> dict:
    """Return gradients under the names of gradients: that of q is d_q."""
    return {f"d_{name}": d for name, d in gradients.items()}
