"""Grade a folder of submissions: an outcome for each whatever the others do, and tables of them."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from step01_numpy.common.support.files import write_atomically
from step01_numpy.common.support.json_text import parse
from tests.homework import lms, sheets
from tests.homework.submissions import Submission, counting, digest, find
from tests.homework.workers import failed, outcomes
from tests.progress import Progress

JOBS, LIMIT = 2, 300.0  # processes, and seconds for a submission
NBGRADER = (  # the columns of nbgrader's export, which many a script of a course reads
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
)


def grade_all(
    folder: str | Path,
    grade: Callable,
    settings: Mapping,
    state: Path,
    *,
    jobs: int = JOBS,
    limit: float = LIMIT,
) -> dict:
    """
    Grade each submission of a folder that is not graded yet.

    Parameters
    ----------
    folder : str or Path
        As `submissions.find` takes it.
    grade : callable
        From a path to a `Result`; a function of a module, or `functools.partial` of one.
    settings : mapping
        What the grades depend on, as JSON has it: tasks, seed, version, feedback.
    state : Path
        A folder of what is graded already, for these settings and bytes; it is made, and added to.
    jobs : int
        Processes side by side.
    limit : float
        Seconds after which a submission is given up.

    Returns
    -------
    grades : dict
        `settings`, and `submissions`: of each the student, whether it counts, its outcome and its result.
    """
    found, known = find(folder), {}
    state.mkdir(parents=True, exist_ok=True)
    places = {one: place(one, settings, state) for one in found}
    for one, file in places.items():
        known[one] = failed(file) if isinstance(file, str) else remembered(file)
    todo, progress = [one for one in found if known[one] is None], Progress(len(found), "submissions")
    progress.show(len(found) - len(todo), f", {len(found) - len(todo)} known")
    for one, outcome in outcomes(todo, grade, jobs=jobs, limit=limit):
        known[one] = outcome
        if outcome["result"]:
            write_atomically(places[one], json.dumps(outcome["result"]).encode())
        progress.show(sum(x is not None for x in known.values()), f", {one.student}")
    progress.clear()
    newest = counting(found)
    rows = [row(one, one in newest, known[one]) for one in found]
    return {"settings": dict(settings), "submissions": rows}


def place(one: Submission, settings: Mapping, state: Path) -> Path | str:
    """Return where the result of a submission is kept, or what keeps its bytes from being read."""
    about = json.dumps(settings, sort_keys=True)
    try:
        return state / f"{hashlib.sha256((about + digest(one)).encode()).hexdigest()[:40]}.json"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def remembered(file: Path) -> dict | None:
    """Return the outcome that a file of the state holds, or None: what is no such file is graded again."""
    try:
        found = parse(file.read_bytes())
    except (OSError, ValueError):
        return None
    good = isinstance(found, dict) and {"score", "max_score", "tasks"} <= set(found)
    return {"outcome": "graded", "error": "", "result": found} if good else None


def row(one: Submission, counts: bool, outcome: dict) -> dict:
    """Return what is known of a submission."""
    return {
        "student": one.student,
        "keys": list(one.keys),
        "submission": one.name,
        "counts": counts,
        **outcome,
    }


def table(grades: dict, assignment: str) -> bytes:
    """Return the grades that count as CSV: nbgrader's columns, then the outcome, each task, what was said."""
    counted = [x for x in grades["submissions"] if x["counts"]]
    names = list(dict.fromkeys(x["name"] for y in counted if y["result"] for x in y["result"]["tasks"]))
    titles = [*NBGRADER, "submission", "outcome", *names, "says"]
    return sheets.written(titles, [cells(x, names, assignment) for x in counted])


def cells(found: dict, names: Sequence[str], assignment: str) -> list:
    """Return the cells of a row of the table; what got no grade has no points either."""
    result = found["result"] or {"score": "", "max_score": "", "tasks": []}
    tasks = {x["name"]: x for x in result["tasks"]}
    score = result["score"]
    student = ["", found["student"], "", "", found["student"] if "@" in found["student"] else ""]
    return [
        *[assignment, "", *student, score, 0, score, result["max_score"]],
        *[found["submission"], found["outcome"], *(tasks[x]["points"] if x in tasks else "" for x in names)],
        found["error"] or feedback(result),
    ]


def feedback(result: dict) -> str:
    """Return the sentences of a result as lines, each with its task."""
    lines = [f"{task['name']}: {says}" for task in result["tasks"] for says in task["says"]]
    return "\n".join([*lines, *result.get("notes", [])])


def filled(grades: dict, data: bytes, name: str, **columns: str | None) -> lms.Filled:
    """Return a table of Canvas or Moodle with the grades that count; what got no grade is not filled in."""
    counted = [x for x in grades["submissions"] if x["counts"] and x["result"]]
    known = [
        lms.Grade(tuple(x["keys"]), x["result"]["score"], x["result"]["max_score"], feedback(x["result"]))
        for x in counted
    ]
    return lms.fill(data, name, known, **columns)


def write(grades: dict, out: Path, assignment: str) -> None:
    """Write the grades, as the suffix says: .csv, a row for each student; .json, all that is known."""
    check_suffix(out)
    as_json = out.suffix == ".json"
    data = json.dumps(grades, indent=1).encode() if as_json else table(grades, assignment)
    write_atomically(out, data)


def check_suffix(out: Path) -> None:
    """Refuse a name that does not say which table it is."""
    if out.suffix not in (".csv", ".json"):
        raise ValueError(f"--out is {str(out)!r}; expected a name that ends in .csv or .json")
