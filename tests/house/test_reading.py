"""What a reader meets: how much until flash attention, and how much of it a second stage changes."""

import ast
import difflib
from pathlib import Path

import pytest

from tests.house.test_mirror import READING_ORDER

ROOT = Path(__file__).parent.parent.parent
FIRST = READING_ORDER[: READING_ORDER.index("flash_attention") + 1]
LINES = 1200  # docstrings and blank lines counted
CHANGED = 30  # lines of `diff`, those taken away and those put in


def test_lines_until_flash_attention():
    lines = {name: len((ROOT / f"step01_numpy/{name}.py").read_text().splitlines()) for name in FIRST}
    assert sum(lines.values()) <= LINES, lines


def without_backward(source):
    """
    Return a file's lines without what one stage has to itself: imports, and backward by hand.

    Those are functions and methods called `backward` or `…_backward`, and private ones that nobody uses but
    they. Blank lines are left out.
    """
    tree = ast.parse(source)
    functions = [x for x in ast.walk(tree) if isinstance(x, ast.FunctionDef)]
    removed = [x for x in functions if x.name == "backward" or x.name.endswith("_backward")]
    rest = [x for x in functions if x not in removed]
    left = {name for x in rest for name in names(x)}
    removed += [x for x in rest if x.name.startswith("_") and x.name in used(removed) and x.name not in left]
    removed += [x for x in tree.body if isinstance(x, ast.Import | ast.ImportFrom)]
    gone = {line for x in removed for line in range(x.lineno, x.end_lineno + 1)}
    return [x for i, x in enumerate(source.splitlines(), 1) if i not in gone and x.strip()]


def names(node):
    """Return every name and attribute in a piece of code."""
    return {getattr(x, "id", getattr(x, "attr", None)) for x in ast.walk(node)}


def used(nodes):
    """Return every name and attribute in pieces of code."""
    return {name for node in nodes for name in names(node)}


@pytest.mark.parametrize("name", ["multi_head_attention"])
def test_what_a_second_stage_changes(name):
    ours, theirs = (
        without_backward((ROOT / stage / f"{name}.py").read_text())
        for stage in ("step01_numpy", "step02_torch")
    )
    changed = [x for x in difflib.unified_diff(ours, theirs, n=0, lineterm="") if x[0] in "+-"][2:]
    assert len(changed) <= CHANGED, "\n".join(changed)


SOURCE = '''
"""Text."""
import a

def f(x):
    return _both(x)

def f_backward(x):
    return _own(x) + _both(x)

class L:
    def backward(self):
        return 1

    def go(self):
        return 2

def _own(x):
    return x

def _both(x):
    return x
'''


def test_what_is_left_out():
    lines = without_backward(SOURCE)
    assert lines[:4] == ['"""Text."""', "def f(x):", "    return _both(x)", "class L:"]
    assert lines[4:] == ["    def go(self):", "        return 2", "def _both(x):", "    return x"]
