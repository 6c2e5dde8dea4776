"""In PyTorch too no attack brings a point, and what a task forbids is reached by no name."""

import pytest

from tests.homework import grade as grading
from tests.homework import sandbox
from tests.homework.grade import grade
from tests.homework.table import TASKS
from tests.homework.test_attacks import ROOT, left_behind
from tests.homework.torch_attacks import FORBIDDEN, LIES, READ_AGAIN, Attack

pytestmark = pytest.mark.usefixtures("torch_once")
TASK = TASKS["torch-simple-attention"]
SAMPLE = {"ends with 0", "Tensor.__eq__ patched", "by torch._C", "its kernel taken off"}
PLACES = {"FOLDER": ROOT}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Let the deadline of a case be short: some attacks hang, in every case."""
    monkeypatch.setattr(grading, "CASE", 1.5)
    monkeypatch.setattr("tests.homework.judge.TASK", 3.0)


def sampled(attacks):
    """Return the attacks, most of them for the proof alone."""
    return [
        pytest.param(x, marks=[] if x.name in SAMPLE else [pytest.mark.proof], id=x.name) for x in attacks
    ]


def graded(attack, folder, level=sandbox.LEVEL, task=TASK):
    """Grade a submission that is an attack."""
    (folder / "attention.py").write_text(attack.text(**PLACES))
    (result,) = grade(folder, [task], seed=3, level=level).tasks
    return result


@pytest.mark.parametrize("attack", sampled(LIES))
def test_an_attack_brings_no_point(attack, tmp_path):
    result = graded(attack, tmp_path)
    assert (result.points, result.max_points) == (0, 8), result
    assert result.says
    assert all(x.isprintable() for text in (*result.says, *result.notes) for x in text)
    assert left_behind({"TARGET": str(tmp_path)}) == [f"{tmp_path}/grades is changed"]  # there is none here


@pytest.mark.parametrize("attack", sampled(FORBIDDEN))
def test_what_is_forbidden_is_reached_by_no_name(attack, tmp_path):
    result = graded(attack, tmp_path)
    assert result.points == 0, result
    assert all("this task is to write what that does" in x for x in result.says), result.says


@pytest.mark.proof
@pytest.mark.parametrize("attack", READ_AGAIN, ids=lambda x: x.name)
def test_the_source_of_what_is_forbidden_cannot_be_read_again(attack, tmp_path):
    result = graded(attack, tmp_path)
    if "Landlock" in grade(tmp_path, [TASK], seed=3).isolation:
        assert result.points == 0
        assert all("PermissionError" in x for x in result.says), result.says


@pytest.mark.proof
@pytest.mark.parametrize("attack", [*LIES[:7], *FORBIDDEN[:6]], ids=lambda x: x.name)
def test_points_need_the_right_arrays_with_limits_alone(attack, tmp_path):
    """Where a platform offers nothing else."""
    assert graded(attack, tmp_path, ("limits",)).points == 0


@pytest.mark.proof
def test_a_task_after_an_attack_on_the_process_that_forks_is_graded(tmp_path):
    """With limits alone, and the same user, it can be killed; there is a new one then."""
    body = "import os; os.kill(os.getppid(), 9); return q, q"
    (tmp_path / "attention.py").write_text(Attack("kills", body).text())
    (tmp_path / "softmax.py").write_text("def softmax(scores, axis=-1):\n    return scores\n")
    (tmp_path / "merge.py").write_text(
        "def log_sum_exp(scores, axis=-1):\n    return scores.logsumexp(axis)\n"
    )
    tasks = [TASK, TASKS["torch-softmax"]]
    first, second = grade(tmp_path, tasks, seed=3, level=("limits",)).tasks
    assert first.points == 0
    assert second.points == 5  # of log-sum-exp all but the hidden row's gradient


@pytest.mark.proof
def test_cross_entropy_of_pytorchs_own_is_forbidden(tmp_path):
    for call in ("F.cross_entropy", "nn.CrossEntropyLoss()", "torch._C._nn.cross_entropy_loss"):
        head = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n\n\n"
        body = f"def cross_entropy(logits, targets, *, smoothing=0.0):\n    return {call}(logits, targets)\n"
        text = head + body
        (tmp_path / "loss.py").write_text(text)
        (result,) = grade(tmp_path, [TASKS["torch-cross-entropy"]], seed=3).tasks
        assert result.points == 0
        assert all("this task is to write" in x for x in result.says), result.says


def test_a_right_one_beside_the_attacks_has_all_points(tmp_path):
    body = "w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1); return w @ v, w"
    assert graded(Attack("none", body), tmp_path).points == 8


def test_attacks_are_many():
    names = [x.name for x in (*LIES, *FORBIDDEN, *READ_AGAIN)]
    assert len(set(names)) == len(names) >= 60
