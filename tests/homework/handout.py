"""HANDOUT.md: what is to be done, task by task, as students read it."""

import ast
from collections import Counter

from tests.homework.answers import Question
from tests.homework.blank import ROOT, path_of
from tests.homework.bodies import find
from tests.homework.kernels import handout as kernels
from tests.homework.plain_words import without_formulas
from tests.homework.task import Task

HEAD = """# Homework

Write the bodies of the functions below, where `raise NotImplementedError` stands now. Signatures, types and
docstrings stay as they are. You may add functions, classes and imports of {imports} and of Python's
standard library beside them; whatever else you change in the files is not looked at.

**Check yourself** with `python check.py`, or `python check.py {example}` for some tasks. It needs
Python 3.11 or newer, {imports}, and nothing else. It calls your functions as they call each other, so do the
tasks in this order: while `softmax` is wrong, nothing that calls it can be right. When you are graded each
task is called alone, on other inputs, and what it may call is right.

Numbers are compared in float64, to 1e-10 of the largest one. A function must not change the arrays that it is
given.{graph}
"""
TABLE = """
| task | points | cases |
| --- | ---: | --- |
{rows}
"""
GRAPH = """ In PyTorch the gradients that autograd finds through your functions are compared as
well, with respect to every argument of floats and every weight: what you return has to hang together with
what you were given."""
TASK = """
## {name}

{points} points, {each} for each of {count} cases: {cases}.

{functions}
{uses}{forbids}{also}{hint}{lesson}"""


def handout(tasks: list[Task], asked: dict[str, list[Question]]) -> str:
    """Return the text of HANDOUT.md."""
    parts = [_task(task, tasks, asked[task.name]) for task in tasks]
    rows = [f"| {x.name} | {_points(x, asked)} | {len(asked[x.name])} |" for x in tasks]
    rows.append(f"| all | {sum(_points(x, asked) for x in tasks)} | |")
    torch = any(task.stage == 2 for task in tasks)
    words = {"imports": "NumPy and PyTorch" if torch else "NumPy", "graph": GRAPH if torch else ""}
    heads = [(HEAD, [x for x in tasks if x.stage < 3]), (kernels.INTRO, [x for x in tasks if x.stage == 3])]
    said = "\n".join(head.format(example=some[0].name, **words) for head, some in heads if some)
    return said + TABLE.format(rows="\n".join(rows)) + "".join(parts)


def _points(task, asked):
    return task.points * len(asked[task.name])


def _task(task, tasks, asked):
    names = [question.case.name for question in asked]
    uses = [name for x in tasks if x.name in task.uses for name in _names(x.targets)]
    others = [x for x in task.uses if x not in [y.name for y in tasks]]
    also = [x for x in _names(task.also) if not x.split(".")[-1].startswith("_")]
    also = [x for x in also if x not in [name for y in tasks for name in _names(y.targets)]]
    verb = "It builds on" if task.stage == 3 else "It may call"
    return TASK.format(
        name=task.name,
        points=task.points * len(asked),
        each=task.points,
        count=len(asked),
        cases=", ".join(names),
        functions=kernels.regions(task) if task.stage == 3 else _functions(task),
        uses=f"\n{verb} what other tasks are about: {_code(uses)}.\n" if uses else "",
        forbids=_forbids(task),
        also=f"\nYou find {_code(also)} empty as well, and may leave it so.\n" if also else "",
        hint=f"\n{task.hint}\n" if task.hint else "",
        lesson=f"\nRead [{task.lesson}]({task.lesson}) of the project.\n" if task.lesson else "",
    ) + (f"\nGiven: the functions of {_code(others)}.\n" if others else "")


def _forbids(task):
    """Name what of PyTorch's own would be the task itself."""
    if not task.forbids:
        return ""
    from tests.homework.child.forbidden import RULES

    names = [name for group in task.forbids for name in RULES[group][0]]
    return f"\nIt may not call {_code(names)}, nor anything that does the same.\n"


def _names(targets):
    return [x.split(":")[1] for x in targets]


def _code(names):
    counted = Counter(names)
    return ", ".join(f"`{x}`" for x in counted)


def _functions(task):
    return "\n".join(_function(task.package, target) for target in task.targets)


def _function(package, target):
    """Show a function: where it stands, its signature, and the first line of its docstring."""
    module, name = target.split(":")
    path = path_of(package, module)
    text = without_formulas((ROOT / path).read_text("utf-8"))
    node = find(text, name)
    first = node.lineno - 1
    signature = "\n".join(text.splitlines()[first : node.body[0].lineno - 1])
    says = (ast.get_docstring(node) or "").strip().split("\n\n")[0].replace("\n", " ")
    return f"`{name}` in `{path}`: {says}\n\n```python\n{_dedent(signature)}\n```\n"


def _dedent(signature):
    from textwrap import dedent

    return dedent(signature)
