"""A starter has 0 points and the solution all; a right solution passes in any style; the result is told as asked."""

# ruff: noqa: E501  (one style a line)

import json
import shutil

import numpy as np
import pytest

from tests.homework import __main__ as command
from tests.homework import grade as grading
from tests.homework import sandbox
from tests.homework.blank import ROOT, starter
from tests.homework.explain import explain
from tests.homework.grade import answers, grade
from tests.homework.judge import Account, clean, equal
from tests.homework.probes import spoken
from tests.homework.reference import Answer
from tests.homework.table import TASKS

STAGE1 = [task for task in TASKS.values() if task.stage == 1]
SOFTMAX = (ROOT / "step01_numpy" / "softmax.py").read_text("utf-8")


def write(folder, texts):
    """Write files by their paths; return the folder."""
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    return folder


def solution(folder, *tasks):
    """Write the solution of some tasks, or of all."""
    modules = {f"{task.package}/{x.replace('.', '/')}.py" for task in tasks or STAGE1 for x in task.modules}
    for path in modules:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    return folder


def in_file(
    tmp_path, body, name="softmax_backward", head="def softmax_backward(d_weights, weights, axis=-1):"
):
    """Write a submission of one function."""
    return write(tmp_path, {"softmax.py": f"import numpy as np\n\n\n{head}\n    {body}\n"})


def test_the_solution_has_all_points_and_nothing_is_said(tmp_path):
    tasks = [TASKS[x] for x in ("softmax", "attention", "multi-head-backward", "adamw", "beam-search")]
    result = grade(solution(tmp_path, *tasks), tasks, seed=5)
    assert (
        result.score
        == result.max_score
        == sum(task.points * len(task.cases(np.random.default_rng(0))) for task in tasks)
    )
    assert [(x.says, x.notes, all(x.cases.values())) for x in result.tasks] == [([], [], True)] * len(tasks)
    assert result.isolation


def test_the_starter_has_no_points(tmp_path):
    tasks = [TASKS[x] for x in ("softmax", "attention", "cache")]
    result = grade(write(tmp_path, starter(STAGE1)), tasks, seed=5)
    assert result.score == 0
    assert [x.says for x in result.tasks] == [["This is not written yet."]] * 3


RIGHT = {
    "einsum": "return weights * (d_weights - np.expand_dims(np.einsum('...i,...i->...', np.moveaxis(d_weights, axis, -1), np.moveaxis(weights, axis, -1)), axis))",
    "Jacobians": "w, d = np.moveaxis(weights, axis, -1), np.moveaxis(d_weights, axis, -1); J = w[..., :, None] * (np.eye(w.shape[-1]) - w[..., None, :]); return np.moveaxis((J @ d[..., None])[..., 0], -1, axis)",
    "loops": "w, d = np.moveaxis(weights, axis, -1), np.moveaxis(d_weights, axis, -1); out = np.zeros(w.shape)\n    for i in np.ndindex(*w.shape[:-1]):\n        out[i] = [w[i][j] * (d[i][j] - sum(a * b for a, b in zip(d[i], w[i]))) for j in range(w.shape[-1])]\n    return np.moveaxis(out, -1, axis)",
    "long doubles": "w = weights.astype(np.longdouble); return w * (d_weights - (d_weights * w).sum(axis=axis, keepdims=True))",
    "Fortran's order": "return np.asfortranarray(weights * (d_weights - (d_weights * weights).sum(axis=axis, keepdims=True)))",
    "other byte order": "return (weights * (d_weights - (d_weights * weights).sum(axis=axis, keepdims=True))).astype('>f8')",
    "a masked array": "return np.ma.array(weights * (d_weights - (d_weights * weights).sum(axis=axis, keepdims=True)))",
    "much printed": "print('x' * 100_000); return weights * (d_weights - (d_weights * weights).sum(axis=axis, keepdims=True))",
    "warnings as errors": "import warnings; warnings.simplefilter('error'); np.seterr(all='raise'); return weights * (d_weights - (d_weights * weights).sum(axis=axis, keepdims=True))",
    "slow": "import time; time.sleep(0.2); return weights * (d_weights - (d_weights * weights).sum(axis=axis, keepdims=True))",
    "much memory": "x = np.ones(2**26); return weights * (d_weights - (d_weights * weights).sum(axis=axis, keepdims=True))",
    "inputs overwritten": "d_weights -= (d_weights * weights).sum(axis=axis, keepdims=True); d_weights *= weights; return d_weights",
    "a list of a tuple is no array": "return list(weights * (d_weights - (d_weights * weights).sum(axis=axis, keepdims=True)))",
}  # fmt: skip


@pytest.mark.parametrize("name", ["long doubles", "inputs overwritten"])
def test_right_in_another_style(name, tmp_path):
    check_right(name, tmp_path)


@pytest.mark.proof
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_solution_passes_in_any_style(name, tmp_path):
    check_right(name, tmp_path)


def check_right(name, tmp_path):
    """Hand in a right solution, which has all points; of one that changes its inputs there is a remark."""
    (task,) = grade(in_file(tmp_path, RIGHT[name]), [TASKS["softmax-backward"]], seed=2).tasks
    if name == "a list of a tuple is no array":
        assert task.points == 0
        assert task.says
        return
    assert (task.points, task.says) == (8, [])
    assert bool(task.notes) == (name == "inputs overwritten")


WRONG = {
    "raise ValueError('no idea')": "Your code raises ValueError, in line 5: no idea.",
    "return None": "Your result is None: is something returned?",
    "return weights.sum()": "Your result has shape (); expected",
    "return weights, weights": "2 values came back; expected 1 value.",
    "return (weights > 0)": "Your result has dtype bool; expected float64.",
    "return np.full_like(weights, np.nan)": "Your result holds NaN where a number is expected.",
    "return weights * 0": "Your result is 0 throughout.",
    "return 3 * weights * (d_weights - (d_weights * weights).sum(axis=axis, keepdims=True))": "Your result is 3 times what is expected, throughout.",
    "w = weights.astype(np.float32); return w * (d_weights.astype(np.float32) - (d_weights * w).sum(axis=axis, keepdims=True, dtype=np.float32))": "is part of it computed in float32?",
    "return 'text'": "Your result is of another kind than expected.",
    "return object()": "Your code raises TypeError: a value of type object; expected arrays.",
    "while True: pass": "Your code took too long.",
    "import os; os._exit(0)": "Your code ended the program.",
    "import scipy": "Your code raises ModuleNotFoundError, in line 5: No module named 'scipy'.",
    "return soft(weights)": "Your code raises NameError, in line 5: name 'soft' is not defined.",
}


@pytest.mark.proof
@pytest.mark.parametrize("body", WRONG, ids=lambda x: x[:30])
def test_what_is_wrong_is_said(body, tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "CASE", 1.0)
    (task,) = grade(in_file(tmp_path, body), [TASKS["softmax-backward"]], seed=2).tasks
    assert task.points == 0
    assert WRONG[body] in task.says[0]


@pytest.mark.proof
def test_what_may_not_be_called_is_said(tmp_path):
    text = "def softmax_backward(d_weights, weights, axis=-1):\n    from step01_numpy.attention import attention_backward\n    return attention_backward(*[weights] * 6)\n"
    (task,) = grade(write(tmp_path, {"softmax.py": text}), [TASKS["softmax-backward"]], seed=2).tasks
    assert task.points == 0
    assert "softmax-backward may not call attention_backward" in task.says[0]


HALF = "return (weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True))) if axis == -1 else weights"


def test_feedback_is_as_much_as_the_course_wants(tmp_path):
    folder = in_file(tmp_path, HALF)
    told = {
        x: grade(folder, [TASKS["softmax-backward"]], seed=2, feedback=x).tasks[0] for x in grading.FEEDBACK
    }
    assert {x.points for x in told.values()} == {4}
    assert told["points"].says == []
    assert told["cases"].says == ["Wrong: another axis, equal sizes."]
    assert told["names"].says[0].endswith("[another axis]")
    assert told["cases"].cases == {
        "plain": True,
        "another axis": False,
        "equal sizes": False,
        "hidden row": True,
    }
    with pytest.raises(ValueError, match="feedback is 'all'; expected one of names, cases, points"):
        grade(folder, [], seed=2, feedback="all")


@pytest.mark.proof
def test_the_same_seed_gives_the_same_result(tmp_path):
    folder = in_file(tmp_path, HALF)
    first, second = (grade(folder, [TASKS["softmax-backward"]], seed=4).as_json() for _ in range(2))
    assert first == second
    assert (
        answers(TASKS["softmax-backward"], 4).expected.keys()
        == answers(TASKS["softmax-backward"], 5).expected.keys()
    )


def test_a_case_that_hangs_costs_its_own_points(tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "CASE", 1.0)
    body = "while axis != -1: pass\n    return weights * (d_weights - (d_weights * weights).sum(axis=axis, keepdims=True))"
    (task,) = grade(in_file(tmp_path, body), [TASKS["softmax-backward"]], seed=2).tasks
    assert task.points == 4
    assert task.says == ["Your code took too long. [another axis, equal sizes]"]


@pytest.mark.proof
def test_a_submission_that_always_hangs_is_hurried(tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "CASE", 1.0)
    monkeypatch.setattr(grading, "LOST", 1.0)
    monkeypatch.setattr(grading, "HURRIED", 0.3)
    folder = in_file(tmp_path, "while True: pass")
    first, second = grade(folder, [TASKS["softmax-backward"]] * 2, seed=2).tasks
    assert first.points == second.points == 0
    assert second.seconds < first.seconds


def test_the_command_prints_text_and_json(tmp_path, capsys):
    folder = str(in_file(tmp_path, HALF))
    assert (
        command.main(["grade", folder, "--tasks", "softmax-backward", "--format", "json", "--seed", "2"]) == 0
    )
    printed = json.loads(capsys.readouterr().out)
    assert (printed["score"], printed["max_score"], printed["seed"]) == (4, 8, 2)
    (task,) = printed["tasks"]
    assert (task["name"], task["points"], task["max_points"]) == ("softmax-backward", 4, 8)
    assert len(task["says"]) == 2
    assert command.main(["grade", folder, "--tasks", "softmax-backward"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("   4 of   8  softmax-backward (2 of 4 cases right)\n")
    assert "isolation: a process without the reference" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere is no folder, zip or file"),
        ([".", "--tasks", "zebra"], "--tasks has 'zebra'; expected names that `list` shows, or all"),
        ([".", "--seed", "-1"], "--seed is -1; expected an integer of at least 0"),
    ],
)
def test_mistakes_of_the_caller_are_one_line(arguments, said, capsys):
    assert command.main(["grade", *arguments]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


def test_nothing_that_is_said_holds_code_of_the_solution(tmp_path):
    """Of the lines of the solution's functions none stands in a sentence."""
    from tests.mutants.tables import MUTANTS

    lines = {
        line.strip() for module in {x for task in STAGE1 for x in task.modules}
        for line in (ROOT / "step01_numpy" / f"{module.replace('.', '/')}.py").read_text("utf-8").splitlines()
    }  # fmt: skip
    code = {line for line in lines if len(line) > 12 and ("=" in line or "return" in line)}
    for mutant in MUTANTS:
        assert not any(line in mutant.says for line in code), mutant.name
        assert not mutant.says or mutant.old not in mutant.says or len(mutant.old) < 8, mutant.name


def test_a_child_that_does_not_start_is_no_fault_of_the_submission(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sandbox, "NUMPY", str(tmp_path))
    folder = str(in_file(tmp_path, HALF))
    assert command.main(["grade", folder, "--tasks", "softmax-backward"]) == 2
    assert "no process for submissions could be started: ModuleNotFoundError" in capsys.readouterr().err


def test_nan_is_right_where_it_is_expected_alone():
    assert equal(np.array([np.nan, 1.0]), np.array([np.nan, 1.0]), 1e-10)
    assert not equal(np.array([np.nan, 1.0]), np.array([0.0, 1.0]), 1e-10)
    assert not equal(np.array([0.0, 1.0]), np.array([np.nan, 1.0]), 1e-10)
    assert equal(np.array([np.inf, 1.0]), np.array([np.inf, 1.0]), 1e-10)
    assert not equal(np.array([1.0]), np.array([1]), 1e-10)
    assert equal(2.0, np.float64(2), 1e-10)


def test_text_is_cleaned():
    assert clean("\x1b[2Ja\x00b\nc") == "[2Ja b c"
    assert len(clean("x" * 10_000)) == 2000


def test_exceptions_that_are_alike_are_no_likeness():
    """A variant that raises explains nothing, whatever the submission raises."""
    known = answers(TASKS["softmax-backward"], 1)
    account = Account({name: Answer(None, "ValueError", "no") for name in known.expected})
    assert explain(account, known) == ["Your code raises ValueError: no."]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("result", "result"),
        ("result 2", "second result"),
        ("call 3", "result of call 3"),
        ("call 3 1", "first result of call 3"),
        ("w_q.weight.grad", "`w_q.weight.grad`"),
    ],
)
def test_values_are_spoken_of_by_name(name, said):
    assert spoken(name) == said
