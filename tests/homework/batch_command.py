"""The part of `grade` that grades a folder of submissions, and fills a table of Canvas or Moodle."""

from functools import partial
from pathlib import Path

from step01_numpy.common.support.files import check_writable, write_atomically
from tests.homework import batch
from tests.homework.grade import grade, project_version
from tests.homework.lms import Filled
from tests.homework.result import Result
from tests.homework.table import TASKS


def add_arguments(parser):
    """Take the folder, the tables that are written, and the table that is filled."""
    parser.add_argument(
        "--all", metavar="FOLDER", help="grade each folder or zip in it; NAME--2 is NAME's second"
    )
    parser.add_argument(
        "--out", action="append", metavar="FILE", help="of --all: .csv or .json; may stand twice"
    )
    parser.add_argument(
        "--fill", metavar="FILE.csv", help="a table of Canvas or Moodle; FILE.filled.csv is written"
    )
    parser.add_argument(
        "--column", metavar="TITLE", help='of --fill: what gets the points, "Homework 1 (1234)"'
    )
    parser.add_argument(
        "--by", metavar="TITLE", help='of --fill: who a row is, "SIS Login ID", "Email address"'
    )
    parser.add_argument(
        "--feedback-column", metavar="TITLE", help="of --fill: what gets the sentences, if any"
    )


def run(arguments, tasks):
    """Grade all submissions of a folder, write or fill the tables, and say what became of each."""
    outs = [Path(x) for x in arguments.out or ()]
    check(arguments, outs)
    settings = {
        "tasks": [x.name for x in tasks],
        "seed": arguments.seed,
        "version": project_version(),
        "feedback": arguments.feedback,
    }
    one = partial(grade_by_name, names=settings["tasks"], seed=arguments.seed, feedback=arguments.feedback)
    first = outs[0] if outs else Path(arguments.fill)
    grades = batch.grade_all(arguments.all, one, settings, first.with_suffix(".graded"))
    for out in outs:
        batch.write(grades, out, Path(arguments.all).resolve().name)
    filled = fill(arguments, grades) if arguments.fill else None
    print(*in_words(grades, outs, filled), sep="\n")
    return 0


def check(arguments, outs: list[Path]) -> None:
    """Refuse, before anything is graded, what could not be written or filled."""
    if not outs and not arguments.fill:
        raise ValueError("--all has no --out and no --fill; expected where the grades go")
    if arguments.fill and not (arguments.column and arguments.by):
        raise ValueError("--fill has no --column or no --by; expected the titles of two of its columns")
    for out in outs:
        batch.check_suffix(out)
        check_writable(out)
    if arguments.fill:
        fill(arguments, {"submissions": []}, write=False)


def grade_by_name(path, *, names: list[str], seed: int, feedback: str) -> Result:
    """Grade a submission; the tasks are given by name, since another process has a table of its own."""
    return grade(path, [TASKS[x] for x in names], seed=seed, feedback=feedback)


def fill(arguments, grades: dict, *, write: bool = True) -> Filled:
    """Fill an exported table, and write it beside the one that was exported."""
    path = Path(arguments.fill)
    columns = {"column": arguments.column, "by": arguments.by, "feedback": arguments.feedback_column}
    found = batch.filled(grades, path.read_bytes(), str(path), **columns)
    if write:
        write_atomically(path.with_suffix(".filled.csv"), found.data)
    return found


def in_words(grades: dict, outs: list[Path], filled: Filled | None):
    """Yield lines about a batch: how many were graded, what was not, which files were written."""
    found = grades["submissions"]
    graded = sum(x["result"] is not None for x in found)
    yield f"{graded} of {len(found)} submissions graded, of {len({tuple(x['keys']) for x in found})} students"
    yield from (f"{x['submission']}: not graded: {x['error']}" for x in found if x["result"] is None)
    yield from (f"{out} is written" for out in outs)
    if filled:
        yield f"{filled.rows} rows filled in"
        yield from filled.remarks
