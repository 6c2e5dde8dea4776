"""Ask a child for a task's cases, and compare what comes with the reference."""

import copy
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np

from step01_numpy.common.parity.verdict import TOLERANCE, agrees
from tests.homework import reference
from tests.homework.answers import Question
from tests.homework.reference import Answer
from tests.homework.sandbox import Child, Ended
from tests.homework.task import Case, Task

CASE, TASK = 5.0, 20.0  # s
SLOW = 25  # as often as a child needed to start, a case may take: where all is slow, so is a right solution
RESTARTS = 3  # of a child, within a task
REASONS = {
    "deadline": "took too long",
    "ended": "ended the program",
    "frame": "returned more than can be compared",
}


@dataclass
class Account:
    """
    What a task's cases brought.

    Attributes
    ----------
    answers : dict
        The submission's, by the case's name.
    unfit : str
        Why nothing could be asked, in one sentence.
    missing : list of str
        Why a file cannot be read, a sentence each, where others of the task can.
    notes : list of str
    printed : str
    changed : list of str
        Cases whose inputs were changed in place.
    lost : float
        s that went by until children were killed at their deadline.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    unfit: str = ""
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    printed: str = ""
    changed: list[str] = field(default_factory=list)
    lost: float = 0.0
    holds: list[str] = field(default_factory=list)


class Examination:
    """
    A task's cases, put to a submission.

    Parameters
    ----------
    task : Task
    message : dict
        What the child loads.
    allowed : iterable of str
        The targets that it may call.
    children : callable
        Returns a new child.
    patience : float
        The deadline of a case, s.
    """

    def __init__(self, task: Task, message: dict, allowed, children, patience: float = CASE):
        self.task, self.message, self.children, self.patience = task, message, children, patience
        self.server = ways(task).Server(task, allowed)
        self.account = Account()
        self.deadline = patience
        self.child: Child | None = None

    def run(self, questions: list[Question]) -> Account:
        """Ask for every case, with a new child where one has ended."""
        starts = 0
        for index, question in enumerate(questions):
            if self.child is None:
                if starts > RESTARTS or self.account.lost >= TASK or not self.start():
                    break
                starts += 1
            self.account.answers[question.case.name] = self.ask(index, question)
        self.account.notes += list(dict.fromkeys(self.server.refused))
        return self.account

    def start(self) -> bool:
        """Start a child that has loaded the submission; tell whether there is one."""
        child = self.children()
        try:
            self.account.holds = child.ready()
            self.deadline = max(self.patience, SLOW * child.started * (self.patience == CASE))
            said = child.ask({"kind": "load", **self.message}, self.deadline)
        except Ended as end:
            said = {"kind": "unfit", "text": f"Your file {REASONS[end.reason]} while it was imported."}
            self.account.lost += self.deadline * (end.reason == "deadline")
        self.child = child
        if said["kind"] != "loaded":
            self.account.unfit = (
                clean(said["text"]) if said["kind"] == "unfit" else "Your file says what it may not."
            )
            self.end()
            return False
        self.account.notes = [clean(note) for note in said["notes"]]
        return True

    def ask(self, index: int, question: Question) -> Answer:
        """Put one case; whatever becomes of the child is an answer."""
        case = question.case
        self.server.arguments = []
        package = self.task.package
        build = reference.portable(question.built, package, self.server.arguments)
        calls = reference.portable(copy.deepcopy(case.all_calls), package, self.server.arguments)
        asked = {
            "target": self.task.target_of(case),
            "build": build,
            "calls": calls,
            "state": self.task.state,
        }
        if self.task.stage == 2:
            asked |= {"names": ways(self.task).names(self.task, question), "first": case.first}
        try:
            said = self.child.ask({"kind": "case", "case": index, **asked}, self.deadline, self.server)
        except Ended as end:
            self.account.lost += self.deadline * (end.reason == "deadline")
            self.end()
            return Answer(None, "Ended", REASONS[end.reason])
        if said.get("case") != index or said["kind"] not in ("result", "error"):
            self.end()
            return Answer(None, "Ended", REASONS["frame"])
        if said["kind"] == "error":
            return Answer(None, clean(said["type"]), clean(said["text"]), said["line"])
        if not unchanged(case, said["inputs"]):
            self.account.changed.append(case.name)
        values = [reference.first(x) for x in said["values"]] if case.first else said["values"]
        return Answer(reference.named(values, said["state"]))

    def end(self) -> None:
        """End the child, if there is one."""
        if self.child is not None:
            self.account.printed += clean(self.child.end()[-2000:], keep="\n")
            self.child = None


def ways(task: Task):
    """Return the module that answers for a stage's solution."""
    return import_module("tests.homework.torch_answers") if task.stage == 2 else reference


def unchanged(case: Case, inputs: tuple) -> bool:
    """Tell whether the arrays that were handed over are as they were."""
    own = [x for args, options in case.all_calls for x in (*args, *options.values()) if type(x) is np.ndarray]
    return len(own) == len(inputs) and all(
        type(x) is np.ndarray and x.shape == y.shape and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
        for x, y in zip(own, inputs, strict=True)
    )


def clean(text: str, keep: str = "") -> str:
    """Return text without control characters, and no longer than a report needs."""
    return "".join(x if x.isprintable() or x in keep else " " for x in text[:2000]).strip()


def right(found: Answer, expected: Answer, tolerance: float = TOLERANCE) -> bool:
    """Tell whether an answer is the expected one, all names of it."""
    if found.values is None or expected.values is None:
        return False
    return found.values.keys() == expected.values.keys() and all(
        equal(found.values[name], x, tolerance) for name, x in expected.values.items()
    )


def equal(x, expected, tolerance: float) -> bool:
    """Tell whether a value is the expected one; what is no array has to be the same, of the same kind."""
    if not number_like(expected):
        return type(x) is type(expected) and x == expected
    if not number_like(x):
        return False
    x, expected = np.asarray(x), np.asarray(expected)
    if x.shape != expected.shape or kind_of(x) != kind_of(expected):
        return False
    if x.dtype.kind != "f":
        return bool((x == expected).all())
    with np.errstate(all="ignore"):
        both = np.isnan(x) & np.isnan(expected)  # NaN is right where it is expected, and nowhere else
        return agrees(np.where(both, 0, x), np.where(both, 0, expected), tolerance)


def number_like(x) -> bool:
    """Tell whether a value is an array or a number."""
    return type(x) in (bool, int, float) or isinstance(x, np.ndarray | np.generic)


def kind_of(x: np.ndarray) -> str:
    """Return a dtype's kind; all integers are of one."""
    return x.dtype.kind.replace("u", "i")


def close(children) -> None:
    """End children, whatever happens."""
    for child in children:
        with suppress(OSError):
            child.end()
