"""With any seed the starter has nothing and the solution everything, in no more time than it may take."""

import os
import time

import numpy as np
import pytest

from tests.homework.grade import grade
from tests.homework.kernels.hand_in import hand_in
from tests.homework.kernels.starter import starter
from tests.homework.kernels.table import KERNELS
from tests.homework.sandbox import LEVEL

SECONDS = 60.0  # of processors: a whole submission, with nothing compiled before


def handed_out(folder):
    """Write what students get; return the folder of kernels."""
    for path, text in starter(KERNELS).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    return folder


def of_children():
    """Return the processor time of this process and of those that have ended, s."""
    return sum(os.times()[:4])


@pytest.mark.proof
@pytest.mark.parametrize("seed", [0, 20, 20170612])
def test_the_solution_has_everything(seed, tmp_path):
    result = grade(hand_in(tmp_path), KERNELS, seed=seed)
    assert [(x.name, x.says, x.notes) for x in result.tasks if x.points != x.max_points or x.says] == []
    assert (
        result.score
        == result.max_score
        == sum(x.points * len(x.cases(np.random.default_rng(0))) for x in KERNELS)
    )


@pytest.mark.parametrize("seed", [0, *(pytest.param(x, marks=pytest.mark.proof) for x in (20, 20170612))])
def test_the_starter_has_nothing(seed, tmp_path):
    result = grade(handed_out(tmp_path), KERNELS, seed=seed)
    assert result.score == 0
    assert [x.says for x in result.tasks] == [["This is not written yet."]] * len(KERNELS)
    assert [x.notes for x in result.tasks] == [[]] * len(KERNELS)


@pytest.mark.proof
def test_a_submission_takes_no_longer_than_it_may(tmp_path, monkeypatch):
    """
    In processor time, with nothing compiled before.

    Without namespaces, since what a process of one has taken is not told when it is killed with it.
    """
    monkeypatch.setenv("ATTENTION_STEP_BY_STEP_CACHE", str(tmp_path / "cache"))
    start, begun = of_children(), time.monotonic()
    level = [x for x in LEVEL if x != "namespaces"]
    assert grade(hand_in(tmp_path / "submission"), KERNELS, seed=1, level=level).score == 113
    spent = of_children() - start
    print(f"{spent:.1f} s of processors, {time.monotonic() - begun:.1f} s")
    assert spent < SECONDS


@pytest.mark.proof
def test_the_same_seed_gives_the_same_result(tmp_path):
    task = [x for x in KERNELS if x.name == "warp-sum"]
    folder = hand_in(tmp_path, {"02_online_softmax.cu:warp-sum": "x += __shfl_xor_sync(0xffffffffu, x, 1);"})
    first, second = (grade(folder, task, seed=4).as_json() for _ in range(2))
    assert first == second
    assert 0 < first["score"] < first["max_score"]
