"""With any seed the starter has nothing and the solution everything."""

from dataclasses import replace

import numpy as np
import pytest

from tests.homework.answers import Question
from tests.homework.blank import starter
from tests.homework.grade import Grader, grade
from tests.homework.judge import right
from tests.homework.submission import read
from tests.homework.test_grade import STAGE1, solution, write
from tests.homework.variants import Answers

pytestmark = pytest.mark.proof


def test_all_or_nothing_of_the_whole_table(tmp_path):
    """The rule of the whole table: the starter 0, the solution everything."""
    whole = grade(solution(tmp_path / "solution"), STAGE1, seed=20)
    assert [x.name for x in whole.tasks if x.points != x.max_points or x.says or x.notes] == []
    blank = grade(write(tmp_path / "starter", starter(STAGE1)), STAGE1, seed=20)
    assert [x.name for x in blank.tasks if x.points or x.says != ["This is not written yet."]] == []


class Seeds(Answers):
    """What is asked with 20 seeds, put together, so that one child can answer all."""

    def __init__(self, task):
        super().__init__(task, 0)
        for seed, known in ((seed, Answers(task, seed)) for seed in range(1, 20)):
            for name, x in known.questions.items():
                case = replace(x.case, name=f"{name}, seed {seed}")
                self.questions[case.name] = Question(case, x.built)
                self.expected[case.name] = known.expected[name]


@pytest.mark.parametrize("task", STAGE1, ids=lambda x: x.name)
def test_all_or_nothing_with_any_seed(task, tmp_path):
    known = Seeds(task)
    assert len(known.questions) == 20 * len(task.cases(np.random.default_rng(0)))
    handed_in = [solution(tmp_path / "solution", task), write(tmp_path / "starter", starter(STAGE1))]
    whole, blank = (examined(folder, task, known) for folder in handed_in)
    assert [x for x, y in known.expected.items() if not right(whole.answers[x], y)] == whole.notes == []
    assert {x.raised for x in blank.answers.values()} == {"NotImplementedError"}
    assert blank.answers.keys() == known.questions.keys()


def examined(folder, task, known):
    """Put all questions to one child."""
    grader = Grader(read(folder), 0, "names")
    try:
        grader.last = True
        return grader.examine(task, known)
    finally:
        grader.end()
