"""What students of PyTorch get: a check that looks at gradients, and nothing of the solution."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.homework import __main__ as command
from tests.homework import export, torch_sandbox
from tests.homework.blank import ROOT, STAND_INS, blanked
from tests.homework.child.torch_packages import BESIDE
from tests.homework.choice import chosen
from tests.homework.courses import COURSES
from tests.homework.table import TASKS
from tests.homework.test_blank import lines_of_bodies, split
from tests.homework.test_export import check

OWN = torch_sandbox.Children
SOME = ",".join(
    f"torch-{x}" for x in ("softmax", "simple-attention", "attention", "self-attention", "cache", "residual")
)


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    """A folder for students."""
    out = tmp_path_factory.mktemp("my course") / "home work"
    export.export(chosen(SOME), out)
    return out


@pytest.fixture(scope="module")
def torch_alone(tmp_path_factory):
    """A folder in which there are NumPy, PyTorch and what PyTorch itself needs, and nothing else."""
    place = tmp_path_factory.mktemp("torch")
    for folder, names in ((np, ("numpy", "numpy.libs")), (torch, BESIDE)):
        for name in names:
            for found in Path(folder.__file__).parent.parent.glob(f"{name}*"):
                if found.name in (name, f"{name}.py"):
                    (place / found.name).symlink_to(found)
    return place


@pytest.fixture
def solved(handed_out, tmp_path):
    """The same folder with the solution in it."""
    folder = tmp_path / "solved"
    shutil.copytree(handed_out, folder)
    for path in folder.glob("step0*/**/*.py"):
        name = path.relative_to(folder).as_posix()
        if name not in STAND_INS and not name.endswith("__init__.py"):
            shutil.copy(ROOT / name, path)
    return folder


def replace(folder, name, old, new):
    path = folder / "step02_torch" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.proof
def test_the_starter_is_worth_nothing(handed_out, torch_alone):
    code, said = check(handed_out, torch_alone)
    assert code == 1
    assert said.count("not written yet") == len(SOME.split(","))
    assert re.search(r"^0 of \d+ points$", said, re.M)


def test_the_solution_is_right(solved, torch_alone):
    code, said = check(solved, torch_alone)
    assert (code, re.findall(r"^    .*", said, re.M)) == (0, []), said
    assert re.search(r"^(\d+) of \1 points$", said, re.M)


@pytest.mark.proof
def test_mistakes_are_named(solved, torch_alone):
    replace(solved, "attention.py", "weights = softmax(scores)", "weights = softmax(scores).detach()")
    replace(
        solved, "self_attention.py", "q, k, v = self.w_q(x)", "x = x.detach()\n        q, k, v = self.w_q(x)"
    )
    replace(solved, "cache.py", "return k, v", "return self.keys, self.values")
    replace(solved, "softmax.py", ".softmax(dim=axis)", ".softmax(dim=-1)")
    code, said = check(solved, torch_alone)
    assert code == 1
    for says in (
        "a part of the way is cut off from what it was computed from",
        "no gradient of x: something takes a tensor out of autograd's graph",
        "With a limit you return only what stays",
        "Your softmax runs along the last axis",
    ):
        assert says in said, says
    assert re.search(r"^torch-residual +(\d+) of \1$", said, re.M)


@pytest.mark.proof
def test_what_is_forbidden_is_told(solved, torch_alone):
    call = (
        "from torch.nn.functional import scaled_dot_product_attention as f\n    return f(q, k, v), q @ k.mT\n"
    )
    replace(solved, "attention.py", "    matches = q @", f"    {call}    matches = q @")
    code, said = check(solved, torch_alone, "torch-simple-attention")
    assert code == 1
    assert "calls torch.scaled_dot_product_attention, attention.py line" in said
    assert "this task is to write what that does" in said


def test_nothing_of_the_solution_is_in_it(handed_out):
    """Nor of step01's, which says the same in NumPy."""
    texts = {x.relative_to(handed_out).as_posix(): x for x in handed_out.rglob("*") if x.is_file()}
    texts = {name: x.read_bytes() for name, x in texts.items()}
    index = np.load(handed_out / "check.npz")["index"].tobytes()
    names = blanked(chosen(SOME))
    ours = [x for x in texts if x.startswith("step02_torch/") and x.endswith(".py")]
    elsewhere = "\n".join(split(x, names.get(x, []))[1] for x in ours)
    for path in names:
        for line in [x for x in lines_of_bodies(path, names[path]) if x not in elsewhere]:
            assert line.encode() not in index, line
            assert [file for file, text in texts.items() if line.encode() in text] == [], line
    earlier = blanked(x for x in TASKS.values() if x.stage == 1)
    for path in [x for x in earlier if x in texts]:
        for line in lines_of_bodies(path, earlier[path]):
            assert line.encode() not in texts[path], f"{path}: {line}"


def test_the_handout_says_what_is_particular(handed_out):
    text = (handed_out / "HANDOUT.md").read_text("utf-8")
    assert "Python 3.11 or newer, NumPy and PyTorch, and nothing else" in text
    assert "the gradients that autograd finds through your functions are compared" in text
    part = text.split("\n## torch-simple-attention\n")[1].split("\n## ")[0]
    assert (
        "It may not call `torch.nn.functional.scaled_dot_product_attention`, `torch.nn.MultiheadAttention`"
        in part
    )
    assert "`bias` is a constant" in text
    assert json.loads((handed_out / "tasks.json").read_text())["tasks"] == SOME.split(",")


def test_the_lab_is_a_course_in_pytorch():
    assert all(TASKS[x].stage == 2 for x in COURSES["undergraduate-lab"])


@pytest.mark.parametrize("words", [["export", "--out", "new"], ["grade", "."]], ids=lambda x: x[0])
def test_where_pytorch_is_not_installed_one_line_says_so(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch_sandbox, "find_spec", lambda name: None)
    monkeypatch.setattr(torch_sandbox, "Children", OWN)  # and not those that tests share
    (tmp_path / "cache.py").write_text("x = 1\n")
    assert command.main([*words, "--tasks", "torch-cache"]) == 2
    said = capsys.readouterr().err
    assert "PyTorch is not installed, and tasks of stage 2 are written in it" in said
    assert said.count("\n") == 1
    assert [x.name for x in tmp_path.iterdir()] == ["cache.py"]
    assert command.main(["list"]) == 0
