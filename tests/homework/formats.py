"""A graded submission as each reader wants it: as text, as JSON, and as three platforms read it."""

import json
import re
import textwrap
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from tests.homework.result import Result, TaskResult

SENTENCE, PRINTED = (
    500,
    2000,
)  # characters that are shown of one sentence, and of what a student's code printed
SENTENCES = 5  # of one task, and as many notes: a file for a platform is limited (PrairieLearn: 1 MB)
WIDTH = 96  # characters of a line, without what it is indented by
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control characters, marks that turn a line round, lone surrogates
SYNTAX = re.compile(r"[\w.]+ is not Python")  # how the grader's sentence begins where a file is none
IDENTITY = {  # classroom50's fields, and the variables of its runner that hold them
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "owner": "OWNER",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
    "review": "REVIEW_URL",
}


def clean(text: str, limit: int = SENTENCE) -> str:
    """Return a text as it can be shown anywhere: cut, and without what a terminal or a page would obey."""
    kept = "".join(x for x in text[: 2 * limit] if x == "\n" or unicodedata.category(x) not in HIDDEN)
    return kept if len(kept) <= limit else kept[: limit - 2] + " …"


def cleaned(result: Result) -> Result:
    """Return a result whose texts can be shown anywhere, with as many sentences as a page has room for."""

    def lines(texts):
        return [clean(x) for x in texts[:SENTENCES]]

    tasks = [
        replace(
            task,
            name=clean(task.name),
            says=lines(task.says),
            notes=lines(task.notes),
            printed=clean(task.printed[-PRINTED:], PRINTED).strip(),
        )
        for task in result.tasks
    ]
    return replace(result, tasks=tasks, isolation=clean(result.isolation), notes=lines(result.notes))


def message(task: TaskResult) -> str:
    """Return what a student is told of a task as one text."""
    right = "Right." if task.points == task.max_points else "Not right."
    return "\n".join([*task.says, *task.notes]) or right


def shown(task: TaskResult) -> str:
    """Return the message, and below it what the student's code printed."""
    return message(task) + (f"\n\nYour code printed:\n{task.printed}" if task.printed else "")


def remarks(result: Result) -> str:
    """Return what is said of a submission as a whole; never the seed, which students shall not know."""
    total = f"{result.score} of {result.max_score} points."
    return "\n".join([total, *result.notes, f"Isolation: {result.isolation}."])


def wrapped(text: str) -> list[str]:
    """Return a text as lines that fit a terminal, its own breaks kept."""
    return [y for x in text.splitlines() for y in textwrap.wrap(x, WIDTH) or [""]]


def as_text(result: Result) -> str:
    """Return a result as lines for a terminal: points, the tasks with their sentences, how it was graded."""
    result, lines = cleaned(result), []
    for task in result.tasks:
        cases = f"{sum(task.cases.values())} of {len(task.cases)} cases right"
        lines.append(f"{task.points:4} of {task.max_points:3}  {task.name} ({cases})")
        printed = ["Printed:", *task.printed.splitlines()[-5:]] if task.printed and task.says else []
        lines += [f"{'':13}{y}" for x in [*task.says, *task.notes, *printed] for y in wrapped(x)]
    total = f"{result.score:4} of {result.max_score:3}  in all"
    how = f"Seed {result.seed}, version {result.version}, isolation: {result.isolation}."
    return "\n".join([*lines, total, *result.notes, how]) + "\n"


def as_json(result: Result) -> dict:
    """Return a result as programs read it; the same seed gives the same."""
    return cleaned(result).as_json()


def gradescope(result: Result) -> dict:
    """Return Gradescope's results.json; every format is text, since its default for the whole is HTML."""
    result = cleaned(result)
    tests = [
        {
            "name": task.name,
            "name_format": "text",
            "number": str(number),
            "score": task.points,
            "max_score": task.max_points,
            "status": "passed" if task.points == task.max_points else "failed",
            "output": shown(task),
            "output_format": "text",
            "visibility": "visible",
        }
        for number, task in enumerate(result.tasks, 1)
    ]
    return {
        "score": result.score,
        "execution_time": round(sum(x.seconds for x in result.tasks), 3),
        "output": remarks(result),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {"version": result.version, "isolation": result.isolation},
    }


def classroom50(result: Result, environment: Mapping[str, str], now: datetime | None = None) -> dict:
    """
    Return classroom50's result.json, whose points are integers.

    Parameters
    ----------
    result : Result
    environment : mapping
        The variables that its runner sets.
    now : datetime, optional
        The moment of grading; the runner puts the moment of the submission in its place.

    Raises
    ------
    ValueError
        Naming a variable that is not there.
    """
    tests = [
        {
            "test-name": task.name,
            "passed": task.points == task.max_points,
            "score": int(task.points),
            "max-score": int(task.max_points),
            "message": shown(task),
        }
        for task in cleaned(result).tasks
    ]
    return {
        "schema": "classroom50/result/v1",
        **identity(environment),
        "assignment_type": environment.get("ASSIGNMENT_TYPE") or "individual",
        "datetime": f"{(now or datetime.now(UTC)).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "score": sum(x["score"] for x in tests),
        "max-score": sum(x["max-score"] for x in tests),
        "tests": tests,
    }


def identity(environment: Mapping[str, str]) -> dict[str, str]:
    """Return who and what a result of classroom50 is about; without changes to review, the commit."""
    found = {field: environment.get(name) for field, name in IDENTITY.items()}
    found["review"] = found["review"] or found["commit"]
    missing = [IDENTITY[field] for field, value in found.items() if not value]
    if missing:
        raise ValueError(f"the environment has no {missing[0]}; expected what classroom50's runner sets")
    return found


def prairielearn(result: Result) -> dict:
    """Return PrairieLearn's results.json; a syntax error is not gradable, and costs no attempt."""
    result = cleaned(result)
    said = [x for texts in [result.notes, *(y.says for y in result.tasks)] for x in texts]
    broken = list(dict.fromkeys(x for x in said if SYNTAX.match(x)))
    if broken:
        return {"gradable": False, "format_errors": broken[:SENTENCES], "message": remarks(result)}
    tests = [
        {
            "name": task.name,
            "points": task.points,
            "max_points": task.max_points,
            "message": message(task),
            "output": task.printed,
        }
        for task in result.tasks
    ]
    score = result.score / result.max_score if result.max_score else 0.0
    return {"gradable": True, "score": score, "message": remarks(result), "tests": tests}


FORMATS: dict[str, Callable] = {
    "text": as_text,
    "json": as_json,
    "gradescope": gradescope,
    "classroom50": classroom50,
    "prairielearn": prairielearn,
}


def rendered(result: Result, name: str, environment: Mapping[str, str]) -> str:
    """Return a result in the format of a name, as the text that is printed or written."""
    if name not in FORMATS:
        raise ValueError(f"format is {name!r}; expected {', '.join(FORMATS)}")
    made = classroom50(result, environment) if name == "classroom50" else FORMATS[name](result)
    return made if isinstance(made, str) else json.dumps(made, ensure_ascii=False, indent=1) + "\n"
