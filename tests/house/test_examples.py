"""The examples in docstrings are run, as doctests; numbers are printed with four digits."""

import ast
import doctest
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parent.parent.parent
PROMISED = {  # what a reader finds an example of in every stage that writes its own
    "softmax": ["softmax"],
    "masks": ["causal_mask", "padding_mask"],
    "attention": ["simple_attention", "attention_scores", "repeat_heads"],
    "multi_head_attention": ["split_heads"],
    "positions": ["frequencies"],
    "rotary": ["rotate"],
    "merge": ["log_sum_exp", "merge_attention"],
    "cache": ["KVCache"],
}


@pytest.fixture
def four_digits():
    """Print numbers alike on every machine."""
    torch.set_printoptions(precision=4, sci_mode=False, linewidth=80)
    with np.printoptions(precision=4, suppress=True, linewidth=80):
        yield
    torch.set_printoptions(profile="default")


def examples(path):
    """Return the doctests of a file, by the name of what they show."""
    tree, found = ast.parse(path.read_text()), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            name, text = getattr(node, "name", "module"), ast.get_docstring(node) or ""
            if ">>>" in text:
                line = getattr(node, "lineno", 0)
                found[name] = doctest.DocTestParser().get_doctest(text, {}, name, str(path), line)
    return found


def failures(test, globs):
    """Run a doctest with these names, and `np` and `torch`; return what it says about each failure."""
    test.globs, report = {"np": np, "torch": torch, **globs}, []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    return "".join(report)


EXAMPLES = [
    (path, name)
    for path in sorted(ROOT.glob("step0*/**/*.py"))
    for name in examples(path)
    if "common" not in path.parts
]


@pytest.mark.usefixtures("four_digits")
@pytest.mark.parametrize(("path", "name"), EXAMPLES, ids=lambda x: str(getattr(x, "stem", x)))
def test_an_example_shows_what_comes(path, name):
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert failures(examples(path)[name], vars(module)) == ""


@pytest.mark.parametrize("package", ["step01_numpy", "step02_torch"])
@pytest.mark.parametrize("module", PROMISED)
def test_promised_examples_are_there(package, module):
    assert set(PROMISED[module]) <= set(examples(ROOT / package / f"{module}.py"))


def test_softmaxs_jacobian_is_shown():
    assert "softmax_backward" in examples(ROOT / "step01_numpy/softmax.py")
    assert "jacobian" in examples(ROOT / "step02_torch/softmax.py")["softmax"].docstring


def test_a_wrong_example_is_found():
    test = doctest.DocTestParser().get_doctest(">>> print(x)\n1\n", {}, "wrong", None, 0)
    assert failures(test, {"x": 1}) == ""
    assert "Expected:\n    1\nGot:\n    2" in failures(test, {"x": 2})


def test_readmes_snippet_shows_the_weights(capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("## The command line")[0]
    exec(readme.partition("```python\n")[2].partition("```")[0], {})
    shown = [[float(x) for x in re.findall(r"[\d.]+", line)] for line in capsys.readouterr().out.splitlines()]
    np.testing.assert_allclose(np.sum(shown, axis=-1), 1, atol=0.03)  # printed with two digits
    assert not np.triu(shown, 1).any()
