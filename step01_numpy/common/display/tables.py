"""HTML tables: of any rows, and of a comparison."""

from collections.abc import Sequence
from html import escape

from step01_numpy.common.parity.table import cells, pivot
from step01_numpy.common.parity.verdict import Row


def parity_table(rows: Sequence[Row]) -> str:
    """Return the parity table."""
    comparisons, operations = pivot(rows)
    head = [
        f"{stage} / {reference}: {x}" for stage, reference in comparisons for x in ("forward", "gradient")
    ]
    body = [
        (name, *(x for comparison in comparisons for x in cells(found.get(comparison))))
        for name, found in operations.items()
    ]
    return html_table(("Operation", *head), body)


def html_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table with a row header in its first column; all text is escaped."""
    columns = "".join(f'<th scope="col">{escape(x)}</th>' for x in head)
    lines = []
    for first, *rest in body:
        cells = "".join(f"<td>{escape(x)}</td>" for x in rest)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    table = f"<thead><tr>{columns}</tr></thead>\n<tbody>\n{chr(10).join(lines)}\n</tbody>"
    return f'<div class="wide" tabindex="0"><table class="plain">{table}</table></div>'
