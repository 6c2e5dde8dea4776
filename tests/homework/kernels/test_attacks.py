"""No kernel brings a point without the right arrays, leaves a file or a process, or stops the grader."""

import platform

import pytest

from tests.homework import grade as grading
from tests.homework import sandbox
from tests.homework.grade import grade
from tests.homework.kernels import program
from tests.homework.kernels.attacks import ATTACKS, EARLY, LIES, ONCE, Attack
from tests.homework.kernels.hand_in import hand_in
from tests.homework.table import TASKS
from tests.homework.test_attacks import left_behind, places  # noqa: F401  (a fixture)

TASK = TASKS["multiply-rows"]
TARGET = "tiles.cuh:multiply-rows"
SAMPLE = {"includes the reference", "a file in the target"}
WAITING = {"a loop that ignores alarms", "sleeps", "answers without end", "answers before the answer"}
pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the attacks name system calls by x86's numbers"
)


@pytest.fixture
def quick(monkeypatch, attack):
    """Let the deadlines be short, most of all where an attack does nothing but wait, in every case."""
    monkeypatch.setattr(grading, "CASE", 0.5 if attack.name in WAITING else 1.5)
    monkeypatch.setattr(program, "LAUNCH", 0.7)
    monkeypatch.setattr("tests.homework.kernels.examine.TASK", 2.0)


def graded(attack, names, folder, level):
    """Grade a submission that is an attack."""
    return grade(hand_in(folder, {TARGET: attack.region(**names)}), [TASK], seed=3, level=level)


def assert_held(attack, places, folder, level=sandbox.LEVEL):  # noqa: F811
    """Tell that an attack came to nothing."""
    names, listening = places
    result = graded(attack, names, folder, level)
    (task,) = result.tasks
    assert (result.score, result.max_score) == (0, 8), task
    assert task.says
    assert attack.said in " ".join(task.says)
    assert all(x.isprintable() for text in (*task.says, *task.notes) for x in text)
    assert all(len(text) < 1000 for text in task.says)
    assert all(x.isprintable() or x == "\n" for x in task.printed)
    assert "READ IT" not in task.printed
    assert left_behind(names) == []
    for one in listening:
        with pytest.raises(BlockingIOError):
            one.recv(10) if one.type.name == "SOCK_DGRAM" else one.accept()


@pytest.mark.parametrize("attack", [x for x in ATTACKS if x.name in SAMPLE], ids=lambda x: x.name)
@pytest.mark.usefixtures("quick")
def test_some_attacks(attack, places, tmp_path):  # noqa: F811
    assert_held(attack, places, tmp_path / "submission")


@pytest.mark.proof
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda x: x.name)
@pytest.mark.usefixtures("quick")
def test_all_attacks(attack, places, tmp_path):  # noqa: F811
    assert_held(attack, places, tmp_path / "submission")


@pytest.mark.proof
@pytest.mark.parametrize("attack", [x for x in EARLY + LIES if "execl" not in x.text], ids=lambda x: x.name)
@pytest.mark.usefixtures("quick")
def test_points_need_the_right_arrays_with_limits_alone(attack, places, tmp_path):  # noqa: F811
    """Where a platform offers nothing else, and as the user who grades."""
    result = graded(attack, places[0], tmp_path / "submission", ("limits",))
    assert result.score == 0
    assert result.isolation == sandbox.in_words(["limits"])


@pytest.mark.proof
def test_what_a_kernel_reads_is_seen(places, tmp_path):  # noqa: F811
    """Else the attacks that read would be held whatever they read: its own maps a program may see."""
    attack = Attack("maps", ONCE + '{ if (fopen("/proc/self/maps", "rb")) puts("READ IT"); }')
    (task,) = graded(attack, places[0], tmp_path / "submission", sandbox.LEVEL).tasks
    assert "READ IT" in task.printed


@pytest.mark.proof
def test_memory_is_watched(places, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(program, "MEMORY", 2**28)
    attack = next(x for x in ATTACKS if x.name == "memory without end")
    (task,) = graded(attack, places[0], tmp_path / "submission", sandbox.LEVEL).tasks
    assert task.says == ["Your code takes too much memory."]


def test_names_are_distinct():
    names = {x.name for x in ATTACKS}
    assert len(names) == len(ATTACKS) >= 50
    assert names >= WAITING | SAMPLE
