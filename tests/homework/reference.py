"""What the reference answers to a case, and to a child's calls of other tasks; it stays in this process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from types import MethodType

import numpy as np

from tests.homework import answers
from tests.homework.answers import Question
from tests.homework.child import wire
from tests.homework.task import Task

MOST_NUMBERS, MOST_INTEGER, MOST_CALLS = 2**20, 4096, 10_000


@dataclass(frozen=True)
class Answer:
    """
    What came of a case: values by name, or the exception in their place.

    Attributes
    ----------
    values : dict or None
        Arrays and other plain values.
    raised, text : str
        The kind of the exception, and its words.
    line : int
        Where in the student's file; 0 where nowhere.
    """

    values: dict[str, object] | None = None
    raised: str = ""
    text: str = ""
    line: int = 0
    inputs: tuple = field(default=(), repr=False)


def find(package: str, target: str):
    """Return what a target names; a package may offer a function of the same name as a module."""
    module, path = target.split(":")
    module = f"{package}.{module}" if package else module
    import_module(module)
    return wire.look_up(sys.modules[module], path)


def answer(task: Task, question: Question) -> Answer:
    """Return what the running code answers to a case: the reference, or a variant of it."""
    return answer_of(answers.answer(task, question))


def answer_of(found) -> Answer:
    """Return what `answers.answer` found, its values by name."""
    return Answer(None, found.__name__) if isinstance(found, type) else Answer(named(*found))


def named(values: list, state: dict) -> dict[str, object]:
    """Name each array of the results, and of the state."""
    found: dict[str, object] = {}
    for i, value in enumerate(values):
        flatten("result" if len(values) == 1 else f"call {i + 1}", value, found)
    for path, value in state.items():
        flatten(path, value, found)
    return found


def first(value):
    """Return the first of several results."""
    return value[0] if isinstance(value, tuple | list) and value else value


def flatten(name: str, value, found: dict) -> None:
    """Give what is inside tuples, lists and dicts names of its own."""
    if isinstance(value, tuple | list):
        for i, x in enumerate(value):
            flatten(f"{name} {i + 1}", x, found)
    elif isinstance(value, dict):
        for key, x in value.items():
            flatten(f"{name} {key}", x, found)
    else:
        found[name] = value


def portable(value, package: str, served: list):
    """Return a value as it is sent: functions and classes of the stage by name, other functions stay here."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str) or isinstance(value, np.ndarray | np.generic):
        return value
    if isinstance(value, MethodType):
        served.append(value)
        return wire.Served(len(served) - 1)
    own = (getattr(value, "__module__", None) or "").startswith(f"{package}.")
    if own and hasattr(value, "__qualname__"):
        return wire.Name(name_of(value, package))
    if kind in (list, tuple):
        return kind(portable(x, package, served) for x in value)
    if kind is dict:
        return {key: portable(x, package, served) for key, x in value.items()}
    if package == "step02_torch" and hasattr(kind, "named_parameters"):
        return import_module("tests.homework.torch_answers").portable(value, package, served)
    if kind.__module__.startswith(f"{package}."):
        attributes = value._asdict() if isinstance(value, tuple) else vars(value)
        return wire.Object(name_of(kind, package), portable(dict(attributes), package, served))
    if isinstance(value, Callable):
        served.append(value)
        return wire.Served(len(served) - 1)
    raise TypeError(f"{kind.__name__} has no form that can be sent")


def name_of(value, package: str) -> str:
    """Return "module:name" of a function or class of the stage."""
    return f"{value.__module__.removeprefix(f'{package}.')}:{value.__qualname__}"


class Server:
    """
    Answers a child's calls of other tasks by the reference.

    Parameters
    ----------
    task : Task
        Under test.
    allowed : set of str
        The targets that it may call.
    """

    def __init__(self, task: Task, allowed):
        self.task, self.allowed = task, set(allowed)
        self.arguments: list = []  # functions among the arguments of the case at hand
        self.refused: list[str] = []
        self.calls = 0

    def __call__(self, message: dict) -> dict:
        """Answer a message with a message."""
        self.calls += 1
        target = message["target"]
        try:
            function = self.function(target)
            if self.calls > MOST_CALLS:
                return self.refuse(f"{self.task.name} calls other functions too often")
            for x in [*message["args"], *message["options"].values()]:
                small(target, x)
            value = function(*message["args"], **message["options"])
            wire.encode({"kind": "answer", "value": value})
            return {"kind": "answer", "value": value}
        except PermissionError as error:
            return self.refuse(str(error))
        except Exception as error:
            return {"kind": "no", "type": type(error).__name__, "text": " ".join(str(error)[:500].split())}

    def function(self, target: str):
        """Return what is called, if it may be."""
        if target.startswith("argument:") and target[9:].isdigit() and int(target[9:]) < len(self.arguments):
            return self.arguments[int(target[9:])]
        if target not in self.allowed:
            raise PermissionError(f"{self.task.name} may not call {target[:80].split(':')[-1]}")
        return find(self.task.package, target)

    def refuse(self, text: str) -> dict:
        """Refuse a call, and remember it for the result."""
        self.refused.append(text)
        return {"kind": "no", "type": "Refused", "text": text}


def small(target: str, x) -> None:
    """Refuse an argument that would fill the grader's memory."""
    if isinstance(x, tuple | list):
        for one in x:
            small(target, one)
    if isinstance(x, np.ndarray) and x.size > MOST_NUMBERS:
        raise PermissionError(
            f"{target} was called with {x.size} numbers; at most {MOST_NUMBERS} are answered"
        )
    if isinstance(x, int | np.integer) and abs(int(x)) > MOST_INTEGER:
        raise PermissionError(f"{target} was called with {x}; at most {MOST_INTEGER} is answered")
