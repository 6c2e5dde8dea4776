"""The public parity check: it finds the stages equal, and tells of a wrong package what is wrong with it."""

import json
import re
import types
from dataclasses import replace

import numpy as np
import pytest

import step01_numpy
from step01_numpy.common.parity import check
from step01_numpy.common.parity.cases import CASES
from step01_numpy.common.parity.comparison import compare
from step01_numpy.common.parity.signatures import NotOffered
from step01_numpy.common.parity.stage import Stage
from step01_numpy.common.parity.table import Rows, as_json, as_text
from step01_numpy.common.parity.verdict import agrees, difference


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operation)
def test_every_operation_is_equal(stage, case):
    row = compare(case, stage, Stage("step01_numpy"))
    for found in (row.forward, row.gradient):
        if found.status in ("missing", "not offered"):
            raise NotOffered(found.text)
        assert found.status == "equal", found.text


def test_every_operation_has_a_row():
    rows = check("step01_numpy", only=["softmax", "layers"])
    assert [row.operation for row in rows] == [
        x.operation for x in CASES if x.family in ("softmax", "layers")
    ]
    assert rows.passed


def test_names_of_operations_are_distinct():
    assert len({case.operation for case in CASES}) == len(CASES)


def foreign(**changes):
    """Return a package like step01, with some functions replaced; None takes one away."""
    package = types.ModuleType("foreign")
    package.__dict__.update({name: getattr(step01_numpy, name) for name in step01_numpy.__all__}, **changes)
    for name in [name for name, x in changes.items() if x is None]:
        delattr(package, name)
    return package


def named(rows, status, part):
    """Return the operations whose forward or gradient has this status."""
    return [row.operation for row in rows if getattr(row, part).status == status]


def test_a_foreign_package_passes():
    assert check(foreign()).passed


# ---- what is told apart ------------------------------------------------------------------------------------


def test_a_wrong_forward_marks_the_forward_alone():
    rows = check(foreign(softmax=lambda x: step01_numpy.softmax(x, axis=-2)))
    assert named(rows, "differs", "forward") == ["softmax"]
    assert named(rows, "differs", "gradient") == []
    assert not rows.passed


def test_a_wrong_gradient_marks_the_gradient_alone():
    rows = check(foreign(softmax_backward=lambda d_weights, weights: weights * d_weights))
    assert named(rows, "differs", "gradient") == ["softmax"]
    assert named(rows, "differs", "forward") == []
    assert rows[0].forward.difference == 0
    assert rows[0].gradient.difference > 0.01
    assert not rows.passed


def test_a_wrong_factor_is_found_that_upstream_gradients_of_one_would_hide():
    def doubled(d_weights, weights):
        return 2 * step01_numpy.softmax_backward(d_weights, weights)

    assert np.abs(doubled(np.ones((2, 3)), np.full((2, 3), 1 / 3))).max() < 1e-15
    rows = check(foreign(softmax_backward=doubled), only="softmax")
    assert named(rows, "differs", "gradient") == ["softmax"]


def test_the_worst_number_is_told():
    def wrong(x):
        out = step01_numpy.softmax(x)
        out[1, 2, 3] += 0.5
        out[0, 1, 2] += 0.25
        return out

    (row,) = check(foreign(softmax=wrong), only=["log-sum-exp", "softmax"])[:1]
    found = row.forward
    assert (found.array, found.index) == ("out", (1, 2, 3))
    assert found.came - found.expected == pytest.approx(0.5)
    assert found.difference == pytest.approx(0.5)
    assert found.text == f"out[1, 2, 3] is {found.came:.8g}; expected {found.expected:.8g}"


def test_the_wrong_array_is_told():
    def wrong(d_out, x, weight):
        d_x, d_weight, d_bias = step01_numpy.linear_backward(d_out, x, weight)
        return d_x, d_weight.copy(), d_bias * 2

    (row,) = check(foreign(linear_backward=wrong), only="linear")
    assert row.gradient.text.startswith("d_bias[")


def test_the_weight_of_a_layer_is_told():
    class Scaled(step01_numpy.SelfAttention):
        def backward(self, d_out):
            d_x = super().backward(d_out)
            self.w_k.weight.grad = self.w_k.weight.grad * 2
            return d_x

    rows = check(foreign(SelfAttention=Scaled), only="heads")
    assert named(rows, "differs", "gradient") == ["self-attention"]
    assert rows[0].gradient.array == "d_w_k.weight"


def test_what_the_second_result_holds_is_compared():
    def wrong(*arrays, **options):
        out, weights = step01_numpy.scaled_dot_product_attention(*arrays, **options)
        return out, weights.swapaxes(-2, -3)

    rows = check(foreign(scaled_dot_product_attention=wrong), only="attention")
    assert rows[0].forward.text.startswith("weights has shape (2, 5, 6, 7); expected (2, 6, 5, 7)")


# ---- nothing is dropped ------------------------------------------------------------------------------------


def test_a_misspelt_name_is_a_row_that_says_so():
    attention = step01_numpy.scaled_dot_product_attention
    package = foreign(scaled_dot_product_attention=None, scaled_dot_product_atention=attention)
    rows = check(package, only="attention")
    assert named(rows, "missing", "forward") == named(rows, "missing", "gradient") == named_all("attention")
    assert rows[0].forward.text == (
        "foreign has no scaled_dot_product_attention (it has scaled_dot_product_atention)"
    )
    assert not rows.passed
    assert "foreign has no scaled_dot_product_attention (it has scaled_dot" in " ".join(as_text(rows).split())


def named_all(family):
    return [case.operation for case in CASES if case.family == family]


def test_a_package_that_implements_nothing_fails():
    rows = check(types.ModuleType("hollow"))
    assert named(rows, "missing", "forward") == [case.operation for case in CASES]
    assert not rows.passed
    told = " ".join(str(rows).split())
    assert "hollow has no softmax, log_sum_exp, linear" in told
    assert all(case.name in told for case in CASES)


def test_a_missing_backward_is_told():
    rows = check(foreign(attention_backward=None), only="attention")
    assert named(rows, "equal", "forward") == named(rows, "missing", "gradient") == named_all("attention")
    assert rows[0].gradient.text == "foreign has no attention_backward, and its arrays no autograd"
    assert not rows.passed


def test_an_exception_is_that_rows_text():
    def broken(x):
        raise RuntimeError("no luck\ntoday")

    rows = check(foreign(softmax=broken), only="softmax")
    assert rows[0].forward.status == "raised"
    assert rows[0].forward.text == "raised RuntimeError: no luck today"
    assert rows[0].gradient.status == "equal"
    assert rows[1].passed
    assert not rows.passed
    assert "softmax (foreign), forward: raised RuntimeError: no luck today" in str(rows)


def test_an_option_without_a_parameter_is_not_offered():
    def attention(q, k, v, mask=None, *, bias=None, causal=False, offset=None, scale=None, softcap=None):
        return step01_numpy.scaled_dot_product_attention(
            q, k, v, mask, bias=bias, causal=causal, offset=offset, scale=scale, softcap=softcap
        )

    rows = check(foreign(scaled_dot_product_attention=attention), only="attention")
    assert named(rows, "not offered", "forward") == ["attention, window"]
    assert named(rows, "not offered", "gradient") == ["attention, window"]
    assert rows.passed
    assert "not offered: foreign.scaled_dot_product_attention takes no window" in str(rows)
    assert str(rows).endswith("all 13 comparisons are within tolerance, 1 are not offered")


def test_shapes_that_are_refused_are_not_offered():
    def attention(q, k, v, mask=None, **options):
        if q.shape[1] != k.shape[1]:
            raise IndexError("one head too many")
        return step01_numpy.scaled_dot_product_attention(q, k, v, mask, **options)

    rows = check(foreign(scaled_dot_product_attention=attention), only="attention")
    (row,) = [row for row in rows if row.operation == "attention, grouped heads"]
    assert (row.forward.status, row.gradient.status) == ("not offered", "not offered")
    assert row.forward.text == "foreign.scaled_dot_product_attention raised IndexError: one head too many"
    assert rows.passed


def test_no_row_and_nothing_compared_is_a_failure():
    assert not Rows().passed
    assert str(Rows()).endswith("nothing was compared")
    rows = check(foreign(scaled_dot_product_attention=lambda q, k, v: None), only=["attention, window"])
    assert named(rows, "not offered", "forward") == ["attention, window"]
    assert not rows.passed
    assert str(rows).endswith("nothing was compared")


def test_only():
    assert [row.operation for row in check("step01_numpy", only=["GELU", "softmax"])] == [
        "softmax",
        "log-sum-exp",
        "GELU",
    ]
    assert [row.operation for row in check("step01_numpy", only="SelfAttention")] == ["self-attention"]
    with pytest.raises(ValueError, match=r"'atention' is no operation; expected a family .*flash.*softmax"):
        check("step01_numpy", only=["softmax", "atention"])


# ---- nothing makes itself equal ----------------------------------------------------------------------------


class AlwaysEqual(np.ndarray):
    """An array that agrees with whatever it is compared with."""

    def __eq__(self, other):
        return np.ones(self.shape, bool)

    def __sub__(self, other):
        return np.zeros(self.shape)

    __rsub__ = __sub__

    def __array__(self, *args, **options):
        raise RuntimeError

    def __array_ufunc__(self, *args, **options):
        return np.zeros(self.shape)

    def __array_function__(self, *args, **options):
        return np.zeros(self.shape)


class Pretender:
    """No array, but it says so when asked."""

    __class__ = np.ndarray
    shape, dtype, size = (2, 7, 6), np.dtype("float64"), 84


SOFTMAX = step01_numpy.softmax
UNFIT = {
    "a subclass that is always equal": (
        lambda x: np.zeros(x.shape).view(AlwaysEqual),
        r"out\[.*\] is 0; expec",
    ),
    "a dtype of objects": (lambda x: SOFTMAX(x).astype(object), "out has dtype object; expected float64"),
    "integers": (lambda x: np.zeros(x.shape, int), "out has dtype int64; expected float64"),
    "half the digits": (lambda x: SOFTMAX(x).astype(np.float16), "out has dtype float16; expected float64"),
    "a shape that broadcasts": (lambda x: SOFTMAX(x)[None], r"out has shape \(1, 2, 7, 6\); expected \(2, 7"),
    "a number": (lambda x: 0.0, r"out has shape \(\); expected \(2, 7, 6\)"),
    "NaN": (lambda x: SOFTMAX(x) + np.nan, r"out\[0, 0, 0\] is nan; expected"),
    "a list": (lambda x: SOFTMAX(x).tolist(), "out came as list; expected an array"),
    "something that says it is an array": (lambda x: Pretender(), "out came as Pretender; expected an array"),
    "nothing": (lambda x: None, "no out came"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_what_comes_back_is_taken_for_what_it_is(what):
    wrong, text = UNFIT[what]
    bare = {"from_numpy": None, "to_numpy": None, "Array": None}  # whose ways to NumPy would make it one
    row = check(foreign(softmax=wrong, **bare), only="softmax")[0]
    assert row.forward.status == "differs"
    found = check(foreign(softmax_backward=lambda d_weights, weights: wrong(weights), **bare), only="softmax")
    assert found[0].gradient.status == "differs"
    assert re.match(text, row.forward.text), row.forward.text


def test_what_a_stage_writes_into_its_arrays_changes_no_one_elses():
    def greedy(x):
        x[:] = 0
        return step01_numpy.softmax(x)

    def greedy_backward(d_weights, weights):
        d_weights[:], weights[:] = 0, 0
        return weights

    rows = check(foreign(softmax=greedy, softmax_backward=greedy_backward), only="softmax")
    assert named(rows, "differs", "forward") == named(rows, "differs", "gradient") == ["softmax"]


def test_nan_never_agrees():
    assert difference(np.array([np.nan]), np.array([np.nan])) == np.inf
    assert not agrees(np.array([np.nan]), np.array([1.0]), 1.0)
    assert difference(np.array([-np.inf]), np.array([-np.inf])) == 0


@pytest.mark.parametrize("shape", [(2,), (1, 1), ()])
def test_a_wrong_shape_never_agrees(shape):
    assert not agrees(np.zeros(shape), np.zeros(1), 1.0)


# ---- what it looks like ------------------------------------------------------------------------------------


def test_json_has_everything_of_a_row():
    rows = check(foreign(softmax=lambda x: x * np.nan, log_sum_exp=None), only="softmax")
    first, second = json.loads(as_json(rows))
    assert first["passed"] is False
    assert first["forward"] == {
        "status": "differs",
        "difference": "inf",
        "array": "out",
        "index": [0, 0, 0],
        "came": "nan",
        "expected": rows[0].forward.expected,
        "text": rows[0].forward.text,
    }
    assert first["gradient"]["status"] == "equal"
    assert (second["operation"], second["stage"], second["reference"]) == (
        "log-sum-exp",
        "foreign",
        "step01_numpy",
    )
    assert second["forward"]["status"] == "missing"


def test_the_table_is_narrow():
    hollow = check(types.ModuleType("hollow"))
    pairs = [
        ("step01_numpy", "central differences"),
        ("step02_torch", "step01_numpy"),
        ("hollow", "step01_numpy"),
    ]
    rows = Rows(replace(row, stage=x, reference=y) for x, y in pairs for row in hollow)
    assert max(map(len, str(rows).splitlines())) <= 110
    assert repr(rows) == str(rows)
