"""Mistakes that the lessons show and no other table has."""

from tests.mutants.mutant import Mutant

COURSE = "tests/attention/test_heads.py::test_the_courses_example"
WHOLE = "tests/models/test_transformer.py::test_logits_and_every_gradient_equal_pytorchs_transformer"
AROUND, ALONE = "return x + self.dropout(out if", "return self.dropout(out if"

LESSONS = [
    Mutant("linear without transpose", "step01_numpy.parameters:linear", "weight.T", "weight", COURSE),
    Mutant("no way around a sublayer", "step01_numpy.blocks:Residual.forward", AROUND, ALONE, WHOLE),
    Mutant(
        "the best step costs nothing",
        "step01_numpy.common.decoding.search:log_probabilities",
        "logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))",
        "logits",
        "tests/decoding/test_search.py::test_a_narrow_beam_finds_what_the_definition_says",
    ),
]
