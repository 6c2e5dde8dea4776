"""An object of a stage as a reader wants it: cut from its file, without docstrings."""

import ast
import difflib
import textwrap
from pathlib import Path
from typing import NamedTuple

from docs._ext.cells import ROOT

NAMED = (ast.FunctionDef, ast.ClassDef)


class Cut(NamedTuple):
    """An object's file, its first line there, and its code."""

    path: Path
    line: int
    code: str


def cut(stage: str, name: str, body: bool = False) -> Cut:
    """
    Cut a function, class, method or assigned name out of a stage's file.

    Parameters
    ----------
    stage : str
        A package, as `step01_numpy`.
    name : str
        Module and object, as `self_attention.SelfAttention.forward`.
    body : bool
        Whether a function's signature is left out.

    Raises
    ------
    ValueError
        Where the stage has no such module, or the module no such object.
    """
    module, *parts = name.split(".")
    path = ROOT / stage / f"{module}.py"
    if not path.exists():
        raise ValueError(f"{stage} has no module {module}")
    text = path.read_text(encoding="utf-8")
    node = ast.parse(text)
    for part in parts:
        node = next((x for x in node.body if part in _names(x)), None)
        if node is None:
            raise ValueError(f"{stage}/{module}.py has no {'.'.join(parts)}")
    first = min([node.lineno, *(x.lineno for x in getattr(node, "decorator_list", []))])
    if body:
        first = node.body[ast.get_docstring(node) is not None].lineno
    gone = _docstring_lines(node)
    lines = enumerate(text.splitlines()[first - 1 : node.end_lineno], first)
    code = "\n".join(line for i, line in lines if i not in gone)
    return Cut(path, first, textwrap.dedent(code))


def differing(first: str, second: str) -> list[int]:
    """Return the numbers, from 1, of the second text's lines that the first one does not have."""
    match = difflib.SequenceMatcher(None, first.splitlines(), second.splitlines(), autojunk=False)
    changes = (op for op in match.get_opcodes() if op[0] != "equal")
    return [line + 1 for *_, start, end in changes for line in range(start, end)]


def _names(node):
    if isinstance(node, NAMED):
        return [node.name]
    return [x.id for x in getattr(node, "targets", []) if isinstance(x, ast.Name)]


def _docstring_lines(node):
    """Return the lines of every docstring in a piece of code, and of the blank line behind a class's."""
    gone = set()
    for part in ast.walk(node):
        if isinstance(part, NAMED) and ast.get_docstring(part) is not None:
            text, blank = part.body[0], isinstance(part, ast.ClassDef)
            gone.update(range(text.lineno, text.end_lineno + 1 + (blank and len(part.body) > 1)))
    return gone
