"""Each wrong variant loses its own task, no other, and is named."""

import re
import textwrap
from functools import cache

import pytest

from tests.homework.blank import ROOT
from tests.homework.bodies import find
from tests.homework.explain import explain
from tests.homework.grade import answers, grade
from tests.homework.judge import Account, right
from tests.homework.table import TASKS

STAGE1 = [task for task in TASKS.values() if task.stage == 1]
KEPT = ("arrays",)  # what a copy of the package shares with what was given


@cache
def mistakes_of(task):
    """Return the mutants that a task can be told of."""
    return [x.mutants[0] for x in variants_of(answers(task, 0))]


def variants_of(known):
    """Return the variants that change an answer."""
    return [
        x
        for x in known.variants
        if not all(right(x.answer(name), expected, 1e-6) for name, expected in known.expected.items())
    ]


def reached(package, *modules):
    """Return modules and all that they import, but for those that are shared."""
    found, left = set(), list(modules)
    while left:
        name = left.pop()
        path = ROOT / package / f"{name.replace('.', '/')}.py"
        if name.split(".")[0] not in KEPT and name not in found and path.is_file():
            found.add(name)
            text = path.read_text("utf-8")
            left += re.findall(rf"from {package}\.([\w.]+) import", text)
            for support in re.findall(rf"from {package}.common.support import (.+)", text):
                left += [f"common.support.{x}" for x in support.split(", ")]
    return found


def own(name):
    """Return the name of a student's copy of a module."""
    return "own_" + name.replace(".", "_")


def copies(module, mutant):
    """Return a student's own copy of a task's module and all that it imports, with a mistake in it."""
    package, target, path = re.fullmatch(r"(\w+)\.([\w.]+):(.+)", mutant.target).groups()
    names = reached(
        package, module, "rotary", target
    )  # a layer may hold a Rotary that its file does not import
    found = {}
    for name in names:
        text = (ROOT / package / f"{name.replace('.', '/')}.py").read_text("utf-8")
        if name == target:
            text = changed(text, path, mutant)
        for other in sorted(names, key=len, reverse=True):
            text = re.sub(
                rf"from {package}\.{re.escape(other)} import", f"from {package}.{own(other)} import", text
            )
        found[f"{package}/{own(name)}.py"] = text
    return found


def changed(text, path, mutant):
    """Put a mistake into one function of a file, whose text the mistake sees without its indentation."""
    node = find(text, path)
    lines = text.splitlines(keepends=True)
    whole = "".join(lines[node.lineno - 1 : node.end_lineno])
    assert mutant.old in textwrap.dedent(whole), mutant
    new = textwrap.dedent(whole).replace(mutant.old, mutant.new)
    lines[node.lineno - 1 : node.end_lineno] = textwrap.indent(new, " " * node.col_offset)
    return "".join(lines)


def submission(folder, task, mutant):
    """Write the solution, in which a task's functions are those of a copy with a mistake."""
    package = folder / task.package
    for module in {x for other in TASKS.values() if other.stage == task.stage for x in other.modules}:
        place = package / f"{module.replace('.', '/')}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text((ROOT / task.package / f"{module.replace('.', '/')}.py").read_text("utf-8"), "utf-8")
    for module in task.modules:
        place = package / f"{module.replace('.', '/')}.py"
        text = place.read_text("utf-8")
        for name in [x.split(":")[1] for x in task.targets if x.split(":")[0] == module]:
            text = handed_on(text, name, task.package, own(module))
        place.write_text(text, "utf-8")
        for path, text in copies(module, mutant).items():
            (place.parent / path.split("/")[-1]).write_text(text, "utf-8")
    return folder


def handed_on(text, name, package, module):
    """Return a file in which a function or method calls the copy's; all else of it is as it was."""
    node, lines = find(text, name), text.splitlines(keepends=True)
    if "." in name:
        kind, method = name.split(".")
        new = METHOD.format(method=method, module=module, kind=kind, package=package)
    else:
        new = FUNCTION.format(name=name, module=module)
    first = min([node.lineno, *(x.lineno for x in node.decorator_list)]) - 1
    lines[first : node.end_lineno] = [textwrap.indent(new, " " * node.col_offset)]
    return "".join(lines)


FUNCTION = """def {name}(*args, **options):
    import importlib
    return importlib.import_module("{module}").{name}(*args, **options)
"""
METHOD = """def {method}(self, *args, **options):
    import importlib
    copy = importlib.import_module("{module}")
    self.__class__ = copy.{kind}
    for x in vars(self).values():
        try:
            own = importlib.import_module("own_" + type(x).__module__.removeprefix("{package}."))
            x.__class__ = getattr(own, type(x).__name__)
        except (ImportError, TypeError):
            continue
    if hasattr(self, "attend"):
        self.attend = importlib.import_module("own_attention").STANDARD
    return self.{method}(*args, **options)
"""


@pytest.mark.proof
@pytest.mark.parametrize("task", STAGE1, ids=lambda x: x.name)
def test_no_two_mistakes_that_say_different_things_are_alike(task):
    """Else a student could be told the wrong one: the cases are too few."""
    known = answers(task, 0)
    found = variants_of(known)
    for i, a in enumerate(found):
        for b in found[:i]:
            names = [x for x in known.expected if a.answer(x).values is not None]
            alike = all(right(a.answer(x), b.answer(x), 1e-6) for x in names)
            assert a.says == b.says or not alike, (a.mutants[0].name, b.mutants[0].name)


@pytest.mark.proof
@pytest.mark.parametrize("task", STAGE1, ids=lambda x: x.name)
def test_every_mistake_is_named(task):
    """Of every one the numbers are explained here, the next test sends some through a child."""
    known = answers(task, 0)
    for x in variants_of(known):
        account = Account({name: x.answer(name) for name in known.expected})
        assert any(says.startswith(x.says) for says in explain(account, known)), x.mutants[0].name


@pytest.mark.proof
@pytest.mark.parametrize("task", STAGE1, ids=lambda x: x.name)
def test_mistakes_that_are_handed_in_are_named(task, tmp_path):
    """A process takes its time to start, so of each task the first, the middle and the last are handed in."""
    found = mistakes_of(task)
    for i in {0, len(found) // 2, len(found) - 1}:
        (result,) = grade(submission(tmp_path / str(i), task, found[i]), [task], seed=0).tasks
        assert result.points < result.max_points, found[i].name
        assert any(x.startswith(found[i].says) for x in result.says), (found[i].name, result.says)


@pytest.mark.proof
def test_mistakes_are_many():
    assert len({x.says for task in STAGE1 for x in mistakes_of(task)}) >= 60


@pytest.mark.proof
def test_a_mistake_costs_its_own_task_alone(tmp_path):
    """Beside it stand the other tasks of its files, methods of its class among them."""
    for i, task in enumerate(STAGE1):
        mutant = mistakes_of(task)[-1]
        mates = [x for x in STAGE1 if set(x.modules) & set(task.modules)]
        results = grade(submission(tmp_path / str(i), task, mutant), mates, seed=0).tasks
        assert [x.name for x in results if x.points < x.max_points] == [task.name], mutant.name


def test_one_mistake_of_attention_is_named(tmp_path):
    task = TASKS["attention"]
    mutant = next(x for x in mistakes_of(task) if x.name == "student: no scale")
    (result,) = grade(submission(tmp_path, task, mutant), [task], seed=0).tasks
    assert 0 < result.points < result.max_points
    assert len(result.says) == 1
    assert result.says[0].startswith(mutant.says)
