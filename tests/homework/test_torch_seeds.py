"""With any seed the starter in PyTorch has nothing and the solution everything."""

import pytest

from tests.homework import torch_sandbox
from tests.homework.blank import starter
from tests.homework.grade import grade
from tests.homework.judge import right
from tests.homework.table import TASKS
from tests.homework.test_grade import solution, write
from tests.homework.test_seeds import Seeds, examined

pytestmark = pytest.mark.usefixtures("torch_once")
OWN = torch_sandbox.Children
STAGE2 = [task for task in TASKS.values() if task.stage == 2]


@pytest.mark.proof
def test_all_or_nothing_of_the_whole_stage(tmp_path):
    """The rule of the whole stage: the starter 0, the solution everything."""
    whole = grade(solution(tmp_path / "solution", *STAGE2), STAGE2, seed=20)
    assert [x.name for x in whole.tasks if x.points != x.max_points or x.says or x.notes] == []
    blank = grade(write(tmp_path / "starter", starter(STAGE2)), STAGE2, seed=20)
    assert [x.name for x in blank.tasks if x.points or x.says != ["This is not written yet."]] == []


@pytest.mark.proof
@pytest.mark.parametrize("task", STAGE2, ids=lambda x: x.name)
def test_all_or_nothing_with_any_seed(task, tmp_path):
    known = Seeds(task)
    whole, blank = (
        examined(folder, task, known)
        for folder in (
            solution(tmp_path / "solution", task),
            write(tmp_path / "starter", starter(STAGE2)),
        )
    )
    assert [x for x, y in known.expected.items() if not right(whole.answers[x], y)] == whole.notes == []
    assert {x.raised for x in blank.answers.values()} == {"NotImplementedError"}
    assert blank.answers.keys() == known.questions.keys()


def test_some_of_a_solution(tmp_path):
    tasks = [TASKS[x] for x in ("torch-softmax", "torch-simple-attention", "torch-cache")]
    result = grade(solution(tmp_path / "solution", *tasks), tasks, seed=5)
    assert [(x.name, x.points == x.max_points, x.says, x.notes) for x in result.tasks] == [
        (task.name, True, [], []) for task in tasks
    ]
    assert result.isolation


def test_gradients_are_a_part_of_every_answer_of_floats():
    """Of each task but the masks a case that loses its gradients is wrong."""
    from tests.homework.grade import answers

    for task in STAGE2:
        expected = answers(task, 1).expected.values()
        found = {name for x in expected for name, y in x.values.items() if y is not None}
        assert any(name.startswith("gradient of ") for name in found) != (task.name == "torch-masks")


@pytest.mark.proof
def test_where_nothing_is_forked_each_task_has_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_sandbox, "FORKS", False)
    monkeypatch.setattr(torch_sandbox, "Children", OWN)
    tasks = [TASKS["torch-simple-attention"], TASKS["torch-residual"]]
    result = grade(solution(tmp_path, *tasks), tasks, seed=5)
    assert result.score == result.max_score == 18
    assert result.isolation.startswith("a process without the reference")
