"""Mistakes that the lessons show and no other table has."""

from tests.mutants.mutant import Mutant

COURSE = "tests/attention/test_heads.py::test_the_courses_example"

LESSONS = [
    Mutant("linear without transpose", "step01_numpy.parameters:linear", "weight.T", "weight", COURSE),
]
