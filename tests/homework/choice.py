"""Which tasks a command is about: by their names, by a course, or all."""

from tests.homework.courses import COURSES
from tests.homework.table import TASKS
from tests.homework.task import Task


def add_arguments(parser, *, required: bool = True) -> None:
    """Take the tasks or a course; where neither is required, neither means all tasks."""
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--tasks", metavar="NAME,…", help='tasks as `list` shows them, or "all"')
    group.add_argument("--course", metavar="NAME", help=f"the tasks of a course: {', '.join(COURSES)}")


def chosen(names: str | None, course: str | None = None) -> list[Task]:
    """
    Return tasks in the table's order, each once.

    Parameters
    ----------
    names : str, optional
        Separated by commas; "all", or nothing where there is no course either, are all of the table.
    course : str, optional
        One of COURSES.

    Returns
    -------
    tasks : list of Task

    Raises
    ------
    ValueError
        For a name that is none.
    """
    if course is not None and course not in COURSES:
        raise ValueError(f"--course is {course!r}; expected one of {', '.join(COURSES)}")
    names = "all" if names is None else names
    wanted = COURSES[course] if course else [x.strip() for x in names.split(",")]
    wanted = list(TASKS) if wanted == ["all"] else wanted
    unknown = [x for x in wanted if x not in TASKS]
    if unknown:
        raise ValueError(f"--tasks has {unknown[0]!r}; expected names that `list` shows, or all")
    return [task for name, task in TASKS.items() if name in wanted]
