"""Docstrings against signatures: a Parameters section names every parameter, and nothing else."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
MODULES = sorted(ROOT.glob("step0*/**/*.py"))


def documented(docstring):
    """Return the names in the Parameters section, or None where there is no such section."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=\n\n?^\w[\w ]*\n-+$|\Z)", docstring, re.M | re.S)
    if section is None:
        return None
    lines = [line for line in section.group(1).splitlines() if line and not line[0].isspace()]
    return [name.strip() for line in lines for name in line.partition(" : ")[0].split(",")]


def accepted(function):
    """Return the names of a function's parameters, self and its like aside."""
    a = function.args
    names = [x.arg for x in (*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls", "ctx")]


def functions(tree):
    """Yield each function with its docstring; a class's docstring goes with its `__init__`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node, ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef):
            init = [x for x in node.body if isinstance(x, ast.FunctionDef) and x.name == "__init__"]
            yield from ((x, ast.get_docstring(node) or "") for x in init)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_parameters_are_documented(path):
    for function, docstring in functions(ast.parse(path.read_text())):
        names, place = documented(docstring), f"{function.name}, line {function.lineno}"
        assert names is None or set(names) == set(accepted(function)), place


def test_a_missing_and_a_surplus_parameter_are_found():
    docstring = "Do it.\n\nParameters\n----------\na, b : int\n    Sizes.\nc\n\nReturns\n-------\nx : int\n"
    assert documented(docstring) == ["a", "b", "c"]
    assert documented("Do it.") is None
    (function,) = ast.parse("def f(self, a, *, c=1): ...").body
    assert accepted(function) == ["a", "c"]
