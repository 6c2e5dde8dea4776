"""The mistakes that have a name: mutants with a sentence for students, and what a task answers with each."""

import inspect
import textwrap
from contextlib import ExitStack, contextmanager
from functools import cache, cached_property

from tests.homework import reference
from tests.homework.answers import questions
from tests.homework.mistakes import reached, tellable
from tests.homework.reference import Answer
from tests.homework.task import Task
from tests.mutants.mutant import Mutant


class Answers:
    """
    What the reference and its variants answer to a task's cases.

    Parameters
    ----------
    task : Task
    seed : int
    """

    most_pairs = 1500  # of variants that are tried together

    def __init__(self, task: Task, seed: int):
        self.task = task
        self.questions = {x.case.name: x for x in questions(task, seed)}
        self.expected = {name: reference.answer(task, x) for name, x in self.questions.items()}
        self._reached = reached(task, self.questions.values())

    def needs(self, target: str) -> bool:
        """Tell whether the reference itself, or what is given of it, runs a function."""
        return self._runs(reference.find(self.task.package, target))

    @cached_property
    def variants(self) -> tuple["Variant", ...]:
        """A variant for each mistake in a function that the reference runs; it may change no answer."""
        near = [x for x in tellable(self.task.package) if self._runs(function_of(x))]
        return tuple(Variant(self, x) for x in near)

    def _runs(self, function) -> bool:
        code = inspect.unwrap(function).__code__
        return (code.co_filename, code.co_name, code.co_firstlineno) in self._reached


class Variant:
    """
    A wrong version of a task; it answers a case when that is first asked for.

    Parameters
    ----------
    known : Answers
    mutants : Mutant
        One mistake or several.
    """

    def __init__(self, known: Answers, *mutants: Mutant):
        self.known, self.mutants = known, mutants
        self.says = tuple(dict.fromkeys(x.says for x in mutants))
        self._answers: dict[str, Answer] = {}

    def answer(self, name: str) -> Answer:
        """Return the answer to a case; mistakes that cannot be in one function answer nothing."""
        if name not in self._answers:
            try:
                with applied(self.mutants):
                    self._answers[name] = reference.answer(self.known.task, self.known.questions[name])
            except LookupError:
                self._answers[name] = Answer(None, "LookupError")
        return self._answers[name]


def function_of(mutant: Mutant):
    """Return the function that a mutant changes."""
    return inspect.unwrap(reference.find("", mutant.target))


@contextmanager
def applied(mutants):
    """Put mutants into the running code, one after the other; LookupError where one does not fit."""
    with ExitStack() as stack:
        for target in dict.fromkeys(x.target for x in mutants):
            stack.enter_context(changed(target, [x for x in mutants if x.target == target]))
        yield


@contextmanager
def changed(target: str, mutants):
    """Put the mutants of one function into it; it keeps its identity, so whoever uses it is hit."""
    function = function_of(mutants[0])
    source, original = source_of(function), function.__code__
    for x in mutants:
        if x.old not in source:
            raise LookupError(f"{target} has no {x.old!r}")
        source = source.replace(x.old, x.new)
    scope = dict(function.__globals__)
    exec(compile(source, f"<{target}>", "exec"), scope)
    function.__code__ = inspect.unwrap(scope[function.__name__]).__code__
    try:
        yield
    finally:
        function.__code__ = original


@cache
def source_of(function) -> str:
    """Return a function's text."""
    return textwrap.dedent(inspect.getsource(function))
