"""What a student handed in of a task over kernels: the regions, put into the files that were handed out."""

import re
from collections.abc import Iterable

from tests.homework.kernels.answers import read
from tests.homework.kernels.lexer import refusal
from tests.homework.kernels.regions import COMMENT, Region, blank, expand, names, regions, splice, unwritten
from tests.homework.kernels.task import KernelTask
from tests.homework.submission import Submission, Unreadable

NO_END = "Write between the marks and leave the marks as they are."


class HandedIn:
    """
    A student's regions of a task.

    Parameters
    ----------
    task : KernelTask
    submission : Submission

    Raises
    ------
    Unreadable
        Where a file is missing, or a region cannot be used; in one sentence.
    """

    def __init__(self, task: KernelTask, submission: Submission):
        self.task, self.notes = task, []
        self.regions = {
            file: self._regions(file, some, submission) for file, some in names(task.targets).items()
        }

    def _regions(self, file, some, submission) -> dict[str, Region]:
        """Return the regions of a file."""
        text = submission.text(submission.find(self.task.package, f"kernels/{file}"))
        text = re.sub(r"\r\n?|[\f\v]", "\n", text)
        try:
            there = regions(text)
        except ValueError as error:
            raise Unreadable(f"{file} {error}. {NO_END}") from None
        for name in some:
            if name not in there:
                raise Unreadable(f"{file} has no `// begin task: {name}`. {NO_END}")
            if refused := refusal(there[name].text):
                line, why = refused
                raise Unreadable(f"{file}, line {there[name].line + line}: {why}.")
        if changed(file, text):
            self.notes.append(f"What you changed of {file} outside of the marks was not used.")
        return {name: there[name] for name in some}

    def written(self, target: str) -> bool:
        """Tell whether something is written where a target should be."""
        ((file, (name,)),) = names([target]).items()
        return not unwritten(self.regions[file][name].text, self.task.stub)

    def text(self) -> str:
        """Return what is compiled."""
        own = {file: splice(read(file), file, some) for file, some in self.regions.items()}
        return expand(self.task.unit, lambda file: own.get(file) or read(file))


def changed(file: str, text: str) -> bool:
    """Tell whether a file differs from what was handed out, outside of the marks, in more than comments."""
    return _around(text) not in ("", _around(read(file)))


def _around(text):
    return re.sub(r"\s", "", COMMENT.sub("", blank(text, dict.fromkeys(regions(text), ""))))


def first_error(words: str, files: Iterable[str]) -> str:
    """Return the compiler's first error, with its line in a student's file where it has one."""
    found = re.findall(r"^([\w.]+):(\d+):\d+: (?:fatal )?error: (.*)$", words, re.MULTILINE)
    for file, line, text in [x for x in found if x[0] in set(files)] or found:
        return f"Your code does not compile: {file}, line {line}: {text}."
    return f"Your code does not compile: {(words.strip().splitlines() or ['no words'])[0]}."
