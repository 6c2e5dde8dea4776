"""
A plugin of pytest: `pytest --stage PACKAGE` makes a test of each result, and each gradient, of `check`.

Installed with this package, as "attention_parity". In its own repository that name is switched off: there
tests/conftest.py has the option, and selects from the whole suite.
"""

from collections.abc import Iterable

import pytest

from step01_numpy.common.parity.cases import CASES, Case, select
from step01_numpy.common.parity.comparison import compare
from step01_numpy.common.parity.package import find_package
from step01_numpy.common.parity.stage import Stage
from step01_numpy.common.parity.verdict import MISSING, NOT_OFFERED, Row

REFERENCE = "step01_numpy"
TESTS = pytest.StashKey[list]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("parity", "attention, step by step")
    group.addoption(
        "--stage",
        action="append",
        metavar="PACKAGE",
        help="compare this package's attention and what is around it with step01_numpy's",
    )
    group.addoption(
        "--only",
        action="append",
        metavar="NAME",
        help="with --stage: this operation alone, or family of them (attention, flash, softmax …)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find the packages, and leave the other tests alone unless they were asked for."""
    names = config.getoption("stage") or []
    config.stash[TESTS] = list(find_tests(names, config.getoption("only")))
    if names and config.args_source is not config.ArgsSource.ARGS:
        config.args[:] = []


def find_tests(names: Iterable[str], only: Iterable[str] | None = None) -> Iterable[tuple[Stage, Case]]:
    """
    Yield the cases of each package.

    Raises
    ------
    pytest.UsageError
        For a package that cannot be imported, or that has no name that was looked for, and for an unknown
        name in `only`.
    """
    for name in names:
        try:
            stage, cases = Stage(find_package(name)), select(only, CASES)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from error
        if not any(stage.has(case.name) for case in cases):
            wanted = ", ".join(dict.fromkeys(case.name for case in cases))
            raise pytest.UsageError(f"{name} has none of the names that were looked for: {wanted}")
        yield from ((stage, case) for case in cases)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list) -> None:
    """Make the tests."""
    for stage, case in config.stash[TESTS]:
        question = Question(stage, case)
        for part in ("forward", "gradient"):
            name = f"{case.operation}: {part}"
            identity = {"name": name, "nodeid": f"{stage.name}::{name}"}
            items.append(Judgement.from_parent(session, question=question, part=part, **identity))


class Question:
    """A row that is found out once, when its first test asks for it."""

    def __init__(self, stage: Stage, case: Case):
        self.stage, self.case, self._row = stage, case, None

    def row(self) -> Row:
        """Compare, or return what was found."""
        if self._row is None:
            self._row = compare(self.case, self.stage, Stage(REFERENCE))
        return self._row


class Wrong(Exception):
    """What an operation gives is not what was expected."""


class Judgement(pytest.Item):
    """The test of an operation's results, or of its gradients: `part` says which."""

    def __init__(self, *, question: Question, part: str, **options):
        super().__init__(**options)
        self.question, self.part = question, part

    def runtest(self) -> None:
        """Fail where the verdict is not equal; skip what the package does not offer, by its name."""
        found = getattr(self.question.row(), self.part)
        if found.status in (MISSING, NOT_OFFERED):
            pytest.skip(found.text)
        if not found.passed:
            raise Wrong(found.text)

    def repr_failure(self, excinfo, style=None):
        """Return the verdict's line: there is no code of a test to show."""
        return str(excinfo.value) if excinfo.errisinstance(Wrong) else super().repr_failure(excinfo, style)

    def reportinfo(self):
        """Return what stands over a failure."""
        return self.path, None, f"{self.question.stage}: {self.name}"
