"""Show what a comparison found: an operation a line, two columns for each comparison, then what is wrong."""

import dataclasses
import json
import textwrap
from collections.abc import Iterable, Sequence
from math import isfinite

from step01_numpy.common.parity.verdict import DIFFERS, EQUAL, MISSING, NOT_OFFERED, RAISED, Row, Verdict

Comparison = tuple[str, str]  # stage, reference
WIDTH = 100


class Rows(list[Row]):
    """The rows of a comparison, which show themselves as a table."""

    @property
    def passed(self) -> bool:
        """Whether something was compared, and nothing is wrong."""
        return n_compared(self) > 0 and all(row.passed for row in self)

    def __repr__(self):
        return as_text(self)

    __str__ = __repr__


def n_compared(rows: Sequence[Row]) -> int:
    """Return how many rows have a number that is equal."""
    return sum(EQUAL in (row.forward.status, row.gradient.status) for row in rows)


def pivot(rows: Sequence[Row]) -> tuple[list[Comparison], dict[str, dict[Comparison, Row]]]:
    """Return the comparisons in order, and for each operation the row of each of them, where there is one."""
    comparisons = list(dict.fromkeys((row.stage, row.reference) for row in rows))
    operations: dict[str, dict[Comparison, Row]] = {row.operation: {} for row in rows}
    for row in rows:
        operations[row.operation][row.stage, row.reference] = row
    return comparisons, operations


def cells(row: Row | None) -> tuple[str, str]:
    """Return what to show of a row's two verdicts; "-" where there is no row."""
    return ("-", "-") if row is None else (cell(row.forward), cell(row.gradient))


def cell(verdict: Verdict) -> str:
    """Return the largest difference, or why there is none, marked where something is wrong."""
    number = None if verdict.difference is None else f"{verdict.difference:.1e}"
    return (number or verdict.status) + ("" if verdict.passed else " !")


def as_text(rows: Sequence[Row]) -> str:
    """Return the table for a terminal."""
    comparisons, operations = pivot(rows)
    indent = max(len(name) for name in ["operation", *operations]) + 2
    lines = [
        " " * indent + "".join(f"{stage:<24}" for stage, _ in comparisons),
        " " * indent + "".join(f"{'vs ' + reference:<24}" for _, reference in comparisons),
        "operation".ljust(indent) + f"{'forward':<12}{'gradient':<12}" * len(comparisons),
    ]
    for name, found in operations.items():
        pairs = (cells(found.get(comparison)) for comparison in comparisons)
        lines.append(name.ljust(indent) + "".join(f"{x:<12}{y:<12}" for x, y in pairs))
    return "\n".join([*(line.rstrip() for line in lines), *details(rows), verdict(rows)])


def details(rows: Sequence[Row]) -> list[str]:
    """Return what is wrong, each in a line of its own, then what is missing and what is not offered."""
    verdicts = [(row, part, getattr(row, part)) for row in rows for part in ("forward", "gradient")]
    lines = [
        f"{row.operation} ({row.stage}), {part}: {found.text}"
        for row, part, found in verdicts
        if found.status in (DIFFERS, RAISED)
    ]
    for status in (MISSING, NOT_OFFERED):
        texts = dict.fromkeys(found.text for _, _, found in verdicts if found.status == status)
        lines += [f"{status}: {joined(texts)}"] if texts else []
    return [textwrap.fill(line, WIDTH, subsequent_indent="    ") for line in lines]


def joined(texts: Iterable[str]) -> str:
    """Join what begins alike: "x has no y" and "x has no z" to "x has no y, z"."""
    ends: dict[str, dict[str, None]] = {}
    for text in texts:
        start, no, end = text.rpartition(" no ")
        ends.setdefault(start + no, {}).update(dict.fromkeys(end.split(", ") if no else [end]))
    return "; ".join(start + (", " if start else "; ").join(found) for start, found in ends.items())


def verdict(rows: Sequence[Row]) -> str:
    """Say whether all agree, or what does not."""
    wrong = [row for row in rows if not row.passed]
    if wrong:
        told = [f"{row.operation} ({row.stage})" for row in wrong if _worst(row) != MISSING]
        told += [f"{len(wrong) - len(told)} missing"] if len(told) < len(wrong) else []
        return f"{len(wrong)} of {len(rows)} are out of tolerance, raised or missing (!): {', '.join(told)}"
    compared = n_compared(rows)
    if not compared:
        return "nothing was compared"
    rest = f", {len(rows) - compared} are not offered" if compared < len(rows) else ""
    return f"all {compared} comparisons are within tolerance{rest}"


def _worst(row):
    return next(x.status for x in (row.forward, row.gradient) if not x.passed)


def as_json(rows: Sequence[Row]) -> str:
    """Return all that the rows hold as JSON, which has no infinity and no NaN: those are strings."""
    return json.dumps([_plain({**dataclasses.asdict(row), "passed": row.passed}) for row in rows])


def _plain(x):
    if isinstance(x, dict):
        return {name: _plain(item) for name, item in x.items()}
    return str(x) if isinstance(x, float) and not isfinite(x) else x
