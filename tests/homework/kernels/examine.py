"""Compile a student's kernels apart, launch them case by case, and keep what the emulator says of them."""

import re
import time
from contextlib import suppress

from step03_gpu.emulator import EmulatorError, compare_orders, warp_order
from tests.homework.judge import CASE, REASONS, SLOW, TASK, Account, clean, right
from tests.homework.kernels import launches
from tests.homework.kernels.answers import KernelAnswers
from tests.homework.kernels.building import Unfit, compiled
from tests.homework.kernels.handed_in import HandedIn, first_error
from tests.homework.kernels.program import Program, Remote, alarm
from tests.homework.kernels.reports import last_words
from tests.homework.kernels.task import KernelTask
from tests.homework.reference import Answer
from tests.homework.sandbox import Ended
from tests.homework.submission import Submission, Unreadable

NOT_WRITTEN = Answer(None, "NotImplementedError")
STARTS = 12  # of a program, within a task
UNWRITTEN = "had written reached"
TOO_HEAVY = "takes too much memory"


def examine(
    task: KernelTask, known: KernelAnswers, submission: Submission, patience: float, level
) -> Account:
    """
    Ask a submission for the cases of a task.

    Parameters
    ----------
    task : KernelTask
    known : KernelAnswers
    submission : Submission
    patience : float
        The deadline of a launch, s.
    level : iterable of str
        What is tried to keep the submission's code apart.

    Returns
    -------
    account : Account
    """
    try:
        handed_in = HandedIn(task, submission)
        examination = Examination(task, known, handed_in, patience, level)
        return examination.run()
    except Unreadable as error:
        return Account(unfit=clean(str(error)))
    except Unfit as error:
        return Account(unfit=clean(first_error(str(error), handed_in.regions)))


class Examination:
    """A task's cases, put to a program; see `examine`."""

    def __init__(self, task, known, handed_in, patience, level):
        self.task, self.known, self.handed_in = task, known, handed_in
        self.patience, self.level = patience, level
        self.account = Account(notes=handed_in.notes)
        self.program: Program | None = None
        self.path, self.deadline, self.starts, self.asked = None, patience, 0, 0.0
        self._words: dict[str, str] = {}

    def run(self) -> Account:
        """Ask for every case, with a new program where one has ended."""
        for name, question in self.known.questions.items():
            if not self.handed_in.written(self.task.target_of(question.case)):
                self.account.answers[name] = NOT_WRITTEN
            elif self.start():
                self.account.answers[name] = self.ask(name, question.case)
        self.end()
        return self.account

    def start(self) -> bool:
        """Start the program if none runs; tell whether one does."""
        if self.program is not None:
            return True
        if self.starts >= STARTS or self.account.lost >= TASK:
            return False
        self.path = self.path or compiled(self.handed_in.text(), self.task.names, self.level)
        self.program, self.starts = Program(self.path, self.level), self.starts + 1
        self.account.holds = self.program.ready()
        self.deadline = max(2 * self.patience, SLOW * self.program.started * (self.patience == CASE))
        return True

    def ask(self, name, case) -> Answer:
        """Put one case; whatever becomes of the program is an answer."""
        self.asked = time.monotonic()
        launch, orders = launches.of(case.args, case.options)
        kernel = Remote(launch.kernel, self.task.names.index(launch.kernel), self.program, self.deadline)
        try:
            found = Answer(launches.answer(kernel, launch, orders, warp_order))
        except EmulatorError as error:
            return self.said(str(error))
        except Ended as end:
            return self.ended(end)
        if orders and not right(found, self.known.expected[name]):
            return self.compared(kernel, launch, found)
        return found

    def compared(self, kernel, launch, found) -> Answer:
        """Return an answer with what the emulator says of its orders: that threads race, or nothing."""
        try:
            args = launches.copies(launch)
            compare_orders(kernel, launch.grid, launch.block, args, shared_mem=launch.shared)
        except EmulatorError as error:
            return self.said(str(error), found.values)
        except Ended as end:
            return self.ended(end)
        return found

    def said(self, text, values=None) -> Answer:
        """Return an answer with the emulator's words; of those that differ in numbers alone, the first."""
        if UNWRITTEN in text:
            text += "; is all of it written, and is there a barrier between writing and reading?"
        known = re.sub(r"-?\d[\d.e+-]*", "#", text)
        return Answer(values, "Emulator", self._words.setdefault(known, clean(text)))

    def ended(self, end: Ended) -> Answer:
        """Return what became of the program: the emulator's words, or how it ended."""
        heavy, words = self.program.heavy, self.end()
        found = last_words(words, self.path, alarm(self.deadline), self.handed_in.regions)
        if end.reason == "deadline" or "still runs" in found:
            self.account.lost += time.monotonic() - self.asked
        if heavy:
            return Answer(None, "Ended", TOO_HEAVY)
        return self.said(found) if found else Answer(None, "Ended", REASONS[end.reason])

    def end(self) -> str:
        """End the program, if there is one; return all that it printed."""
        words = ""
        if self.program is not None:
            with suppress(OSError):
                words = self.program.end()
            self.account.printed += clean(printed(words)[-2000:], keep="\n")
            self.program = None
        return words


def printed(words: str) -> str:
    """Return what a kernel printed, without the reports of its end."""
    return re.split(r"^(?:=+\n(?:==\d+==|THREAD )|THREAD )", words, maxsplit=1, flags=re.MULTILINE)[0]
