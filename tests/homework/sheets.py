"""Tables of others: CSV whose cells are known by where they stand, so that all else stays byte for byte."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ACTIVE = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet runs where a cell begins with it
BOM = "\ufeff"


@dataclass(frozen=True)
class Cell:
    """What a cell says, and where in the text it stands."""

    value: str
    start: int
    end: int


@dataclass(frozen=True)
class Sheet:
    """A CSV file: its text, its delimiter, and its rows of cells."""

    text: str
    delimiter: str
    rows: list[list[Cell]]

    def column(self, title: str) -> int:
        """Return the number of the column of a title, or refuse a title that is missing or stands twice."""
        titles = [x.value.strip() for x in self.rows[0]]
        if titles.count(title.strip()) == 1:
            return titles.index(title.strip())
        found = "twice" if title.strip() in titles else "not among"
        raise ValueError(f"column {title!r} is {found} {', '.join(map(repr, titles))}; expected one of them")

    def value(self, row: int, column: int) -> str:
        """Return what a cell says, or nothing where the row is too short for it."""
        return self.rows[row][column].value.strip() if column < len(self.rows[row]) else ""

    def replaced(self, cells: Mapping[tuple[int, int], str]) -> str:
        """Return the text with other values in some cells, by row and column, and all else as it was."""
        parts, at = [], 0
        for (row, column), value in sorted(cells.items()):
            cell = self.rows[row][column]
            parts += [self.text[at : cell.start], quoted(value, self.delimiter)]
            at = cell.end
        return "".join([*parts, self.text[at:]])


def read(data: bytes, name: str) -> Sheet:
    """
    Read a CSV file with a row of titles; the delimiter is found out.

    Parameters
    ----------
    data : bytes
        UTF-8, with or without a byte order mark.
    name : str
        What errors call the file.

    Raises
    ------
    ValueError
        For other encodings, a file without rows, and a quote that is never closed.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8 (byte {error.start}); expected the file as it was exported"
        ) from None
    head = text.removeprefix(BOM).split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    rows = cells(text, delimiter, name)
    if not rows or len(rows[0]) < 2:
        raise ValueError(f"{name} has no row of titles; expected a table that Canvas or Moodle exported")
    return Sheet(text, delimiter, rows)


def cells(text: str, delimiter: str, name: str) -> list[list[Cell]]:
    """Return the rows of a text; an empty line is no row."""
    rows, row, at = [], [], len(BOM) if text.startswith(BOM) else 0
    while at < len(text):
        cell = _cell(text, at, delimiter, name)
        row.append(cell)
        at = cell.end
        if text[at : at + 1] == delimiter:
            at += 1
            if at < len(text):
                continue
            row.append(Cell("", at, at))
        at += 2 if text.startswith("\r\n", at) else 1
        rows += [row] if len(row) > 1 or row[0].value else []
        row = []
    return rows


def _cell(text: str, start: int, delimiter: str, name: str) -> Cell:
    """Return the cell that begins here."""
    if text[start] != '"':
        ends = [x for x in (text.find(y, start) for y in (delimiter, "\r", "\n")) if x >= 0]
        end = min(ends, default=len(text))
        return Cell(text[start:end], start, end)
    end = start + 1
    while True:
        end = text.find('"', end)
        if end < 0:
            raise ValueError(f"{name} has a quote that is never closed, at character {start}")
        if text[end + 1 : end + 2] != '"':
            break
        end += 2
    rest = (
        _cell(text, end + 1, delimiter, name) if _goes_on(text, end + 1, delimiter) else Cell("", 0, end + 1)
    )
    return Cell(text[start + 1 : end].replace('""', '"') + rest.value, start, rest.end)


def _goes_on(text: str, at: int, delimiter: str) -> bool:
    """Whether a cell has characters behind its closing quote, which readers take as they are."""
    return at < len(text) and text[at] not in (delimiter, "\r", "\n")


def harmless(value: str) -> str:
    """Return a text that no spreadsheet runs: one that begins like a formula gets an apostrophe in front."""
    return "'" + value if value.lstrip().startswith(ACTIVE) or value.startswith(ACTIVE) else value


def quoted(value: str, delimiter: str) -> str:
    """Return a value as a cell of a CSV file, in quotes where it needs them."""
    needs = any(x in value for x in (delimiter, '"', "\r", "\n"))
    return '"' + value.replace('"', '""') + '"' if needs else value


def written(titles: Sequence[str], rows: Sequence[Sequence]) -> bytes:
    """Return a CSV file of our own, in which no text can be run by a spreadsheet."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    for row in [titles, *rows]:
        writer.writerow([harmless(x) if isinstance(x, str) else x for x in row])
    return file.getvalue().encode("utf-8", "backslashreplace")
