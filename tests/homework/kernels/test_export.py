"""What students of kernels get: no solution, and a check that needs NumPy and a C++ compiler."""

# ruff: noqa: E501  (a case a line)

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.homework.choice import chosen
from tests.homework.courses import COURSES
from tests.homework.export import export
from tests.homework.kernels.answers import read
from tests.homework.kernels.hand_in import FILES
from tests.homework.kernels.mistakes import MISTAKES
from tests.homework.kernels.regions import HERE, names, put, regions
from tests.homework.kernels.starter import emptied, head
from tests.homework.kernels.table import KERNELS
from tests.homework.test_export import ALONE, numpy_alone  # noqa: F401  (a fixture)

KERNEL_FILES = "step03_gpu/kernels"
SOME = {"naive-scores", "warp-sum", "load-tile", "barriers"}


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    """A folder for students, without the names of mistakes: these are compiled in the proof alone."""
    out = tmp_path_factory.mktemp("kernels") / "home work"
    export(chosen(None, "kernels"), out, feedback="cases")
    return out


def solve(handed_out, folder, **regions_):
    """Return a copy of the folder with the solution in it, and with other texts in some regions."""
    shutil.copytree(handed_out, folder)
    for file in FILES:
        text = read(file)
        for name in set(regions_) & set(regions(text)):
            text = put(text, name, regions_[name])
        (folder / KERNEL_FILES / file).write_text(text, "utf-8")
    return folder


def check(folder, numpy_alone, *tasks):  # noqa: F811
    """Run check.py on NumPy alone; return its exit code and what it prints."""
    words = ["-I", "-S", "-c", ALONE, str(numpy_alone), str(folder / "check.py"), *tasks]
    kept = {x: os.environ[x] for x in ("PATH", "ATTENTION_STEP_BY_STEP_CACHE") if x in os.environ}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, cwd="/", env=kept
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_the_starter_is_worth_nothing(handed_out, numpy_alone):  # noqa: F811
    code, said = check(handed_out, numpy_alone)
    assert code == 1
    assert said.count("not written yet") == len(KERNELS)
    assert re.search(r"^0 of 113 points$", said, re.M)


@pytest.mark.proof
def test_the_solution_is_right(handed_out, numpy_alone, tmp_path):  # noqa: F811
    code, said = check(solve(handed_out, tmp_path / "solved"), numpy_alone)
    assert (code, re.findall(r"^    .*", said, re.M)) == (0, []), said
    assert said.endswith("113 of 113 points\n")


@pytest.mark.proof
@pytest.mark.parametrize(
    ("task", "region", "text", "said"),
    [
        ("warp-sum", "warp-sum", "    x += lane;\n", "was not declared in this scope"),
        ("load-tile", "load-tile", "    tile[threadIdx.x] = x[threadIdx.x + 9999];\n", "tiles.cuh:29: reads 8 bytes out of"),
        ("barriers", "barriers", "load_tile<COLUMNS, D>(keys, k, start, p.n_keys);\n", "shared memory that no thread"),
    ],
)  # fmt: skip
def test_what_the_emulator_says_is_said(handed_out, numpy_alone, tmp_path, task, region, text, said):  # noqa: F811
    code, words = check(solve(handed_out, tmp_path / "solved", **{region: text}), numpy_alone, task)
    assert code == 1
    assert said in words
    assert words.count(said) == 1


@pytest.mark.proof
def test_mistakes_are_named_and_races_found(tmp_path, numpy_alone):  # noqa: F811
    export(chosen("barriers,rescale"), tmp_path / "starter")
    known = {(x.task, x.name): x for x in MISTAKES}
    race = known["barriers", "no barrier before the loads"]
    output = known["rescale", "output not rescaled"]
    files = {"barriers": "04_tiled_backward.cu", "rescale": "03_tiled.cu"}
    texts = [regions(read(file))[x].text for x, file in files.items()]
    out = solve(tmp_path / "starter", tmp_path / "race", barriers=texts[0].replace(race.old, race.new))
    code, said = check(out, numpy_alone, "barriers")
    assert code == 1
    assert "threads race: argument 6 differs" in said
    out = solve(tmp_path / "starter", tmp_path / "output", rescale=texts[1].replace(output.old, output.new))
    _, said = check(out, numpy_alone, "rescale")
    assert output.says in said


def test_nothing_of_the_solution_is_in_it(handed_out):
    """No line of a region stands anywhere, but for those that what is given has as well."""
    texts = {x: x.read_bytes() for x in handed_out.rglob("*") if x.is_file()}
    index = np.load(handed_out / "check.npz")["index"].tobytes()
    gone = emptied(KERNELS)
    given = ""
    for file, some in gone.items():
        text = head(file, False)
        for name, stub in some.items():
            text = put(text, name, stub)
        given += text
    for file, some in gone.items():
        for name in some:
            lines = [x.strip() for x in regions(read(file))[name].text.splitlines() if len(x.strip()) > 20]
            for line in [x for x in lines if x not in given]:
                assert line.encode() not in index
                assert [str(x) for x, text in texts.items() if line.encode() in text] == [], line


def test_other_walks_do_not_show_what_one_asks_for(handed_out):
    """All walks of rung 4 load their tiles between the same barriers."""
    assert read("04_tiled_backward.cu").count("// the tile before has been used") == 3
    for path in (handed_out / KERNEL_FILES).glob("*.cu*"):
        assert "the tile before has been used" not in path.read_text("utf-8"), path


def test_what_stays_is_the_solutions(handed_out):
    stubs = {stub for some in emptied(KERNELS).values() for stub in some.values()}
    for file in FILES:
        whole = read(file).splitlines()
        for line in (handed_out / KERNEL_FILES / file).read_text("utf-8").splitlines():
            assert line in whole or line.strip() in {HERE, *stubs}, line


def test_formulas_stay_where_they_are_wanted():
    for file in ("02_online_softmax.cu", "04_tiled_backward.cu", "attention.cuh"):
        assert head(file, True) == read(file)
        short = head(file, False)
        assert short.splitlines()[0] == read(file).splitlines()[0]
        assert len(short) < len(read(file))
    assert "exp(m_before - m)" in read("02_online_softmax.cu")
    assert "exp(m_before - m)" not in head("02_online_softmax.cu", False)
    assert "d_scores = weights" not in head("04_tiled_backward.cu", False)


def test_the_handout_says_what_to_write(handed_out):
    text = (handed_out / "HANDOUT.md").read_text("utf-8")
    assert text.startswith("# Homework: kernels\n")
    assert json.loads((handed_out / "tasks.json").read_text())["tasks"] == COURSES["kernels"]
    for task in KERNELS:
        part = text.split(f"\n## {task.name}\n")[1].split("\n## ")[0]
        for (file, some), words in zip(names(task.targets).items(), task.write, strict=False):
            assert f"`{some[0]}` in `{KERNEL_FILES}/{file}`: {words}" in part
        assert ("It builds on" in part) == bool(task.uses)


def test_windows_is_told_what_to_do(handed_out):
    code = f"import sys, numpy; sys.platform = 'win32'; {ALONE}"
    words = [sys.executable, "-c", code, str(handed_out), str(handed_out / "check.py"), "load-tile"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "The kernels run on Linux and macOS. On Windows install WSL, and call check.py from there.\n"
    )


def test_kernels_and_functions_are_handed_out_together(tmp_path):
    export(chosen("softmax,load-tile"), tmp_path / "both", feedback="points")
    text = (tmp_path / "both" / "HANDOUT.md").read_text("utf-8")
    assert "# Homework\n" in text
    assert "# Homework: kernels\n" in text
    assert (tmp_path / "both" / "step01_numpy" / "softmax.py").is_file()
    here = sorted(x.name for x in (tmp_path / "both" / KERNEL_FILES).iterdir())
    assert here == ["__init__.py", "attention.cuh", "tiles.cuh"]
