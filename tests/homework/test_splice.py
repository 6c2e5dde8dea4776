"""Of a student's file: the task's functions and what they reach; everything else is the starter's."""

# ruff: noqa: E501  (one style a line)

import pytest

from tests.homework.child.splice import Unfit, splice

STARTER = '''"""A module."""
from math import sqrt


def given(x):
    """Double."""
    return 2 * x


def task(x, axis=-1):
    raise NotImplementedError


def other(x):
    raise NotImplementedError


class Layer:
    """A layer."""

    def __init__(self):
        self.x = 1

    def forward(self, x):
        raise NotImplementedError

    def helper(self, x):
        raise NotImplementedError


KEPT = (task, other)
'''


def run(student, targets=("task",), **options):
    """Return the module that comes of a student's file, and the notes."""
    tree, notes = splice(STARTER, student, targets, "module.py", others=("other",), **options)
    scope = {"__name__": "module"}
    exec(compile(tree, "module.py", "exec"), scope)
    return scope, notes


STYLES = {
    "a function": "def task(x, axis=-1):\n    return x + 1",
    "a lambda": "task = lambda x, axis=-1: x + 1",
    "a class": "class task:\n    def __new__(cls, x, axis=-1):\n        return x + 1",
    "a helper": "def task(x, axis=-1):\n    return _one() + x\n\n\ndef _one():\n    return 1",
    "helpers of helpers": "def _two():\n    return _one\n\n\ndef task(x, axis=-1):\n    return x + _two()()\n\n\ndef _one():\n    return 1",
    "a constant": "ONE = 1\n\n\ndef task(x, axis=-1):\n    return x + ONE",
    "a default": "ONE = 1\n\n\ndef task(x, axis=-1, one=ONE):\n    return x + one",
    "a table that is filled": "T = {}\nT['a'] = 0\nfor i in range(2):\n    T['a'] += i\n\n\ndef task(x, axis=-1):\n    return x + T['a']",
    "a list that grows": "T = []\nT.append(1)\n\n\ndef task(x, axis=-1):\n    return x + T[0]",
    "an import by another name": "import math as m\n\n\ndef task(x, axis=-1):\n    return x + m.cos(0)",
    "more from an import": "from math import sqrt, cos\n\n\ndef task(x, axis=-1):\n    return x + cos(0) * sqrt(1)",
    "everything of a module": "from math import *\n\n\ndef task(x, axis=-1):\n    return x + cos(0)",
    "an import that may fail": "try:\n    from nowhere import one\nexcept ImportError:\n    one = 1\n\n\ndef task(x, axis=-1):\n    return x + one",
    "a decorator": "def plain(f):\n    return f\n\n\n@plain\ndef task(x, axis=-1):\n    return x + 1",
    "wrapped afterwards": "def task(x, axis=-1):\n    return x\n\n\nold = task\ntask = lambda x, axis=-1: old(x) + 1",
    "defined twice": "def task(x, axis=-1):\n    return 0\n\n\ndef task(x, axis=-1):\n    return x + 1",
    "what was given": "def given(x):\n    return 0\n\n\ndef task(x, axis=-1):\n    return given(x) - x + 1",
    "annotations that nobody knows": "def task(x: Unheard, axis: of = -1) -> Thing:\n    return x + 1",
    "behind a condition": "if True:\n    def task(x, axis=-1):\n        return x + 1",
}


@pytest.mark.parametrize("name", STYLES)
def test_any_style_works(name):
    import __future__

    tree, _ = splice(STARTER, STYLES[name], ["task"], "module.py")
    scope = {"__name__": "module"}
    exec(compile(tree, "module.py", "exec", __future__.annotations.compiler_flag), scope)
    assert scope["task"](4.0) == 5.0
    assert scope["KEPT"][0] is scope["task"]


def test_nothing_else_runs():
    scope, notes = run("raise SystemExit\nprint(undefined)\nother = 1 / 0\n\n\ndef task(x):\n    return x\n")
    assert scope["task"](3) == 3
    assert callable(scope["other"])
    assert notes == []


def test_a_change_of_what_was_given_is_told_and_not_used():
    scope, notes = run("def given(x):\n    return 3 * x\n\n\ndef task(x):\n    return given(x)\n")
    assert scope["task"](1) == 2
    assert notes == ["Your change of given in module.py was not used: it is given."]
    assert (
        run(
            'def given(x):\n    """Other words."""\n    return 2 * x\n\n\ndef task(x):\n    return given(x)\n'
        )[1]
        == []
    )
    assert run("def other(x):\n    return 3\n\n\ndef task(x):\n    return other(x)\n")[1] == []


def test_lines_are_the_students():
    scope, _ = run("\n\n\n\ndef task(x):\n    return x.nothing\n")
    assert scope["task"].__code__.co_firstlineno == 5


METHODS = """
class Layer:
    SIZE = 2
    UNUSED = 1 / 0

    def __init__(self):
        raise SystemExit

    def forward(self, x):
        return self.helper(x) + self._own() + other_name

    def helper(self, x):
        return x

    def _own(self):
        return self.SIZE

other_name = 1
"""


def test_methods_bring_what_they_reach():
    scope, _ = run(METHODS, ["Layer.forward"], also=["Layer.helper"])
    assert scope["Layer"]().forward(4) == 7
    assert scope["Layer"].__doc__ == "A layer."
    with pytest.raises(NotImplementedError):
        run(METHODS, ["Layer.forward"])[0]["Layer"]().forward(4)


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ("def task(x:\n", "module.py is not Python: .* line 1."),
        ("def tusk(x):\n    return x\n", "module.py has no task."),
        ("", "module.py has no task."),
        ("x = " + "(" * 5000, "module.py is not Python"),
        ("x = " + "-" * 100_000 + "1", "module.py is not Python that can be read."),
    ],
)
def test_what_cannot_be_graded_is_told(student, said):
    with pytest.raises(Unfit, match=said.replace("(", r"\(")):
        splice(STARTER, student, ["task"], "module.py")


def test_missing_methods_are_told():
    with pytest.raises(Unfit, match=r"module.py has no Layer.forward"):
        splice(STARTER, "class Layer:\n    pass\n", ["Layer.forward"], "module.py")
    with pytest.raises(Unfit, match=r"module.py has no class Layer"):
        splice(STARTER, "def Layer():\n    pass\n", ["Layer.forward"], "module.py")
