"""Mistakes that the lessons show and no other table has."""

from tests.mutants.mutant import Mutant

COURSE = "tests/attention/test_heads.py::test_the_courses_example"

LESSONS = [
    Mutant("linear without transpose", "step01_numpy.parameters:linear", "weight.T", "weight", COURSE),
    Mutant(
        "the best step costs nothing",
        "step01_numpy.common.decoding.search:log_probabilities",
        "logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))",
        "logits",
        "tests/decoding/test_search.py::test_a_narrow_beam_finds_what_the_definition_says",
    ),
]
