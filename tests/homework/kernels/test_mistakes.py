"""Each mistake costs its own task, no other, and is named truthfully: by its numbers, or by the emulator."""

import re

import pytest

from tests.homework.explain import explain
from tests.homework.grade import answers, grade
from tests.homework.judge import Account, right
from tests.homework.kernels.answers import mistaken
from tests.homework.kernels.hand_in import hand_in
from tests.homework.kernels.mistakes import MISTAKES
from tests.homework.kernels.regions import names
from tests.homework.kernels.table import KERNELS
from tests.homework.table import TASKS

BY_NUMBERS = [x for x in MISTAKES if x.numbers]
BY_EMULATOR = [x for x in MISTAKES if not x.numbers]
FIRST = [next(x for x in MISTAKES if x.task == task.name) for task in KERNELS]
SAMPLE = {"no scale of naive-scores"}


def name(mistake):
    return f"{mistake.name} of {mistake.task}"


def check(mistake, folder):
    """Hand a mistake in, and read what is said."""
    task = TASKS[mistake.task]
    (result,) = grade(hand_in(folder, texts=mistaken(mistake, task)), [task], seed=0).tasks
    assert result.points < result.max_points
    assert any(mistake.says in x for x in result.says), result.says
    assert all(x in [y.says for y in MISTAKES] or not mistake.numbers
               for x in [re.sub(r" \[[^\[]*\]$", "", x) for x in result.says]), result.says  # fmt: skip
    assert result.notes == []


@pytest.mark.parametrize("mistake", [x for x in MISTAKES if name(x) in SAMPLE], ids=name)
def test_some_mistakes_are_named(mistake, tmp_path):
    check(mistake, tmp_path)


@pytest.mark.proof
@pytest.mark.parametrize("mistake", [*FIRST, *(x for x in BY_EMULATOR if x not in FIRST)], ids=name)
def test_mistakes_that_are_handed_in_are_named(mistake, tmp_path):
    check(mistake, tmp_path)


@pytest.mark.proof
@pytest.mark.parametrize("task", KERNELS, ids=lambda x: x.name)
def test_every_mistake_is_named_by_its_numbers_and_by_no_others(task):
    """No two that say different things give the same numbers: else a student could be told the wrong one."""
    known = answers(task, 0)
    assert len(known.variants) == sum(x.task == task.name for x in BY_NUMBERS) > 0
    for i, x in enumerate(known.variants):
        mine = {case: x.answer(case) for case in known.expected}
        assert not all(right(mine[case], y, 1e-6) for case, y in known.expected.items()), x.says
        assert any(says.startswith(x.says) for says in explain(Account(mine), known)), x.says
        for other in known.variants[:i]:
            alike = all(right(mine[case], other.answer(case), 1e-6) for case, y in mine.items() if y.values)
            assert x.says == other.says or not alike, (x.says, other.says)


@pytest.mark.proof
@pytest.mark.parametrize("mistake", FIRST, ids=name)
def test_a_mistake_costs_its_own_task_alone(mistake, tmp_path):
    """Beside it stand all tasks that use a file that it changes."""
    texts = mistaken(mistake, TASKS[mistake.task])
    mates = [x for x in KERNELS if set(texts) & set(names(x.targets))]
    results = grade(hand_in(tmp_path, texts=texts), mates, seed=0).tasks
    assert [x.name for x in results if x.points < x.max_points] == [mistake.task]
    assert all(x.says == [] for x in results if x.name != mistake.task)


@pytest.mark.parametrize("mistake", MISTAKES, ids=name)
def test_a_mistake_is_a_change_of_its_own_task(mistake):
    assert mistaken(mistake, TASKS[mistake.task])


@pytest.mark.parametrize("mistake", BY_NUMBERS, ids=name)
def test_sentences_keep_the_rules(mistake):
    """As those of stage 1 do: short, about the numbers, without blame and without the solution's code."""
    assert mistake.says[-1] in ".?"
    assert 1 <= len(re.findall(r"[.?](?= |$)", mistake.says)) <= 3
    assert len(mistake.says) <= 240
    assert not re.search(
        r"\b(stupid|wrongly|you forgot|obviously|of course|just|simply)\b", mistake.says, re.I
    )
    assert mistake.old not in mistake.says
    assert not re.findall(r"->|==|\+=|\*=|__\w+|exponential\(|\?.*:", mistake.says)


def test_mistakes_are_many():
    assert len({(x.task, x.says) for x in BY_NUMBERS}) >= 30
    assert len(BY_EMULATOR) >= 10
    assert len({name(x) for x in MISTAKES}) == len(MISTAKES)
