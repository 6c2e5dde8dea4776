"""What breaks if a line is wrong: a mutant by its name, and numbers of the lesson without it and with it."""

import re
import textwrap
from typing import NamedTuple

import numpy as np

from step01_numpy.common.display.lesson import check

FENCE = re.compile(r"^```\{breaks\} (.+?)\n(.*?)^```$", re.M | re.S)


class Row(NamedTuple):
    """An expression, and its value as the lesson states it, right and wrong, as text."""

    expression: str
    right: str
    wrong: str


class Break(NamedTuple):
    """A mutant's name, and what is shown of it."""

    name: str
    rows: list[Row]


def parse(name: str, body: str) -> Break:
    """Read what stands in a `breaks` fence: a line `expression | right | wrong` for each number."""
    lines = [line for line in body.splitlines() if line.strip()]
    return Break(name.strip(), [Row(*(part.strip() for part in line.rsplit("|", 2))) for line in lines])


def breaks(text: str) -> list[Break]:
    """Return the breaks of a page."""
    return [parse(name, body) for name, body in FENCE.findall(text)]


def mutant(name: str):
    """
    Return the mutant of this name.

    Raises
    ------
    ValueError
        Where no table has it.
    """
    from tests.mutants.tables import MUTANTS

    found = [x for x in MUTANTS if x.name == name]
    if not found:
        raise ValueError(f"no mutant is called {name!r}")
    return found[0]


def confirm(mistake: Break, space: dict) -> None:
    """Compute each number without the mutant and with it; raise AssertionError where the lesson differs."""
    from tests.mutants.runner import applied

    for row in mistake.rows:
        _hold(row.expression, row.right, space)
    with applied(mutant(mistake.name)), np.errstate(all="ignore"):
        for row in mistake.rows:
            _hold(row.expression, row.wrong, space)


def changed_lines(mistake: Break) -> tuple[str, str, str]:
    """Return the mutant's file, and the lines that it changes, before and after."""
    import inspect
    import sys
    from importlib import import_module

    change = mutant(mistake.name)
    module, path = change.target.split(":")
    import_module(module)
    function = sys.modules[module]
    for part in path.split("."):
        function = getattr(function, part)
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    before = [line for line in source.splitlines() if change.old in line]
    after = [line.replace(change.old, change.new) for line in before]
    file = module.replace(".", "/") + ".py"
    return file, *(textwrap.dedent("\n".join(lines)) for lines in (before, after))


def _hold(expression, stated, space):
    places = max((len(x) for x in re.findall(r"\.(\d+)", stated)), default=0)
    try:
        check(eval(expression, space), eval(stated, {"nan": float("nan")}), places)
    except AssertionError as error:
        raise AssertionError(f"{expression}: {error}") from None
