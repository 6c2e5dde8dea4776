"""The starter: a package's files without the bodies of tasks, and all that these files import."""

import ast
from collections.abc import Iterable
from pathlib import Path

from tests.homework.bodies import blank
from tests.homework.plain_words import without_formulas
from tests.homework.table import TASKS
from tests.homework.task import Task

ROOT = Path(__file__).parent.parent.parent
# Two modules would bring thirty others along for a name or two: these stand in for them.
STAND_INS = {
    "step01_numpy/common/text/tokenizer.py": '''"""The tokens that begin and end a text."""

PAD, BOS, EOS, UNK = range(4)
''',
    "step01_numpy/common/training/configuration.py": '''"""What a schedule reads."""


class TrainingConfig:
    """The fields `peak_rate`, `warmup`, `steps` and `schedule`."""
''',
}
PACKAGE = '''"""Your homework: a part of the project "Attention, step by step"."""

import sys
from types import ModuleType

try:
    import jaxtyping  # it writes shapes into signatures, and is not needed to run them
except ImportError:

    class Array:
        """An array, of any shape."""

        def __class_getitem__(cls, shape):
            return cls

    sys.modules["jaxtyping"] = jaxtyping = ModuleType("jaxtyping")
    jaxtyping.Bool = jaxtyping.Float = jaxtyping.Int = Array
'''


def starter(tasks: Iterable[Task], *, notes: bool = False) -> dict[str, str]:
    """
    Return the files of a starter.

    Parameters
    ----------
    tasks : iterable of Task
    notes : bool
        Whether the formulas in the docstrings' sections Notes stay.

    Returns
    -------
    texts : dict
        By path, "step01_numpy/attention.py": the tasks' modules, blanked, those of the tasks that they may
        call, and what all of these import.

    Raises
    ------
    ValueError
        Where the table asks for what cannot be blanked.
    """
    tasks = list(tasks)
    empty = [*tasks, *_lower(tasks)]
    names, given = blanked(empty), _by_file(empty, lambda task: task.given)
    texts, seen = {}, set()
    left = [*blanked(tasks), *blanked(TASKS[x] for task in tasks for x in task.uses)]
    while left:
        path = left.pop()
        if path not in seen and (ROOT / path).is_file():
            texts[path] = _text(path, names.get(path, ()), given.get(path, ()), notes)
            left += imported(texts[path])
        seen.add(path)
    return dict(sorted(texts.items()))


def _lower(tasks):
    """Return the tasks of earlier stages, whose solutions would tell too much; none of a stage handed out."""
    stages = {task.stage for task in tasks}
    return [x for x in TASKS.values() if stages and x.stage < max(stages) and x.stage not in stages]


def blanked(tasks: Iterable[Task]) -> dict[str, list[str]]:
    """Return the names whose bodies go, by the path of their file."""
    return _by_file(tasks, lambda task: (*task.targets, *task.also))


def _by_file(tasks, choose):
    """Return names that tasks give as "module:name", by the path of their file, each once."""
    found = {}
    for task in tasks:
        for module, _, name in (target.partition(":") for target in choose(task)):
            found.setdefault(path_of(task.package, module), {})[name] = None
    return {path: list(names) for path, names in found.items()}


def path_of(package: str, module: str) -> str:
    """Return the path of a module within a package: "step01_numpy/common/decoding/search.py"."""
    return f"{package}/{module.replace('.', '/')}.py"


def imported(text: str) -> list[str]:
    """Return the paths of the modules that a module may import, and of the packages around them."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{x.name}" for x in node.names)]
        elif isinstance(node, ast.Import):
            found += [x.name for x in node.names]
    files = [x.replace(".", "/") + ".py" for x in found]
    parts = [x.split(".") for x in found]
    return files + ["/".join(x[:i]) + "/__init__.py" for x in parts for i in range(1, len(x) + 1)]


def _text(path, names, given, notes):
    """Return one file of a starter."""
    if path.count("/") == 1 and path.endswith("__init__.py"):
        return PACKAGE
    text = STAND_INS.get(path) or (ROOT / path).read_text("utf-8")
    text = text if notes or not names else without_formulas(text)
    return blank(text, names, given=given, notes=notes) if names else text
