"""Show what `parity.check` found: an operation a line, two columns for each comparison."""

import dataclasses
import json
from collections.abc import Sequence

from step01_numpy.common.parity.comparison import Row

Comparison = tuple[str, str]  # stage, reference


def pivot(rows: Sequence[Row]) -> tuple[list[Comparison], dict[str, dict[Comparison, Row]]]:
    """Return the comparisons in order, and for each operation the row of each of them, where there is one."""
    comparisons = list(dict.fromkeys((row.stage, row.reference) for row in rows))
    operations: dict[str, dict[Comparison, Row]] = {row.operation: {} for row in rows}
    for row in rows:
        operations[row.operation][row.stage, row.reference] = row
    return comparisons, operations


def cells(row: Row | None) -> tuple[str, str]:
    """Return a row's two numbers, marked where they are out of tolerance; "-" where there is no row."""
    if row is None:
        return "-", "-"
    mark = "" if row.within_tolerance else " !"
    return f"{row.forward:.1e}{mark}", f"{row.gradient:.1e}{mark}"


def as_text(rows: Sequence[Row]) -> str:
    """Return the table for a terminal."""
    comparisons, operations = pivot(rows)
    indent = max(len(name) for name in ["operation", *operations]) + 2
    lines = [
        " " * indent + "".join(f"{stage:<23}" for stage, _ in comparisons),
        " " * indent + "".join(f"{'vs ' + reference:<23}" for _, reference in comparisons),
        "operation".ljust(indent) + f"{'forward':<11}{'gradient':<12}" * len(comparisons),
    ]
    for name, found in operations.items():
        pairs = (cells(found.get(comparison)) for comparison in comparisons)
        lines.append(name.ljust(indent) + "".join(f"{x:<11}{y:<12}" for x, y in pairs))
    return "\n".join([*(line.rstrip() for line in lines), verdict(rows)])


def verdict(rows: Sequence[Row]) -> str:
    """Say whether all agree, or which do not."""
    wrong = [f"{row.operation} ({row.stage})" for row in rows if not row.within_tolerance]
    if wrong:
        return f"{len(wrong)} of {len(rows)} are out of tolerance (!): {', '.join(wrong)}"
    return f"all {len(rows)} comparisons are within tolerance"


def as_json(rows: Sequence[Row]) -> str:
    """Return the rows as JSON; an infinite difference (NaN, a wrong shape) is null."""
    found = [dataclasses.asdict(row) for row in rows]
    return json.dumps([{name: None if x == float("inf") else x for name, x in row.items()} for row in found])
