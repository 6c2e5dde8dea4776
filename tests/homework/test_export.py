"""What students get: whole or not at all, without the solution, and with a check that needs NumPy alone."""

# ruff: noqa: E501  (a case a line)

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.homework import __main__ as command
from tests.homework import export
from tests.homework.blank import ROOT, STAND_INS, blanked
from tests.homework.choice import chosen
from tests.homework.courses import COURSES
from tests.homework.export import files
from tests.homework.folder import portable, write_folder
from tests.homework.table import TASKS
from tests.homework.test_blank import lines_of_bodies, split

SOME = "softmax,masks,hide,simple-attention,multi-head-backward,cache,adamw,beam-search,gru"
ALONE = "import runpy, sys; sys.path.insert(0, sys.argv[1]); sys.argv = sys.argv[2:]; "
ALONE += "runpy.run_path(sys.argv[0], run_name='__main__')"
PYTHONS = [sys.executable, *map(str, sorted(Path.home().glob(".pyenv/versions/3.1[1-9]*/bin/python")))]


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    """A folder for students, in a place whose name has blanks."""
    out = tmp_path_factory.mktemp("my course") / "home work"
    export.export(chosen(SOME), out)
    return out


@pytest.fixture(scope="module")
def numpy_alone(tmp_path_factory):
    """A folder in which there is NumPy and nothing else."""
    place = tmp_path_factory.mktemp("numpy")
    own = Path(np.__file__).parent
    for found in (own, own.parent / "numpy.libs"):
        if found.exists():
            (place / found.name).symlink_to(found)
    return place


@pytest.fixture
def solved(handed_out, tmp_path):
    """The same folder with the solution in it."""
    folder = tmp_path / "solved"
    shutil.copytree(handed_out, folder)
    for path in folder.glob("step01_numpy/**/*.py"):
        name = path.relative_to(folder).as_posix()
        if name not in STAND_INS and name != "step01_numpy/__init__.py":
            shutil.copy(ROOT / name, path)
    return folder


def check(folder, numpy_alone, *tasks):
    """Run check.py on NumPy alone; return its exit code and what it prints."""
    words = ["-I", "-S", "-c", ALONE, str(numpy_alone), str(folder / "check.py"), *tasks]
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"LANG": "C.UTF-8"},
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def replace(folder, name, old, new):
    path = folder / "step01_numpy" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_the_starter_is_worth_nothing(handed_out, numpy_alone):
    code, said = check(handed_out, numpy_alone)
    assert code == 1
    assert said.count("not written yet") == len(SOME.split(","))
    assert re.search(r"^0 of \d+ points$", said, re.M)


def test_the_solution_is_right(solved, numpy_alone):
    code, said = check(solved, numpy_alone)
    assert (code, re.findall(r"^    .*", said, re.M)) == (0, []), said
    assert re.search(r"^(\d+) of \1 points$", said, re.M)


@pytest.mark.parametrize(
    ("file", "old", "new", "task", "says"),
    [
        ("masks.py", "key <= query", "key < query", "masks", "a query does not see its own position. .*[causal"),
        ("attention.py", "matches / sqrt(q.shape[-1])", "matches", "simple-attention", "The scores are not scaled"),
        ("cache.py", "return k, v", "return self.keys, self.values", "cache", "you return only what stays"),
        ("optimizer.py", "** self.steps", "** 1", "adamw", ""),
        ("masks.py", "return key <= query", "return 1", "masks", "the result is of shape (); expected of shape (6, 6)"),
        ("masks.py", "return key <= query", "return keys", "masks", "NameError: name 'keys' is not defined, masks.py line"),
        ("softmax.py", "exp /= ", "exp /= 3 * ", "softmax", "other numbers than expected"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(solved, numpy_alone, file, old, new, task, says):
    if says:
        replace(solved, file, old, new)
    else:
        replace(solved, file, "1 - beta_1**self.steps", "1")
        says = "Your running mean is used as it is"
    code, said = check(solved, numpy_alone, task)
    assert code == 1
    assert re.search(re.escape(says).replace(r"\.\*", ".*"), said), said


def test_other_tasks_stay_right_beside_a_mistake(solved, numpy_alone):
    replace(solved, "cache.py", "return k, v", "return self.keys, self.values")
    _, said = check(solved, numpy_alone)
    wrong = [line.split()[0] for line in said.splitlines() if re.match(r"[a-z-]+ +(\d+) of (?!\1$)", line)]
    assert wrong == ["cache"]


def test_what_a_task_builds_on_is_said(solved, numpy_alone):
    replace(solved, "softmax.py", "exp /= ", "exp /= 3 * ")
    _, said = check(solved, numpy_alone, "softmax", "simple-attention")
    assert "it builds on softmax, which should be right first" in said


def test_a_file_that_cannot_be_read_is_named(solved, numpy_alone):
    (solved / "step01_numpy/cache.py").write_text("def append(:\n")
    code, said = check(solved, numpy_alone, "cache", "masks")
    assert code == 1
    assert "SyntaxError: invalid syntax" in said
    assert re.search(r"^masks +(\d+) of \1$", said, re.M)


def test_an_unknown_task_is_refused(handed_out, numpy_alone):
    code, said = check(handed_out, numpy_alone, "zebra")
    assert code == 2
    assert said.startswith("no task is called 'zebra': softmax, ")


@pytest.mark.parametrize(("feedback", "says", "not_said"), [
    ("cases", "other numbers than expected [plain", "scaled"),
    ("points", "simple-attention", "["),
])  # fmt: skip
def test_feedback_says_no_more_than_it_should(solved, numpy_alone, feedback, says, not_said):
    data = files(chosen("simple-attention"), feedback=feedback)
    (solved / "check.npz").write_bytes(data["check.npz"])
    replace(solved, "attention.py", "matches / sqrt(q.shape[-1])", "matches")
    _, said = check(solved, numpy_alone)
    assert says in said
    assert not_said not in said
    assert b"not scaled" not in np.load(solved / "check.npz")["index"].tobytes()


def test_nothing_of_the_solution_is_in_it(handed_out):
    found = [path for path in handed_out.rglob("*") if path.is_file()]
    texts = {path.relative_to(handed_out).as_posix(): path.read_bytes() for path in found}
    index = np.load(handed_out / "check.npz")["index"].tobytes()
    names = blanked(chosen(SOME))
    ours = [x for x in texts if x.startswith("step01_numpy/") and x.endswith(".py")]
    given = [split(x, names.get(x, [])) for x in ours]
    elsewhere = "\n".join(others for _, others in given)
    for path in names:
        lines = lines_of_bodies(path, names[path])
        assert lines
        for line in [x for x in lines if x not in elsewhere]:
            assert line.encode() not in index, line
            for file, text in texts.items():
                assert line.encode() not in text, f"{file}: {line}"


def test_the_handout_says_what_to_do(handed_out):
    text = (handed_out / "HANDOUT.md").read_text("utf-8")
    about = json.loads((handed_out / "tasks.json").read_text())
    assert about["tasks"] == [name for name in TASKS if name in SOME.split(",")]
    assert about["seed"] == export.SEED
    assert re.fullmatch(r"\d+\.\d+.*", about["version"])
    for name in about["tasks"]:
        task = TASKS[name]
        part = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        points = task.points * len(task.cases(np.random.default_rng(0)))
        assert part.startswith(f"\n{points} points, {task.points} for each of ")
        assert f"| {name} | {points} |" in text
        assert all(f"`{target.split(':')[1]}` in `step01_numpy/" in part for target in task.targets)
    assert "def beam_search(\n    step: Callable," in text
    assert (
        "It may call what other tasks are about: `softmax`, `log_sum_exp`."
        in text.split("## simple-attention")[1]
    )
    assert "The form is PyTorch's" in text


def test_names_suit_every_system(handed_out):
    for path in handed_out.rglob("*"):
        assert portable(path.name), path
    assert not any(map(portable, ("aux.py", "CON", "a b", "x:y", "é", "x.", ".hidden", "com1.txt")))


@pytest.mark.parametrize("python", PYTHONS, ids=lambda x: Path(x).parent.parent.name)
def test_every_python_reads_it(handed_out, python):
    sources = [str(path) for path in handed_out.rglob("*.py")]
    script = (
        "import pathlib, sys; [compile(pathlib.Path(x).read_text('utf-8'), x, 'exec') for x in sys.argv[1:]]"
    )
    done = subprocess.run(
        [python, "-W", "error", "-c", script, *sources], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_same_tasks_make_the_same_files():
    tasks = chosen("softmax,heads")
    first, again = files(tasks), files(tasks)
    assert {x: y for x, y in first.items() if x != "check.npz"} == {
        x: y for x, y in again.items() if x != "check.npz"
    }
    assert list(first) == list(again)


def test_notes_stay_where_they_are_wanted():
    assert (
        b"Notes" not in files(chosen("gru"))["step01_numpy/recurrent.py"].split(b"def gru_step_backward")[0]
    )
    assert (
        b"Notes"
        in files(chosen("gru"), notes=True)["step01_numpy/recurrent.py"].split(b"def gru_step_backward")[0]
    )


@pytest.mark.parametrize("course", COURSES)
def test_courses_are_tasks(course):
    assert [task.name for task in chosen(None, course)] == [x for x in TASKS if x in COURSES[course]]
    assert set(COURSES[course]) <= set(TASKS)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tasks", "softmax,zebra", "--out", "new"], "--tasks has 'zebra'; expected names that `list` shows, or all"),
        (["--tasks", "", "--out", "new"], "--tasks has ''"),
        (["--course", "zebra", "--out", "new"], "--course is 'zebra'; expected one of undergraduate"),
        (["--tasks", "heads", "--out", "old"], "--out is old, which is there already; expected a new folder"),
        (["--tasks", "heads", "--out", "no/new"], "--out is no/new, and there is no folder no"),
        (["--out", "new"], "one of the arguments --tasks --course is required"),
    ],
)  # fmt: skip
def test_bad_words_are_one_line_and_nothing_is_written(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    try:
        code = command.main(["export", *words])
    except SystemExit as error:
        code = error.code
    assert code == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert os.listdir(tmp_path) == ["old"]
    assert os.listdir(tmp_path / "old") == []


def test_a_folder_is_written_whole_or_not_at_all(tmp_path):
    def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_folder(tmp_path / "new", broken)
    with pytest.raises(AssertionError):
        write_folder(tmp_path / "new", lambda: {"good.py": b"1", "bad|name": b"2"})
    assert list(tmp_path.iterdir()) == []
    write_folder(tmp_path / "new", lambda: {"a/b.py": b"1"})
    assert (tmp_path / "new/a/b.py").read_bytes() == b"1"
    assert [x.name for x in tmp_path.iterdir()] == ["new"]
