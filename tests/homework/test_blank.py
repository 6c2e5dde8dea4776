"""Blanking: bodies go, and with them what gives them away; what stays is, line by line, the solution's."""

import ast
import re
from functools import cache
from itertools import combinations

import pytest

from tests.homework import blank
from tests.homework.blank import ROOT, blanked, imported, path_of, starter
from tests.homework.bodies import blank as blank_text
from tests.homework.bodies import find, private
from tests.homework.plain_words import WORDS, without_formulas
from tests.homework.table import TASKS

PYTHON = [task for task in TASKS.values() if task.stage < 3]
SETS = [pytest.param([task], id=task.name) for task in PYTHON]
SETS.append(pytest.param(PYTHON, id="all"))
MODULE = '''"""A module."""

import numpy as np

_SIZE, _DEPTH = 2, 3
# how far
_FAR = 9


def first(x):
    """
    Double x.

    Notes
    -----
    2 x.

    References
    ----------
    Nobody.
    """
    # twice
    return _double(x) * _SIZE  # and once more
    # done


@wrapped
def second(
    x,
    y,
):
    # no docstring
    return _Helper(x).once()


def third(x):
    """Call `_shared`."""
    return _shared(x) + _FAR


# doubles
@wrapped
def _double(x):
    return _twice(x)


def _twice(x):
    return _double(x) if x else 2 * x


class _Helper:
    """Help."""

    def once(self):
        return self._again()

    def _again(self):
        return 1


def _shared(x):
    return x


class Kept:
    """Kept."""

    def method(self):
        """Do it."""
        return self._inner()

    def _inner(self):
        return _shared(2)
'''


@pytest.fixture(autouse=True, scope="module")
def once():
    """Let a file be blanked once for the same names, and be looked through once: most sets share most."""
    kept, blanked_once = {}, blank.blank

    def blank_once(text, names, *, given=(), notes=False):
        key = text, tuple(names), tuple(given), notes
        if key not in kept:
            kept[key] = blanked_once(text, names, given=given, notes=notes)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blank, "blank", blank_once)
        patch.setattr(blank, "imported", cache(blank.imported))
        patch.setattr(blank, "without_formulas", cache(blank.without_formulas))
        yield


parsed = cache(ast.parse)


def shown(text, names, **options):
    return blank_text(text, names, **options)


def functions(text):
    """Return every public function and method by its name, without its body, but with its docstring."""
    found = {}
    for node in ast.parse(text).body:
        inner = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else []
        for x in (node, *inner):
            if isinstance(x, ast.FunctionDef | ast.ClassDef) and not x.name.startswith("_"):
                head = [ast.dump(y) for y in (*x.decorator_list, *getattr(x, "bases", []))]
                signature = [
                    ast.dump(y) for y in (getattr(x, "args", None), getattr(x, "returns", None)) if y
                ]
                found[node.name, x.name] = head, signature, (ast.get_docstring(x) or "").split("\n")[0]
    return found


@pytest.mark.parametrize("tasks", SETS)
def test_public_names_signatures_and_docstrings_stay(tasks):
    for path, text in starter(tasks).items():
        ast.parse(text)
        if path not in blank.STAND_INS and path != "step01_numpy/__init__.py":
            whole = (ROOT / path).read_text("utf-8")
            assert functions(text) in (functions(whole), functions(without_formulas(whole))), path


@pytest.mark.parametrize("tasks", SETS)
@pytest.mark.parametrize("notes", [False, True])
def test_what_stays_is_the_solutions(tasks, notes):
    texts = starter(tasks, notes=notes)
    for path in blanked(tasks):
        whole = (ROOT / path).read_text("utf-8")
        whole = set((whole if notes else without_formulas(whole)).splitlines())
        for line in texts[path].splitlines():
            assert line in whole or line.endswith(': your code goes here")'), f"{path}: {line}"


@pytest.mark.parametrize("tasks", SETS)
def test_no_line_of_a_body_stays(tasks):
    texts = starter(tasks)
    for path, names in blanked(tasks).items():
        for line in lines_of_bodies(path, names):
            assert line not in texts[path], f"{path}: {line}"


def lines_of_bodies(path, names):
    """Return the lines that stand in blanked bodies of a file and nowhere else in it."""
    inside, others = split(path, names)
    return [line for line in inside if line not in others]


def split(path, names):
    """Return the lines of some length in the bodies of a file, and the text around the bodies."""
    return split_once(path, tuple(names))


@cache
def split_once(path, names):
    text = (ROOT / path).read_text("utf-8")
    lines, bodies = text.splitlines(), set()
    for name in names:
        if not name.split(".")[-1].startswith("_"):
            node = find(text, name)
            bodies |= set(range(node.body[bool(ast.get_docstring(node))].lineno - 1, node.end_lineno))
    others = "\n".join(line for i, line in enumerate(lines) if i not in bodies)
    return [lines[i].strip() for i in sorted(bodies) if len(lines[i].strip()) > 20], others


@pytest.mark.parametrize("tasks", SETS)
def test_what_stays_runs(tasks):
    """Every import of a starter leads to a file of it, and every name that it uses is there."""
    texts = starter(tasks)
    for path, text in texts.items():
        own = [x for x in imported(text) if (ROOT / x).is_file()]
        assert set(own) <= set(texts), path
        names = {x.id for x in ast.walk(ast.parse(text)) if isinstance(x, ast.Name)}
        gone = set(private(ast.parse((ROOT / path).read_text("utf-8")))) - set(private(ast.parse(text)))
        assert not gone & names, path


@pytest.mark.proof
@pytest.mark.parametrize("pair", list(combinations(PYTHON, 2)), ids=lambda x: "-".join(y.name for y in x))
def test_any_two_tasks_can_be_handed_out_together(pair):
    texts = starter(pair)
    for path, names in blanked(pair).items():
        parsed(texts[path])
        for line in lines_of_bodies(path, names):
            assert line not in texts[path], f"{path}: {line}"


FORMULA = re.compile(r"exp\(|log softmax|softmax\(|[Σ√δ]| / sum")


@pytest.mark.parametrize("task", PYTHON, ids=lambda x: x.name)
def test_no_first_line_is_the_formula(task):
    texts = starter([task])
    for module, name in (target.split(":") for target in task.targets):
        path = path_of(task.package, module)
        first = ast.get_docstring(find(texts[path], name)).split("\n\n")[0]
        assert not FORMULA.search(first), first
        assert not FORMULA.search(ast.get_docstring(ast.parse(texts[path])).split("\n\n")[0])


def test_every_formula_that_words_replace_is_there():
    texts = [(ROOT / path).read_text("utf-8") for path in blanked(PYTHON)]
    assert [x for x in WORDS if not any(x in text for text in texts)] == []
    assert not any(FORMULA.search(x) for x in WORDS.values())


def test_body_comments_and_notes_go():
    text = shown(MODULE, ["first"])
    assert 'raise NotImplementedError("first: your code goes here")' in text
    for gone in ("twice", "once more", "done", "Notes", "2 x.", "_double", "_twice"):
        assert gone not in text, gone
    for stays in ("Double x.", "References", "Nobody.", "_FAR", "# how far", "class _Helper"):
        assert stays in text, stays


def test_notes_stay_where_they_are_wanted():
    assert "    Notes\n    -----\n    2 x.\n" in shown(MODULE, ["first"], notes=True)


def test_a_class_that_only_the_body_used_goes_whole():
    text = shown(MODULE, ["second"])
    assert "_Helper" not in text
    assert '@wrapped\ndef second(\n    x,\n    y,\n):\n    raise NotImplementedError("second: your' in text
    assert "no docstring" not in text


def test_constants_go_when_none_of_their_statement_is_used():
    assert "_SIZE" not in shown(MODULE, ["first"])
    assert "_SIZE, _DEPTH = 2, 3" in shown(MODULE, ["first"], given=["_SIZE"])


@pytest.mark.parametrize("name", ["third", "Kept._inner"])
def test_a_helper_that_something_else_uses_is_refused_unless_it_is_given(name):
    with pytest.raises(ValueError, match=f"{name} cannot be blanked: _shared stays"):
        shown(MODULE, [name])
    assert "def _shared(x):\n    return x\n" in shown(MODULE, [name], given=["_shared"])
    text = shown(MODULE, [name, "_shared"])
    assert 'raise NotImplementedError("_shared: your code goes here")' in text


def test_a_private_method_goes_with_the_only_one_that_calls_it():
    text = shown(MODULE, ["Kept.method"], given=["_shared"])
    assert "_inner" not in text
    assert text.endswith(
        '"""Do it."""\n        raise NotImplementedError("Kept.method: your code goes here")\n'
    )


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("def f(x): return x\n", "f", "has its body on its signature's line"),
        ("def f(\n    x\n): return x\n", "f", "has its body on its signature's line"),
        ('def f(x): "Do it."; return x\n', "f", "has its body on its signature's line"),
        ("def f(x):\n    return x\n", "g", "g is no function of this module"),
        ("class C:\n    x = 1\n", "C", "C is no function of this module"),
        ("class C:\n    x = 1\n", "C.x", "C.x is no function of this module"),
        ("def f():\n    return 1\ndef f():\n    return 2\n", "f", "expected one that is there once"),
    ],
)
def test_what_cannot_be_blanked_is_refused_by_name(text, name, says):
    with pytest.raises(ValueError, match=says):
        shown(text, [name])
