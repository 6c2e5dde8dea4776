"""What a task is: functions handed out without their bodies, and the cases that judge what comes back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.homework.submission import file_of

PACKAGES = {1: "step01_numpy", 2: "step02_torch", 3: "step03_gpu"}


@dataclass(frozen=True)
class Case:
    """
    One call, or for a method an object and the calls made of it, and what is compared afterwards.

    Attributes
    ----------
    name : str
        What is special about it, as students read it: "causal", "grouped heads".
    args, options : tuple, mapping
        Of the call; arrays are float64, and the case has them for itself.
    target : str
        Which of the task's targets is called; the first where it is empty.
    build : callable, optional
        For a method: makes the reference's object, with its weights, and does whatever comes before the calls
        (the forward before a backward). The object's attributes are sent, never the object.
    calls : tuple of (args, options)
        For a method that is called more than once; otherwise `args` and `options` are the one call's.
    first : bool
        Whether of several results only the first is compared: the others are the student's own business.
    """

    name: str
    args: tuple = ()
    options: Mapping[str, object] = field(default_factory=dict)
    target: str = ""
    build: Callable[[], object] | None = None
    calls: tuple[tuple[tuple, dict], ...] = ()
    first: bool = False

    @property
    def all_calls(self) -> tuple[tuple[tuple, dict], ...]:
        """The calls, of which a function has one."""
        return self.calls or ((self.args, dict(self.options)),)


@dataclass(frozen=True)
class Task:
    """
    A part of a stage that a course can hand out.

    Attributes
    ----------
    name : str
    stage : int
        1, 2 or 3.
    targets : tuple of str
        What is blanked and graded, "module:function" or "module:Class.method", the module within the stage.
    cases : callable
        From a generator to a list of `Case`, always of the same names in the same order.
    points : int
        Of one case.
    uses : tuple of str
        Tasks whose functions may be called; the grader answers such calls.
    also : tuple of str
        Blanked along with the targets, in the same form.
    given : tuple of str
        Private helpers of the targets that stay in the starter, in the same form, unless another task blanks
        them.
    hint : str
        What the handout adds to the docstring: what is agreed on and stands nowhere else.
    state : tuple of str
        For methods: attributes that are compared after the calls, as dotted paths ("w_q.weight.grad").
    forbids : tuple of str
        What of the framework's own would be the task itself and cannot be called: some of `forbidden.RULES`.
    lesson : str
        The page that teaches it, seen from the repository's root.
    """

    name: str
    stage: int
    targets: tuple[str, ...]
    cases: Callable[[np.random.Generator], list[Case]]
    points: int
    uses: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    lesson: str = ""
    given: tuple[str, ...] = ()
    hint: str = ""
    forbids: tuple[str, ...] = ()

    @property
    def package(self) -> str:
        """The stage's package."""
        return PACKAGES[self.stage]

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that hold the targets, within the package, each once."""
        return tuple(dict.fromkeys(target.split(":")[0] for target in self.targets))

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that hold the targets, without their folders, each once."""
        return tuple(dict.fromkeys(Path(file_of(x)).name for x in self.modules))

    def target_of(self, case: Case) -> str:
        """Return what a case calls."""
        return case.target or self.targets[0]
