"""Grades into a table that Canvas or Moodle exported: never a row more, and nothing else changed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.homework import sheets

EXCUSED = "EX"  # Canvas's word for a student who need not hand in
POSSIBLE = "Points Possible"  # its row that is no student


@dataclass(frozen=True)
class Grade:
    """What goes into a student's row; `keys` are the names under which the student may stand in the table."""

    keys: tuple[str, ...]
    score: float
    max_score: float
    feedback: str = ""


@dataclass(frozen=True)
class Filled:
    """A filled table, how many rows were filled, and what the instructor must look at."""

    data: bytes
    rows: int
    remarks: list[str]


def fill(
    data: bytes, name: str, grades: Sequence[Grade], *, column: str, by: str, feedback: str | None = None
) -> Filled:
    """
    Fill a column of an exported table.

    Parameters
    ----------
    data : bytes
        The table as it was exported.
    name : str
        What errors call it.
    grades : sequence of Grade
    column : str
        The title of the column that gets the scores.
    by : str
        The title of the column that says who a row is: "SIS Login ID", "ID", "Email address", "Identifier".
    feedback : str, optional
        The title of the column that gets the sentences. Moodle wants grades and feedback in one import.

    Raises
    ------
    ValueError
        For what is no such table, and for a column that is not there, or twice.
    """
    sheet = sheets.read(data, name)
    targets, who = [sheet.column(x) for x in (column, feedback) if x], sheet.column(by)
    matched, remarks = match(grades, students(sheet, who))
    cells = {}
    for row, grade in matched.items():
        if why := untouched(sheet, row, targets):
            remarks.append(f"{sheet.value(row, who)} is left as it was: {why}")
            continue
        texts = [number(grade.score), sheets.harmless(grade.feedback)]
        cells |= {(row, target): text for target, text in zip(targets, texts, strict=False)}
    remarks += rows_without(sheet, who, matched) + maximum(sheet, targets[0], grades)
    return Filled(sheet.replaced(cells).encode("utf-8"), len(cells) // len(targets), remarks)


def students(sheet: sheets.Sheet, who: int) -> dict[str, list[int]]:
    """Return the rows of students by their key; more than one row where the table says a name twice."""
    found: dict[str, list[int]] = {}
    for row in range(1, len(sheet.rows)):
        if sheet.value(row, who) and POSSIBLE not in sheet.value(row, 0):
            found.setdefault(key(sheet.value(row, who)), []).append(row)
    return found


def match(grades: Sequence[Grade], rows: dict[str, list[int]]) -> tuple[dict[int, Grade], list[str]]:
    """Return the grade of each row, and what found no row, or more than one, or a row that another has."""
    matched, remarks = {}, []
    for grade in grades:
        found = next((rows[x] for x in map(key, grade.keys) if x in rows), [])
        if len(found) == 1 and found[0] not in matched:
            matched[found[0]] = grade
        else:
            why = {0: "no row", 1: "a row that another submission has"}.get(len(found), f"{len(found)} rows")
            remarks.append(f"the submission of {grade.keys[0]} has {why} in the table: not filled in")
    return matched, remarks


def key(value: str) -> str:
    """Return by what a student is found: the text in lower case; of Moodle's "Participant 123" the number."""
    numbered = re.fullmatch(r"\D+ (\d+)", value.strip())
    return numbered[1] if numbered else value.strip().casefold()


def number(score: float) -> str:
    """Return a score as a cell has it: an integer, or two decimals."""
    return str(int(score)) if score == int(score) else f"{score:.2f}"


def untouched(sheet: sheets.Sheet, row: int, targets: Sequence[int]) -> str:
    """Return why a row is not filled, or nothing."""
    if len(sheet.rows[row]) <= max(targets):
        return "its row is too short"
    return "the table says excused" if sheet.value(row, targets[0]) == EXCUSED else ""


def rows_without(sheet: sheets.Sheet, who: int, matched: dict[int, Grade]) -> list[str]:
    """Return a line that lists the students of the table who have no submission, if there are such."""
    rows = sorted(x for found in students(sheet, who).values() for x in found if x not in matched)
    names = ", ".join(sheet.value(row, who) for row in rows)
    return [f"{len(rows)} rows without a submission, left as they were: {names}"] if rows else []


def maximum(sheet: sheets.Sheet, column: int, grades: Sequence[Grade]) -> list[str]:
    """Return a line where the table's points possible are not those of the homework."""
    said = [sheet.value(x, column) for x in range(1, len(sheet.rows)) if POSSIBLE in sheet.value(x, 0)]
    ours = {x.max_score for x in grades}
    if not said or not re.fullmatch(r"\d+([.,]\d+)?", said[0]) or len(ours) != 1:
        return []
    theirs, (mine,) = float(said[0].replace(",", ".")), ours
    return (
        [f"the table has {said[0]} points possible, this homework {number(mine)}"] if theirs != mine else []
    )
