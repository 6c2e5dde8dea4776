"""The mistakes that a task can be told: mutants that have a sentence and change what it answers."""

import sys
from collections.abc import Iterable
from inspect import unwrap

import numpy as np

from tests.homework.answers import Question, answer, same
from tests.homework.task import Task
from tests.mutants.mutant import Mutant
from tests.mutants.runner import applied
from tests.mutants.tables import MUTANTS

DIFFERENT = 1e-6  # a relative difference above which two answers are not the same


def tellable(package: str) -> list[Mutant]:
    """Return the mutants of a package that have a sentence for students."""
    return [x for x in MUTANTS if x.says and x.target.startswith(f"{package}.")]


def reached(task: Task, questions: Iterable[Question]) -> set:
    """Return (file, name, line) of every function that the solution runs through in these cases."""
    seen = set()

    def notice(frame, event, _):
        if event == "call":
            seen.add(_place(frame.f_code))

    before = sys.getprofile()
    sys.setprofile(notice)
    try:
        for question in questions:
            answer(task, question)
    finally:
        sys.setprofile(before)
    return seen


def wrong_answers(task: Task, questions: list[Question], mutants: Iterable[Mutant] | None = None) -> dict:
    """
    Return what the solution answers with each mistake in it.

    Returns
    -------
    answers : dict
        By the mutant, its answers by the cases' names, where they are not the right ones; what changes
        nothing here is left out.
    """
    if task.stage == 3:
        from tests.homework.kernels.answers import wrong_answers as of_kernels

        return of_kernels(task, questions)
    mutants = tellable(task.package) if mutants is None else mutants
    right, seen = [answer(task, x) for x in questions], reached(task, questions)
    found = {}
    for mutant in mutants:
        if _place(unwrap(_function(mutant)).__code__) not in seen:
            continue
        with applied(mutant), np.errstate(all="ignore"):
            answers = [answer(task, x) for x in questions]
        pairs = zip(questions, answers, right, strict=True)
        changed = {q.case.name: a for q, a, b in pairs if not same(a, b, DIFFERENT)}
        if changed:
            found[mutant] = changed
    return found


def _function(mutant):
    module, _, path = mutant.target.partition(":")
    __import__(module)
    found = sys.modules[module]
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _place(code):
    return code.co_filename, code.co_name, code.co_firstlineno
