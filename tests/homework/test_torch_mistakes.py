"""In PyTorch too each wrong variant loses its own task, no other, and is named."""

import pytest

from tests.homework.explain import explain
from tests.homework.grade import answers, grade
from tests.homework.judge import Account, right
from tests.homework.table import TASKS
from tests.homework.test_mistakes import mistakes_of, submission, variants_of

pytestmark = pytest.mark.usefixtures("torch_once")
STAGE2 = [task for task in TASKS.values() if task.stage == 2]
EACH = pytest.mark.parametrize("task", STAGE2, ids=lambda x: x.name)


@pytest.mark.proof
@EACH
def test_every_mistake_is_named_and_alike_only_to_those_that_say_the_same(task):
    known = answers(task, 0)
    found = variants_of(known)
    for i, x in enumerate(found):
        account = Account({name: x.answer(name) for name in known.expected})
        assert any(says.startswith(x.says) for says in explain(account, known)), x.mutants[0].name
        for other in found[:i]:
            names = [name for name in known.expected if x.answer(name).values is not None]
            alike = all(right(x.answer(name), other.answer(name), 1e-6) for name in names)
            assert x.says == other.says or not alike, (x.mutants[0].name, other.mutants[0].name)


@pytest.mark.proof
@EACH
def test_mistakes_that_are_handed_in_are_named_and_cost_their_own_task_alone(task, tmp_path):
    """Of each task the first, the middle and the last, beside the other tasks of its files."""
    found = mistakes_of(task)
    mates = [x for x in STAGE2 if set(x.modules) & set(task.modules)]
    for i in sorted({0, len(found) // 2, len(found) - 1}):
        results = grade(submission(tmp_path / str(i), task, found[i]), mates, seed=0).tasks
        assert [x.name for x in results if x.points < x.max_points] == [task.name], found[i].name
        says = next(x.says for x in results if x.name == task.name)
        assert any(x.startswith(found[i].says) for x in says), (found[i].name, says)


@pytest.mark.proof
def test_mistakes_are_many():
    assert len({x.says for task in STAGE2 for x in mistakes_of(task)}) >= 60


def test_a_mistake_that_only_gradients_show_is_named(tmp_path):
    task = TASKS["torch-simple-attention"]
    mutant = next(x for x in mistakes_of(task) if x.name == "torch: simple weights without a history")
    (result,) = grade(submission(tmp_path, task, mutant), [task], seed=0).tasks
    assert (result.points, result.says) == (0, [mutant.says])
