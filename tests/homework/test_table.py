"""The table of tasks: its cases can tell the mistakes apart, and its sentences keep the rules of wording."""

import json
import re
from itertools import combinations

import numpy as np
import pytest

from tests.homework import __main__ as command
from tests.homework.answers import answer, questions, same
from tests.homework.mistakes import wrong_answers
from tests.homework.table import TASKS
from tests.mutants.tables import MUTANTS

LONG = ("attention", "flash", "multi-head", "beam-search", "torch-attention", "torch-multi-head")
PAIRS = [
    pytest.param(
        task, seed, marks=[pytest.mark.proof] * (seed > 1 or task.name.startswith(LONG)), id=f"{name}-{seed}"
    )
    for seed in (1, 2, 20170612)
    for name, task in TASKS.items()
    if task.stage < 3
]
SAID = [mutant for mutant in MUTANTS if mutant.says]
EACH = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@EACH
def test_the_solution_answers_every_case(task):
    for question in questions(task, 3):
        assert not isinstance(answer(task, question), type), question.case.name


@EACH
def test_a_seed_makes_the_same_cases_and_another_seed_others(task):
    def asked(seed):
        return [(x.case.name, answer(task, x)) for x in questions(task, seed)]

    first, again, other = asked(1), asked(1), asked(2)
    assert [name for name, _ in first] == [name for name, _ in other]
    assert len({name for name, _ in first}) == len(first)
    assert all(same(a, b, 0) for (_, a), (_, b) in zip(first, again, strict=True))
    different = [not same(a, b) for (_, a), (_, b) in zip(first, other, strict=True)]
    assert any(different) or task.name == "masks"  # most of its cases have nothing to draw


@EACH
def test_targets_and_what_may_be_called_are_there(task):
    assert set(task.uses) <= set(TASKS) - {task.name}
    assert {task.target_of(x.case) for x in questions(task, 1)} == set(task.targets)
    assert task.points > 0


@pytest.mark.parametrize(("task", "seed"), PAIRS)
def test_mistakes_differ_from_the_solution_and_from_those_that_say_otherwise(task, seed):
    asked = questions(task, seed)
    right = [answer(task, x) for x in asked]
    found = {
        mutant: [answers.get(x.case.name, y) for x, y in zip(asked, right, strict=True)]
        for mutant, answers in wrong_answers(task, asked).items()
    }
    assert len(found) >= 3
    for mutant, answers in found.items():
        assert not all(same(x, y) for x, y in zip(answers, right, strict=True)), mutant.name
    for (mutant, answers), (other, others) in combinations(found.items(), 2):
        if mutant.says != other.says:
            alike = all(same(x, y) for x, y in zip(answers, others, strict=True))
            assert not alike, f"{mutant.name} and {other.name}"


@pytest.mark.proof
def test_every_sentence_belongs_to_a_task():
    told = {x for task in TASKS.values() for x in wrong_answers(task, questions(task, 1))}
    assert [x.name for x in SAID if x not in told and x.target.startswith("step01_numpy.")] == []


def test_mistakes_are_many():
    assert len({mutant.says for mutant in SAID}) >= 60


@pytest.mark.parametrize("mutant", SAID, ids=lambda x: x.name)
def test_sentences_keep_the_rules(mutant):
    assert mutant.says[-1] in ".?"
    assert 1 <= len(re.findall(r"[.?](?= |$)", mutant.says)) <= 3
    assert len(mutant.says) <= 240
    assert not re.search(
        r"\b(stupid|wrongly|you forgot|obviously|of course|just|simply)\b", mutant.says, re.I
    )
    code = re.findall(r"np\.|axis=|\.sum\(|\*\*|->|==|@|swapaxes|:=|\w\[", mutant.says)
    assert not code, code


def test_list_shows_every_task(capsys):
    assert command.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == list(TASKS)
    assert command.main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(TASKS)
    assert {"name", "stage", "points", "targets"} <= set(rows[0])


def test_same_knows_what_is_not_the_same():
    x = np.array([1.0, np.nan, np.inf])
    assert same(x, x.copy())
    assert same([1.0, (x, None)], [1.0, (x + 1e-9, None)])
    for other in (x[:2], x + 1e-3, np.array([1.0, np.inf, np.inf]), np.array([1.0, np.nan, -np.inf]), None):
        assert not same(x, other)
    assert not same(ValueError, x)
    assert not same(np.array([True]), np.array([1.0]))
