"""What a class can learn from its grades: points, mistakes by frequency, what nobody solved, what helped."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from step01_numpy.common.support.json_text import parse

CASES = re.compile(r"\s*\[[^\[\]]*\]\s*$")  # the cases at the end of a sentence


@dataclass(frozen=True)
class Mistake:
    """A sentence that students were told; `helped` of `tried` were right in their next submission."""

    task: str
    sentence: str
    students: int
    tried: int
    helped: int


@dataclass(frozen=True)
class Report:
    """
    A class, seen from above.

    Attributes
    ----------
    scores : list of (student, score, max_score)
        Of the submissions that count, the best first.
    ungraded : list of (student, why)
        Submissions that count and got no grade.
    tasks : dict
        Of each task how many students solved it whole, and the mean of the points in percent.
    unsolved : list of str
        Tasks that nobody solved whole.
    mistakes : list of Mistake
        The most frequent first.
    attempts : int
        All submissions, those that do not count included.
    """

    scores: list[tuple[str, float, float]]
    ungraded: list[tuple[str, str]]
    tasks: dict[str, tuple[int, float]]
    unsolved: list[str]
    mistakes: list[Mistake]
    attempts: int


def read(data: bytes, name: str) -> dict:
    """Return the grades that `grade --all FOLDER --out grades.json` wrote, or refuse what is none."""
    try:
        found = parse(data)
        for x in found["submissions"]:
            _ = x["student"], x["counts"], x["outcome"], x["error"], x["result"] and x["result"]["tasks"]
    except (ValueError, TypeError, KeyError) as error:
        what = "no JSON" if isinstance(error, ValueError) else "no table of grades"
        raise ValueError(f"{name} is {what}; expected what grade --all wrote to a .json") from None
    return found


def report(grades: dict) -> Report:
    """Return what the grades of a class say."""
    counted = [x for x in grades["submissions"] if x["counts"]]
    results = {x["student"]: x["result"] for x in counted if x["result"]}
    scores = [(name, x["score"], x["max_score"]) for name, x in results.items()]
    tasks = _tasks(results.values())
    return Report(
        scores=sorted(scores, key=lambda x: (-x[1], x[0])),
        ungraded=[(x["student"], x["error"]) for x in counted if not x["result"]],
        tasks=tasks,
        unsolved=[name for name, (solved, _) in tasks.items() if not solved],
        mistakes=mistakes(grades["submissions"]),
        attempts=len(grades["submissions"]),
    )


def _tasks(results) -> dict[str, tuple[int, float]]:
    """Return of each task how many solved it, and the mean of its points in percent."""
    parts = defaultdict(list)
    for result in results:
        for task in result["tasks"]:
            parts[task["name"]].append(task["points"] / task["max_points"] if task["max_points"] else 1.0)
    return {
        name: (sum(x == 1 for x in found), 100 * sum(found) / len(found)) for name, found in parts.items()
    }


def mistakes(submissions: list[dict]) -> list[Mistake]:
    """
    Return what students were told, over all their submissions.

    Parameters
    ----------
    submissions : list of dict
        As `batch.grade_all` returns them: those of one student in the order in which they came.
    """
    told, tried, helped = defaultdict(set), defaultdict(int), defaultdict(int)
    for student, task, sentence, right_next in sayings(submissions):
        told[task, sentence].add(student)
        tried[task, sentence] += right_next is not None
        helped[task, sentence] += bool(right_next)
    found = [Mistake(*x, len(students), tried[x], helped[x]) for x, students in told.items()]
    return sorted(found, key=lambda x: (-x.students, x.task, x.sentence))


def sayings(submissions: list[dict]) -> Iterator[tuple[str, str, str, bool | None]]:
    """Yield (student, task, sentence, whether the student's next try of that task was right, or None)."""
    tries = defaultdict(list)
    for number, one in enumerate(submissions):
        for task in one["result"]["tasks"] if one["result"] else ():
            student = tuple(one.get("keys") or [one["student"]])
            tries[student, task["name"]].append((number, task))
    for (student, name), each in tries.items():
        following = [task["points"] == task["max_points"] for _, task in each[1:]]
        for (_, task), right in zip(each, [*following, None], strict=True):
            for sentence in {CASES.sub("", x) for x in task["says"]}:
                yield student[0], name, sentence, right
