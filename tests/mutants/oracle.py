"""Mutants of the comparison itself: ways in which a wrong package could be found equal."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def oracle(name, target, old, new, test):
    return Mutant(name, f"step01_numpy.common.parity.{target}", old, new, f"tests/parity/{test}")


def parity(name, target, old, new, test):
    return oracle(name, target, old, new, f"test_parity.py::{test}")


def functions(name, function, old, new, test):
    return oracle(name, f"functions:{function}", old, new, f"test_functions.py::{test}")


ORACLE = [
    parity("NaN differs by nothing", "verdict:differences", "np.where(np.isnan(apart), np.inf, apart)", "np.nan_to_num(apart)", "test_nan_never_agrees"),
    parity("a shape that broadcasts passes", "verdict:compare_array", "x.shape != expected.shape", "False", "test_what_comes_back_is_taken_for_what_it_is"),
    parity("any dtype passes", "verdict:compare_array", "x.dtype != expected.dtype", "False", "test_what_comes_back_is_taken_for_what_it_is"),
    parity("a subclass compares itself", "verdict:plain", "subok=False", "subok=True", "test_what_comes_back_is_taken_for_what_it_is"),
    parity("what says it is an array is one", "verdict:plain", "issubclass(type(came),", "isinstance(came,", "test_what_comes_back_is_taken_for_what_it_is"),
    parity("what did not come is equal", "verdict:compare_array", "Verdict(DIFFERS, array=name,", "Verdict(EQUAL, array=name,", "test_what_comes_back_is_taken_for_what_it_is"),
    parity("an exception is swallowed", "verdict:judge", "Verdict(RAISED,", "Verdict(EQUAL,", "test_an_exception_is_that_rows_text"),
    parity("a missing name is an option not offered", "verdict:judge", "MISSING if isinstance(error, Missing) else NOT_OFFERED", "NOT_OFFERED", "test_a_package_that_implements_nothing_fails"),
    parity("the best array is told", "verdict:judge", "return max(", "return min(", "test_the_wrong_array_is_told"),
    parity("the best number is told", "verdict:compare_array", "np.argmax(apart)", "np.argmin(apart)", "test_the_worst_number_is_told"),
    parity("the gradient's verdict is the forward's", "comparison:row", "reference, forward, gradient)", "reference, forward, forward)", "test_a_wrong_gradient_marks_the_gradient_alone"),
    parity("the forward's verdict is the gradient's", "comparison:row", "reference, forward, gradient)", "reference, gradient, gradient)", "test_a_wrong_forward_marks_the_forward_alone"),
    parity("a missing row is dropped", "comparison:check", "in select(only, CASES)", "in select(only, CASES) if stage.has(case.name)", "test_a_package_that_implements_nothing_fails"),
    parity("no rows are a success", "table:n_compared", "return sum(", "return 1 + sum(", "test_no_row_and_nothing_compared_is_a_failure"),
    parity("upstream gradients of one", "comparison:ask", 'np.random.default_rng([call.seed, 1]).normal(size=results["out"].shape)', 'np.ones(results["out"].shape)', "test_a_wrong_factor_is_found_that_upstream_gradients_of_one_would_hide"),
    parity("a backward goes on from its own forward", "evaluation:FunctionCall.gradients", "result=result", "result=None", "test_a_wrong_forward_marks_the_forward_alone"),
    parity("the weights are not compared", "evaluation:FunctionCall.run", 'dict(zip(RESULTS.get(self.case.name, ("out",)), found, strict=False))', '{"out": found[0]}', "test_what_the_second_result_holds_is_compared"),
    parity("an option without a parameter is an error", "signatures:check_takes", "if lacking:", "if False:", "test_an_option_without_a_parameter_is_not_offered"),
    parity("an unknown name chooses nothing", "cases:select", "only - set().union(*known)", "()", "test_only"),
    oracle("refused shapes are an error", "evaluation:shapes_may_be_refused", "if not case.by_shape:", "if True:", "test_functions.py::test_tensors_and_autograd"),
    functions("the weights tell everything", "PlainCall.backward_options", "IN_WEIGHTS if weights", "OPTIONS if weights", "test_weights_do_not_tell_a_backward_the_scale"),
    functions("the backward gets the forward's out", "PlainCall.backward_arrays", "x: y.copy() for x, y in self.reference.items()", "x: self.run()[0] if x == 'out' else self.run()[1] for x in self.reference", "test_a_wrong_forward_marks_the_forward_alone"),
    functions("options that are insisted on are left out", "neutral", "if name in required", "if name in ()", "test_options_that_are_insisted_on_are_given"),
    oracle("the current directory is not looked in", "package:find_package", "sys.path.insert(0, here)", "pass", "test_command.py::test_it_passes"),
    Mutant("parity succeeds whatever it finds", "step01_numpy.common.commands.parity:run", "return 0 if rows.passed else 1", "return 0", "tests/parity/test_command.py::test_it_fails"),
]  # fmt: skip
