"""ONNX's node tests: numbers nobody here wrote, for attention, rotary positions and normalisation."""

from collections import Counter

import numpy as np
import pytest

from step01_numpy.common.parity.stage import Stage
from step01_numpy.common.parity.verdict import difference
from tests.attention import onnx_cases
from tests.conftest import stages
from tests.tolerances import EPS

# A stage's function: ONNX's operator, the adapter that reaches it through that function, what is checked.
FUNCTIONS = {
    "scaled_dot_product_attention": (
        "Attention",
        onnx_cases.attention,
        {"Y", "present_key", "present_value", "qk_matmul_output"},
    ),
    "flash_attention": ("Attention", onnx_cases.attention, {"Y"}),
    "rotate": ("RotaryEmbedding", onnx_cases.rotary_embedding, {"output"}),
    "layer_norm": ("LayerNormalization", onnx_cases.layer_normalization, {"Y"}),
    "rms_norm": ("RMSNormalization", onnx_cases.rms_normalization, {"Y"}),
}

# How many cases onnx has by opset: a change there must not shrink the suite unseen.
COUNTS = {
    "Attention": {23: 69, 24: 13, 25: 11},
    "RotaryEmbedding": {23: 8},
    "LayerNormalization": {17: 19},
    "RMSNormalization": {23: 19},
}

# In eps · max |expected|. Both sides sum in float32, each some eps from the truth; 8 is the 2 · 4 that
# tolerances.py allows. Of 16 bits a stage rounds once (eps / 2), and ONNX its weights as well as its output.
IN_EPS = {"float32": 8, "float16": 2, "bfloat16": 2}


def pytest_generate_tests(metafunc):
    """Make every case a test of every stage that has the function; the `stage` fixture would take all."""
    if "case" in metafunc.fixturenames:
        packages = [Stage(name) for name in stages(metafunc)]
        cases = {operator: onnx_cases.load_cases(operator) for operator in COUNTS}
        tests = [
            pytest.param(stage, function, case, id=f"{case.name}-{function}-{stage}")
            for function, (operator, _, _) in FUNCTIONS.items()
            for stage in packages
            if stage.has(function)
            for case in cases[operator]
        ]
        metafunc.parametrize(("one_stage", "function", "case"), tests)


@pytest.mark.grid(pairs=True)
def test_node(one_stage, function, case):
    _, adapter, checked = FUNCTIONS[function]
    found = adapter(one_stage, function, case)
    for name in checked & case.outputs.keys():
        assert_close(found[name], case.outputs[name], name)


def assert_close(x, expected, what):
    """Allow rounding where something is computed, and nothing where it is only passed on."""
    assert x.dtype == expected.dtype, f"{what}: {x.dtype}, expected {expected.dtype}"
    factor = 0 if what.startswith("present") else IN_EPS[x.dtype.name] * EPS[x.dtype.name]
    x, expected = x.astype(np.float64), expected.astype(np.float64)
    allowed = factor * np.abs(expected[np.isfinite(expected)]).max()
    error = difference(x, expected)  # infinite for NaN, a wrong shape, or an infinity elsewhere
    assert error <= allowed, f"{what}: error {error:.3g}, allowed {allowed:.3g}"


@pytest.mark.parametrize("operator", COUNTS)
def test_onnx_has_as_many_cases_as_ever(operator):
    names = {case.name: case.opset for case in onnx_cases.load_cases(operator)}
    assert Counter(names.values()) == COUNTS[operator]


def test_attention_cases_show_all_that_the_operator_returns():
    cases = onnx_cases.load_cases("Attention")
    outputs = Counter(name for case in cases for name in case.outputs)
    assert outputs == {"Y": 93, "present_key": 21, "present_value": 21, "qk_matmul_output": 18}
    with_scores = (case for case in cases if "qk_matmul_output" in case.outputs)
    modes = Counter(case.attribute("qk_matmul_output_mode", 0) for case in with_scores)
    assert modes == {0: 3, 1: 2, 2: 7, 3: 6}
