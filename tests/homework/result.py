"""What came of a submission: points, and sentences for whoever wrote it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TaskResult:
    """
    What came of one task.

    Attributes
    ----------
    name : str
    points, max_points : int
    cases : dict
        Whether each case is right, by its name.
    says : list of str
        Sentences for the student, the most useful first; empty where all is right.
    notes : list of str
        Remarks that cost nothing ("your change of scale_or_default was not used").
    seconds : float
    printed : str
        The end of what the student's code printed.
    """

    name: str
    points: int
    max_points: int
    cases: dict[str, bool] = field(default_factory=dict)
    says: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    printed: str = ""

    def as_json(self) -> dict:
        """Return it as JSON has it, without the seconds: the same seed gives the same text."""
        return {
            "name": self.name,
            "points": self.points,
            "max_points": self.max_points,
            "says": self.says,
            "cases": self.cases,
            "notes": self.notes,
            "printed": self.printed,
        }


@dataclass(frozen=True)
class Result:
    """
    What came of a submission.

    Attributes
    ----------
    tasks : list of TaskResult
    seed : int
        With which all cases can be made again.
    version : str
        Of the project.
    isolation : str
        What kept the submission's code apart, in plain words.
    notes : list of str
        About the submission as a whole ("the folder is empty").
    """

    tasks: list[TaskResult]
    seed: int
    version: str
    isolation: str
    notes: list[str] = field(default_factory=list)

    @property
    def score(self) -> int:
        """The points of all tasks."""
        return sum(task.points for task in self.tasks)

    @property
    def max_score(self) -> int:
        """The points that all tasks could bring."""
        return sum(task.max_points for task in self.tasks)

    def as_json(self) -> dict:
        """Return it as JSON has it."""
        return {
            "score": self.score,
            "max_score": self.max_score,
            "tasks": [task.as_json() for task in self.tasks],
            "seed": self.seed,
            "version": self.version,
            "isolation": self.isolation,
            "notes": self.notes,
        }
