"""What a mutant is: a wrong formula, where it goes, and the test that must find it."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """
    A wrong formula.

    Parameters
    ----------
    name : str
        What is wrong.
    target : str
        `module:function`, or the name of a kernel's file.
    old, new : str
        The text that is replaced, wherever the target has it, and what stands there instead.
    killer : str
        The test that must fail, as pytest names it.
    says : str
        The sentence for a student who makes this mistake in homework; empty where no student is likely to.
    """

    name: str
    target: str
    old: str
    new: str
    killer: str
    says: str = ""

    @property
    def in_kernel(self):
        """Whether a file of CUDA is changed rather than a function of Python."""
        return self.target.endswith((".cu", ".cuh"))

    @property
    def stage(self):
        """The package on which the killer runs: the one that is changed."""
        if self.in_kernel:
            return "tests.step03_rungs"
        if self.target.startswith("tests."):
            return "step01_numpy"  # whichever: the suite's own code is no stage
        engine = self.target.startswith("step01_numpy.engine.flash")
        return "tests.step01_engine" if engine else self.target.split(".")[0]

    @property
    def line(self):
        """The line of the table, in which names are looked for."""
        return f"{self.name:42} {self.target:58} {self.killer}"
