"""No attack brings a point, leaves a file or a process, or stops the grader."""

import os
import socket
from pathlib import Path

import pytest

from tests.homework import grade as grading
from tests.homework import sandbox
from tests.homework.attacks import ATTACKS, EARLY, LIES, LOOK, OUT, WORTHLESS
from tests.homework.grade import grade
from tests.homework.table import TASKS

ROOT = str(Path(__file__).parent.parent.parent)
TASK = TASKS["softmax-backward"]
SAMPLE = {
    "ends with 0 at import", "a result on every descriptor", "a loop", "a file in the target",
}  # fmt: skip
WAITING = {
    "a loop", "a loop at import", "sleeps", "deaf to signals", "asks forever", "reads every descriptor",
    "leaves its group", "a tuple that counts forever",
    "the protocol says points", "the protocol says nothing",
}  # fmt: skip
OURS = range(sandbox.FIRST_USER, sandbox.FIRST_USER + 2**16)  # users of this process's children


@pytest.fixture
def quick(monkeypatch, attack):
    """Let the deadline of a case be short, most of all where an attack does nothing but wait."""
    seconds = 0.5 if attack.name in WAITING else 1.5
    monkeypatch.setattr(grading, "CASE", seconds)
    monkeypatch.setattr("tests.homework.judge.TASK", 2 * seconds)


@pytest.fixture
def places(tmp_path):
    """Return a folder that everybody may write to, and a port at which somebody listens."""
    target = tmp_path / "target"
    target.mkdir()
    target.chmod(0o777)
    for folder in tmp_path.parents:
        if os.stat(folder).st_uid == os.getuid():
            os.chmod(folder, os.stat(folder).st_mode | 0o111)
    (target / "grades").write_text("7")
    (target / "grades").chmod(0o666)
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        for listening in (tcp, udp):
            listening.setblocking(False)
        yield {"TARGET": str(target), "PORT": port, "ROOT": ROOT, "GRADER": os.getpid()}, (tcp, udp)


def graded(attack, places, folder, level):
    """Grade a submission that is an attack."""
    folder.mkdir()
    (folder / "softmax.py").write_text(attack.text(**places))
    return grade(folder, [TASK], seed=3, level=level)


def left_behind(places):
    """Return what lies or runs where nothing should."""
    spots = (places["TARGET"], "/tmp", "/dev/shm", ROOT)
    found = [f"{x}/homework_attack" for x in spots if os.path.lexists(f"{x}/homework_attack")]
    found += [
        f"{x} is changed"
        for x in [Path(places["TARGET"], "grades")]
        if not x.exists() or x.read_text() != "7"
    ]
    for entry in Path("/proc").glob("[0-9]*/status"):
        try:
            text = entry.read_text()
            user = int(text.split("Uid:")[1].split()[0])
        except OSError:
            continue
        if user in OURS and "\nState:\tZ" not in text:  # a zombie is nothing but a number
            found.append(f"process {entry.parent.name}")
    return found


def assert_held(attack, places, tmp_path, level):
    """Tell that an attack came to nothing."""
    (names, listening) = places
    result = graded(attack, names, tmp_path / "submission", level)
    (task,) = result.tasks
    assert (result.score, result.max_score) == (0, 8), task
    assert not any(task.cases.values())
    assert task.says
    assert all(x.isprintable() for text in (*task.says, *task.notes) for x in text)
    assert all(len(text) < 1000 for text in task.says)
    assert left_behind(names) == []
    for one in listening:
        with pytest.raises(BlockingIOError):
            one.recv(10) if one.type == socket.SOCK_DGRAM else one.accept()


@pytest.mark.parametrize("attack", [x for x in ATTACKS if x.name in SAMPLE], ids=lambda x: x.name)
@pytest.mark.usefixtures("quick")
def test_some_attacks(attack, places, tmp_path):
    assert_held(attack, places, tmp_path, sandbox.LEVEL)


@pytest.mark.proof
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda x: x.name)
@pytest.mark.usefixtures("quick")
def test_all_attacks(attack, places, tmp_path):
    assert_held(attack, places, tmp_path, sandbox.LEVEL)


@pytest.mark.proof
@pytest.mark.parametrize("attack", LOOK + OUT, ids=lambda x: x.name)
@pytest.mark.usefixtures("quick")
def test_attacks_where_there_are_no_namespaces(attack, places, tmp_path):
    """As in a container. What is sent may leave there (Landlock stops TCP alone), so that is not asked."""
    names, listening = places
    level = ("another user", "limits", "Landlock")
    assert_held(attack, (names, listening[:1]), tmp_path, level)


@pytest.mark.proof
@pytest.mark.parametrize("attack", EARLY + LIES + WORTHLESS, ids=lambda x: x.name)
@pytest.mark.usefixtures("quick")
def test_points_need_the_right_arrays_with_limits_alone(attack, places, tmp_path):
    """Where a platform offers nothing else, and as the user who grades."""
    result = graded(attack, places[0], tmp_path / "submission", ("limits",))
    assert result.score == 0
    assert result.isolation == sandbox.in_words(["limits"])


ALL = "reach the grader's memory, read and write your files, use the network"


@pytest.mark.parametrize(
    ("holds", "said"),
    [
        (["namespaces", "another user", "limits", "Landlock"], ""),
        (["another user", "limits", "Landlock"], "use the network"),
        (["another user", "limits"], "read what everybody may, use the network"),
        (["namespaces", "limits"], "reach the grader's memory, read and write your files"),
        (["limits"], ALL),
        ([], f"{ALL}, use up the machine's memory"),
    ],
    ids=lambda x: ", ".join(x) if isinstance(x, list) else "",
)
def test_what_does_not_hold_is_said(holds, said):
    words = sandbox.in_words(holds)
    assert words.startswith(f"a process without the reference; {', '.join(holds)}".rstrip("; "))
    assert words.partition("; hostile code could ")[2] == said


def test_names_are_distinct():
    names = {x.name for x in ATTACKS}
    assert len(names) == len(ATTACKS) >= 100
    assert names >= WAITING | SAMPLE


def test_the_attacks_could_bring_points(tmp_path):
    """The file around an attack is in order: with the right body it has all points."""
    from tests.homework.attacks import Attack

    body = "return weights * (d_weights - (d_weights * weights).sum(axis=axis, keepdims=True))"
    right = graded(Attack("none", body), {"TARGET": "", "PORT": 0}, tmp_path / "submission", sandbox.LEVEL)
    assert right.score == right.max_score == 8
