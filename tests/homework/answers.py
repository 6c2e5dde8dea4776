"""What the solution, as it is or with a mistake put into it, answers in a case."""

import copy
import zlib
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from tests.homework.check import leaves
from tests.homework.task import Case, Task


@dataclass(frozen=True)
class Question:
    """A case, and the object that it is asked of, made by the solution before anything is put into that."""

    case: Case
    built: object


def questions(task: Task, seed: int) -> list[Question]:
    """Return a task's cases: the same ones for the same seed, whatever other tasks there are."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(task.name.encode())]))
    return [Question(x, None if x.build is None else x.build()) for x in task.cases(rng)]


def answer(task: Task, question: Question) -> object:
    """
    Return what the solution answers.

    Returns
    -------
    answer : (results, state)
        What each call returned, and the task's attributes afterwards, by name; or the exception's type.
    """
    if task.stage == 2:
        return import_module("tests.homework.torch_answers").answer(task, question)
    if task.stage == 3:
        from tests.homework.kernels.answers import expected

        return [expected(question)], {}
    module, _, path = task.target_of(question.case).partition(":")
    found = import_module(f"{task.package}.{module}")
    for name in path.split("."):
        found = getattr(found, name)
    first, results = question.case.first, []
    built, calls = copy.deepcopy((question.built, question.case.all_calls))
    try:
        with np.errstate(all="ignore"):
            for args, options in calls:
                result = found(*([] if built is None else [built]), *args, **options)
                results.append(result[0] if first else result)
    except Exception as error:  # a mistake may raise anything
        return type(error)
    return results, {name: attribute(built, name) for name in task.state}


def attribute(of: object, path: str) -> object:
    """Return what a dotted path leads to, through attributes and dictionaries; None where it ends early."""
    for name in path.split("."):
        of = of.get(name) if isinstance(of, dict) else getattr(of, name, None)
    return copy.deepcopy(of)


def same(a: object, b: object, tolerance: float = 1e-6) -> bool:
    """Tell whether two answers have the same shapes and, relative to the largest, the same numbers."""
    if a is b or isinstance(a, type) or isinstance(b, type):
        return a is b
    first, second = leaves(a), leaves(b)
    pairs = zip(first, second, strict=False)
    return len(first) == len(second) and all(_same(*pair, tolerance) for pair in pairs)


def _same(a, b, tolerance):
    if a is None or b is None:
        return a is b
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
        return False
    a, b = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(b)
    if not np.array_equal(np.where(np.isfinite(a), 0, a), np.where(finite, 0, b), equal_nan=True):
        return False
    largest = max(1.0, abs(b[finite]).max(initial=0.0))
    return bool((abs(a[finite] - b[finite]) <= tolerance * largest).all())
