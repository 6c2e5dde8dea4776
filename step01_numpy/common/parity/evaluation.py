"""
What a stage answers to a case: results, and gradients of Σ d_out · (first result).

Every answer is made from arrays drawn anew, from one seed: a stage that writes into what it was given
changes nobody else's.
"""

from collections.abc import Mapping
from contextlib import contextmanager
from functools import cached_property
from inspect import Parameter

import numpy as np

from step01_numpy.common.parity.cases import Case
from step01_numpy.common.parity.signatures import NotOffered, parameters
from step01_numpy.common.parity.stage import Stage, StageLayer
from step01_numpy.common.parity.verdict import one_line

# What the results after the first are called; a function that is not named here has one.
RESULTS = {"scaled_dot_product_attention": ("out", "weights"), "flash_attention": ("out", "lse")}


def draw(case: Case, seed: int) -> tuple[tuple, dict, np.random.Generator]:
    """Return a case's inputs and options, and the generator that drew them."""
    rng = np.random.default_rng(seed)
    inputs = case.inputs(rng)
    return inputs, {name: x(rng) if callable(x) else x for name, x in case.options.items()}, rng


@contextmanager
def shapes_may_be_refused(case: Case, title: str):
    """Take an exception for "not offered" where shapes alone, which no signature tells, ask for something."""
    try:
        yield
    except NotOffered:
        raise
    except Exception as error:
        if not case.by_shape:
            raise
        raise NotOffered(f"{title} raised {type(error).__name__}: {one_line(error)}") from error


class Call:
    """
    A case as it is put to a stage.

    Parameters
    ----------
    case : Case
    stage : Stage
    seed : int
    like : Call, optional
        The reference's, from which names of the inputs and shapes of the weights are taken.
    """

    def __init__(self, case: Case, stage: Stage, seed: int, like: "Call | None" = None):
        self.case, self.stage, self.seed, self.like = case, stage, seed, like

    @cached_property
    def names(self) -> list[str]:
        """What the inputs are called."""
        if self.like is not None:
            return self.like.names
        inputs, found = draw(self.case, self.seed)[0], parameters(self._callable())
        named = [p.name for p in found if p.kind is not Parameter.VAR_POSITIONAL]
        return [named[i] if i < len(named) else str(i) for i in range(len(inputs))]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the inputs by name."""
        return dict(zip(self.names, draw(self.case, self.seed)[0], strict=True))

    def results(self) -> dict[str, np.ndarray]:
        """Return what comes back for the case's arrays, by name."""
        return self.run(self.arrays())


class FunctionCall(Call):
    """A case's function, called on a stage."""

    def _callable(self):
        return self.stage.get(self.case.name)

    def run(self, arrays: Mapping) -> dict[str, np.ndarray]:
        """Call it on these arrays: its results by name."""
        _, options, _ = draw(self.case, self.seed)
        with shapes_may_be_refused(self.case, f"{self.stage}.{self.case.name}"):
            found = self.stage.call(self.case.name, *arrays.values(), **options)
        found = found if isinstance(found, tuple) else (found,)
        return dict(zip(RESULTS.get(self.case.name, ("out",)), found, strict=False))

    def gradients(self, d_out: np.ndarray, results: Mapping) -> dict[str, np.ndarray]:
        """
        Return its gradients by the names of its arrays.

        Parameters
        ----------
        d_out : np.ndarray
        results : mapping
            What the reference returned. A backward function goes on from that, not from what its own forward
            returned: a wrong forward is not held against it.
        """
        _, options, _ = draw(self.case, self.seed)
        given = tuple(x.copy() for x in results.values())
        result = given if self.case.name in RESULTS else given[0]
        found = self.stage.gradients(
            self.case.name, d_out.copy(), *self.arrays().values(), result=result, **options
        )
        return dict(zip(self.names, found, strict=False))


class LayerCall(Call):
    """A case's layer, built on a stage, with random weights: ones and zeros would hide mistakes."""

    @cached_property
    def layer(self) -> StageLayer:
        """The layer, built once."""
        return self.stage.layer(self.case.name, *self.case.build)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights by name."""
        if self.like is not None:
            return self.like.shapes
        return {name: x.shape for name, x in self.layer.state().items()}

    def _callable(self):
        return getattr(self.layer.layer, "forward", self.layer.layer)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the inputs and the weights by name."""
        rng = draw(self.case, self.seed)[2]
        weights = {name: rng.normal(size=self.shapes[name]) / 2 for name in sorted(self.shapes)}
        return super().arrays() | weights

    def run(self, arrays: Mapping) -> dict[str, np.ndarray]:
        """Run the layer with these inputs and weights."""
        self.layer.load({name: arrays[name] for name in self.shapes})
        inputs = (arrays[name] for name in self.names)
        found = self.layer.forward(*inputs, **draw(self.case, self.seed)[1])
        return {"out": found[0] if isinstance(found, tuple) else found}

    def gradients(self, d_out: np.ndarray, results: Mapping) -> dict[str, np.ndarray]:
        """Return its gradients by the names of its arrays, from its own forward."""
        arrays, (_, options, _) = self.arrays(), draw(self.case, self.seed)
        self.layer.load({name: arrays[name] for name in self.shapes})
        found = self.layer.gradients(d_out.copy(), *(arrays[name] for name in self.names), **options)
        return {self.names[int(key)] if key.isdigit() else key: d for key, d in found.items()}
