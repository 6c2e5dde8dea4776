"""Grade one submission: a folder, a zip or single files; points a task, and a sentence a mistake."""

import time
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.homework import again, sandbox, torch_sandbox
from tests.homework.blank import starter
from tests.homework.explain import explain, with_cases
from tests.homework.judge import CASE, Account, Examination, right
from tests.homework.kernels.answers import KernelAnswers
from tests.homework.kernels.examine import examine as examine_kernels
from tests.homework.result import Result, TaskResult
from tests.homework.submission import Submission, Unreadable, read
from tests.homework.table import TASKS
from tests.homework.task import Task
from tests.homework.variants import Answers

FEEDBACK = ("names", "cases", "points")
LOST, HURRIED = 40.0, 1.0  # s: after so long lost to deadlines a submission's cases have this one


def grade(
    path: str | Path, tasks: Iterable[Task], *, seed: int, feedback: str = "names", level=sandbox.LEVEL
) -> Result:
    """
    Grade a submission.

    Parameters
    ----------
    path : str or Path
        A folder, a zip, or a single file.
    tasks : iterable of Task
    seed : int
        Of the cases; the same seed gives the same result.
    feedback : str
        "names" says each mistake, "cases" which cases are wrong, "points" neither.
    level : iterable of str
        What is tried to keep the submission's code apart; the result says what came of it.

    Returns
    -------
    result : Result

    Raises
    ------
    ValueError
        Where there is no submission at that path, or a caller's argument is wrong.
    """
    if feedback not in FEEDBACK:
        raise ValueError(f"feedback is {feedback!r}; expected one of {', '.join(FEEDBACK)}")
    submission, tasks = read(path), list(tasks)
    notes = [*submission.notes, *nothing_asked_for(submission, tasks)]
    grader = Grader(submission, seed, feedback, level)
    try:
        results = [grader.task(task, last=task is tasks[-1]) for task in tasks]
        return Result(results, seed, project_version(), sandbox.in_words(grader.holds()), notes)
    finally:
        grader.end()


def nothing_asked_for(submission: Submission, tasks) -> list[str]:
    """Say so where a submission has files, and none of those that the tasks ask for."""
    names = list(dict.fromkeys(name for task in tasks for name in task.files))
    here = {path.split("/")[-1] for path in submission.files}
    if not submission.files or here & set(names):
        return []
    return [f"None of the files that the tasks ask for is here: {', '.join(names[:8])}."]


@cache
def answers(task: Task, seed: int) -> Answers:
    """Return what the reference and its variants answer to a task's cases."""
    return KernelAnswers(task, seed) if task.stage == 3 else Answers(task, seed)


@cache
def texts(stage: int) -> dict[str, str]:
    """Return the starter of a stage, every task of the table blanked, by the modules' names."""
    found = starter([task for task in TASKS.values() if task.stage == stage])
    return {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): x for path, x in found.items()
    }


def project_version() -> str:
    """Return the project's version."""
    try:
        return version("attention-step-by-step")
    except PackageNotFoundError:
        return "unknown"


class Grader:
    """
    Puts the tasks to a submission, one child a task; the next one starts while a task is judged.

    Parameters
    ----------
    submission : Submission
    seed : int
    feedback : str
    level : iterable of str
        What is tried to keep it apart.
    """

    def __init__(self, submission: Submission, seed: int, feedback: str, level=sandbox.LEVEL):
        self.submission, self.seed, self.feedback, self.level = submission, seed, feedback, level
        self.lost, self.last, self.held = 0.0, False, []
        self.spare: sandbox.Child | None = None
        self.forks: torch_sandbox.Children | None = None

    def children(self, task: Task):
        """Return what makes children for a task; the first is started now."""
        if task.stage == 2:
            self.forks = self.forks or torch_sandbox.Children(self.level)
            return self.forks
        self.spare = self.spare or sandbox.Child(self.level)
        return self.child

    def child(self) -> sandbox.Child:
        """Return the child that waits, and start the next, where another task follows."""
        child = self.spare or sandbox.Child(self.level)
        self.spare = None if self.last else sandbox.Child(self.level)
        return child

    def holds(self) -> list[str]:
        """Return what keeps children apart."""
        if not self.held and not self.spare:
            self.spare = sandbox.Child(self.level)
        here = self.spare.ready() if self.spare else self.held
        return [x for x in here if x in (self.held or here)]

    def end(self) -> None:
        """End what waits."""
        for waiting in (self.spare, self.forks):
            if waiting:
                waiting.end()

    def task(self, task: Task, last: bool = False) -> TaskResult:
        """Return what comes of a task, whatever the submission does."""
        start, self.last = time.monotonic(), last
        if task.stage != 3:
            self.children(task)
        known = answers(task, self.seed)
        try:
            account = self.examine(task, known)
        except Unreadable as error:
            account = Account(unfit=str(error))
        self.lost += account.lost
        self.held = [x for x in account.holds if x in (self.held or account.holds)] or self.held
        cases = {x: x in account.answers and right(account.answers[x], y) for x, y in known.expected.items()}
        return TaskResult(
            task.name,
            task.points * sum(cases.values()),
            task.points * len(cases),
            cases,
            self.says(account, known, cases),
            [*account.notes, *in_place(account)],
            time.monotonic() - start,
            account.printed,
        )

    def examine(self, task: Task, known: Answers) -> Account:
        """Ask a child for the cases of a task."""
        patience = CASE if self.lost < LOST else HURRIED
        if task.stage == 3:
            return examine_kernels(task, known, self.submission, patience, self.level)
        given, student, missing = dict(texts(task.stage)), {}, []
        for module in task.modules:
            try:
                path = self.submission.find(task.package, module)
                student[module] = self.submission.text(path)
            except Unreadable as error:
                missing.append(error)
                student[module] = not_written(task, module)
            else:
                given |= self.submission.own_modules(path, task.package, given)
        if len(missing) == len(task.modules):
            raise missing[0]
        others = [x for x in TASKS.values() if x.stage == task.stage and x is not task]
        served = [x for other in others for x in other.targets]
        message = {
            "package": task.package,
            "texts": given,
            "student": student,
            "targets": list(task.targets),
            "also": list(task.also),
            "others": served,
            **({"forbids": list(task.forbids)} if task.forbids else {}),
        }
        allowed = {x for name in task.uses for x in TASKS[name].targets} | set(filter(known.needs, served))
        examination = Examination(task, message, allowed, self.children(task), patience)
        try:
            account = examination.run(list(known.questions.values()))
        finally:
            examination.end()
        account.missing = [str(error) for error in missing]
        return account

    def says(self, account: Account, known: Answers, cases: dict[str, bool]) -> list[str]:
        """Return the sentences that a course wants its students to read."""
        wrong = [name for name, fine in cases.items() if not fine]
        unread = [account.unfit] if account.unfit else account.missing
        if account.unfit or not wrong or self.feedback == "points":
            return unread
        if self.feedback == "cases":
            return [*unread, f"Wrong: {', '.join(wrong)}."]
        missing = [x for x in wrong if x not in account.answers]
        left = [with_cases("Not asked for any more.", missing, account)] * bool(missing)
        told = explain(account, known)
        return unread + told + again.sentences(known, account, told, self.examine) + left


def not_written(task: Task, module: str) -> str:
    """Return what stands for a file that cannot be read, where others of the task can."""
    names = [target.rpartition(":")[2] for target in task.targets if target.startswith(f"{module}:")]
    return "".join(f"def {name}(*_, **__):\n    raise NotImplementedError\n" for name in names)


def in_place(account: Account) -> list[str]:
    """Return a remark where inputs were changed."""
    if not account.changed:
        return []
    return [
        "Your function changes its arguments in place; a caller may still need them."
        f" [{', '.join(account.changed)}]"
    ]
