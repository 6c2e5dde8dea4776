"""
Bodies: that of a task goes out of a file, and with it what only that body used.

Lines are cut where the syntax tree says that they begin and end, so that what remains is, letter by letter,
a line of the solution. Signature, types and docstring stay.
"""

import ast
import re
from collections.abc import Iterable

from tests.homework.lines import cut, depth

FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def blank(text: str, names: Iterable[str], *, given: Iterable[str] = (), notes: bool = False) -> str:
    """
    Return a module without the bodies of some functions.

    Parameters
    ----------
    text : str
        Python, of one module.
    names : iterable of str
        Functions, and methods as `Class.method`. A private one goes altogether where nothing else uses it; of
        a private class or constant that is all that happens.
    given : iterable of str
        Private helpers of these bodies that stay, unless they are among the names.
    notes : bool
        Whether the section Notes of their docstrings stays: there the formulas are.

    Raises
    ------
    ValueError
        For a name that is not there or cannot be blanked, and for a helper that a body used, that something
        else still uses and that is not given: it would give the solution away.
    """
    names, before = tuple(names), private(ast.parse(text))
    bodies = {x: find(text, x) for x in names if isinstance(before.get(x), FUNCTION | None)}
    used = {found for body in bodies.values() for found in uses(body)} & set(before)
    text = cut(text, [edit for name, node in bodies.items() for edit in _edits(text, name, node, notes)])
    text = _without_unused(text, set(given) - set(names))
    left = [x for x in private(ast.parse(text)) if x in used and x not in given and x not in names]
    if left:
        raise ValueError(f"{', '.join(names)} cannot be blanked: {left[0]} stays, for something else uses it")
    return text


def find(text: str, name: str) -> FUNCTION:
    """Return the function or `Class.method` of that name, or say that there is none to blank."""
    nodes = [ast.parse(text)]
    for part in name.split("."):
        inside = [node for outer in nodes for node in outer.body]
        nodes = [x for x in inside if isinstance(x, FUNCTION | ast.ClassDef) and x.name == part]
    if len(nodes) != 1 or not isinstance(nodes[0], FUNCTION):
        raise ValueError(f"{name} is no function of this module; expected one that is there once")
    node = nodes[0]
    first = node.body[0]
    if text.splitlines()[first.lineno - 1][: first.col_offset].strip():
        raise ValueError(f"{name} has its body on its signature's line; expected it on lines of its own")
    return node


def private(tree: ast.Module) -> dict:
    """Return the private functions, classes, constants and methods of a module, and where each stands."""
    found = {name: node for node in tree.body for name in _defines(node) if _is_private(name)}
    for cls in [node for node in tree.body if isinstance(node, ast.ClassDef)]:
        methods = [x for x in cls.body if isinstance(x, FUNCTION) and _is_private(x.name)]
        found |= {method.name: method for method in methods}
    return found


def uses(node: ast.AST) -> set:
    """Return every name and attribute that a piece of code mentions."""
    return {name for x in ast.walk(node) for name in _mentions(x)}


def _mentions(node):
    """Return the name that a node of the syntax tree reads, as a list."""
    if isinstance(node, ast.Attribute):
        return [node.attr]
    return [node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) else []


def _edits(text, name, node, notes):
    """Return what is cut out of the text for a function, as (first line, behind the last, what comes in)."""
    lines = text.splitlines()
    docstring = node.body[0] if ast.get_docstring(node) is not None else None
    inner = node.body[0].col_offset
    first = _signature_end(text, node) if docstring is None else docstring.end_lineno
    last = node.end_lineno
    while last < len(lines) and lines[last].lstrip().startswith("#") and depth(lines[last]) == inner:
        last += 1
    stub = f'{" " * inner}raise NotImplementedError("{name}: your code goes here")'
    if docstring is not None and not notes:
        yield from _notes(lines, docstring)
    yield first, last, [stub]


def _notes(lines, docstring):
    """Find the section Notes of a docstring: from its title to the next title, or to the docstring's end."""
    first, behind = docstring.lineno, docstring.end_lineno - 1  # without the lines of the quotes
    titles = [i for i in range(first, behind - 1) if re.fullmatch(r"\s*-{3,}\s*", lines[i + 1])]
    for title in titles:
        if lines[title].strip() == "Notes":
            end = min((i for i in titles if i > title), default=behind)
            start = title - 1 if end == behind and not lines[title - 1].strip() else title
            yield start, end, []


def _without_unused(text, given):
    """Take out the private helpers that nothing uses any more, those that use each other included."""
    tree = ast.parse(text)
    there = private(tree)
    alive = _alive(tree, there) | {name for name in there if name in given}
    kept = [node for name, node in there.items() if name in alive]
    dead = {id(node): node for node in there.values() if node not in kept}
    inner = {id(x) for node in dead.values() for x in ast.walk(node) if x is not node}
    text = cut(text, [_whole(text, node) for key, node in dead.items() if key not in inner])
    return re.sub(r"\n{4,}", "\n\n\n", text).rstrip("\n") + "\n"


def _alive(tree, there):
    """Return the private names that public code uses, and those that these use."""
    own = {name: uses(node) for name, node in there.items()}
    inside = {id(x) for node in there.values() for x in ast.walk(node)}
    outside = [x for x in ast.walk(tree) if id(x) not in inside]
    alive, new = set(), {name for x in outside for name in _mentions(x)} & set(there)
    while new:
        alive |= new
        new = {found for name in new for found in own[name]} & set(there) - alive
    return alive


def _whole(text, node):
    """Return the lines of a definition, its decorators, and the comments and blank lines above it."""
    lines = text.splitlines()
    first = min([node.lineno, *(x.lineno for x in getattr(node, "decorator_list", []))]) - 1
    while first and lines[first - 1].lstrip().startswith("#") and depth(lines[first - 1]) == node.col_offset:
        first -= 1
    while first and not lines[first - 1].strip():
        first -= 1
    return first, node.end_lineno, []


def _defines(node):
    """Return the names that a statement of a module defines."""
    if isinstance(node, FUNCTION | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [x.id for target in targets for x in ast.walk(target) if isinstance(x, ast.Name)]


def _is_private(name):
    return name.startswith("_") and not name.startswith("__")


def _signature_end(text, node):
    """Return the number of the line on which the signature ends: the one above the body, comments aside."""
    line = node.body[0].lineno - 1  # counted from 0: the first line of the body
    lines = text.splitlines()
    while line > node.lineno and (not lines[line - 1].strip() or lines[line - 1].lstrip().startswith("#")):
        line -= 1
    return max(line, node.lineno)
