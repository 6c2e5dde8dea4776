"""The archives of the platforms, unpacked and run in a copy of each platform's folders."""

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.homework import bundle, bundle_command
from tests.homework.__main__ import main
from tests.homework.table import TASKS
from tests.homework.test_formats import RUNNER, check_classroom50, check_gradescope, check_prairielearn

ROOT = Path(__file__).parent.parent.parent
SOLUTION, SAMPLES = ROOT / "step01_numpy", ROOT / "tests" / "homework" / "samples"
SECONDS = 120
LIBRARY = shlex.quote(sysconfig.get_path("purelib"))
HERE = f"PYTHONPATH={LIBRARY} exec {shlex.quote(sys.executable)} -S"  # -S: of our packages only the bundle's
MODES = {"setup.sh": 0o755, "run_autograder": 0o755}


def entries(platform, *names):
    return bundle.PLATFORMS[platform]([TASKS[x] for x in names or ("softmax",)], 417, "names")


def unpack(platform, folder):
    """Unpack a platform's archive, its files with their modes."""
    with zipfile.ZipFile(io.BytesIO(bundle.archive(entries(platform), "x.zip"))) as archive:
        for info in archive.infolist():
            path = Path(archive.extract(info, folder))
            path.chmod(info.external_attr >> 16 & 0o777)
    return folder


def python(path, behind=HERE):
    """Make a Python: the one at hand, by another name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{behind} "$@"\n')
    path.chmod(0o755)


def run(*command, **environment):
    return subprocess.run(
        [str(x) for x in command],
        env={"PATH": os.environ["PATH"], **{name: str(x) for name, x in environment.items()}},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def hand_in(folder, **texts):
    """Hand in the solution of the task softmax, or other texts of its files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("softmax", "merge"):
        (folder / f"{name}.py").write_text(texts.get(name, (SOLUTION / f"{name}.py").read_text()))
    return folder


# The archive


@pytest.mark.parametrize("platform", bundle.PLATFORMS)
def test_the_weights_and_the_tests_stay_here(platform):
    names = entries(platform)
    assert not [x for x in names if x.endswith((".safetensors", ".pyc")) or "/test_" in x or "samples" in x]
    assert any(x.endswith("project/step01_numpy/common/decoding/search.py") for x in names)
    assert any(x.endswith("project/tests/homework/child/main.py") for x in names)
    assert len(bundle.archive(names, "x.tar.gz")) < bundle.LARGEST == 10 * 1024**2


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
def test_the_same_tasks_give_the_same_bytes(name, tmp_path):
    found = entries("gradescope")
    first = bundle.archive(found, name)
    os.utime(ROOT / "LICENSE")
    assert bundle.archive(dict(reversed(found.items())), name) == first
    if name == "x.zip":
        with zipfile.ZipFile(io.BytesIO(first)) as archive:
            modes = {x.filename: x.external_attr >> 16 & 0o777 for x in archive.infolist()}
    else:
        with tarfile.open(fileobj=io.BytesIO(first)) as archive:
            modes = {x.name: x.mode for x in archive.getmembers()}
    assert modes == {x: MODES.get(x, 0o644) for x in found}
    assert list(modes) == sorted(modes)


def test_gradescopes_files_stand_at_the_root():
    found = entries("gradescope")
    assert {x for x in found if "/" not in x} == {"setup.sh", "run_autograder"}
    assert all(found[x][0].startswith(b"#!/usr/bin/env bash\n") for x in MODES)
    assert found["project/arguments.txt"][0] == b"--tasks\nsoftmax\n--seed\n417\n--feedback\nnames\n"


def test_prairielearns_question_names_its_files_and_its_entrypoint():
    found = entries("prairielearn", "softmax", "heads")
    question = "questions/attention_homework"
    page = found[f"{question}/question.html"][0].decode()
    assert 'file-names="softmax.py,merge.py,multi_head_attention.py"' in page
    options = json.loads(found[f"{question}/info.json"][0])["externalGradingOptions"]
    assert options["enabled"] is True
    assert 30 < options["timeout"] <= 600
    assert options["entrypoint"].removeprefix("/grade/") in found


def test_the_command_writes_an_archive_and_says_what_to_do(tmp_path, capsys):
    out = tmp_path / "autograder.zip"
    assert main(["bundle", "gradescope", "--tasks", "softmax", "--seed", "417", "--out", str(out)]) == 0
    assert out.read_bytes() == bundle.archive(entries("gradescope"), "x.zip")
    assert "upload it as the autograder of a programming assignment" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["gradescope", "--tasks", "softmax", "--out", "x.tar.gz"], "--out is 'x.tar.gz'; expected a .zip"),
        (
            ["classroom50", "--tasks", "softmax", "--out", "x.rar"],
            "--out is 'x.rar'; expected a name that ends",
        ),
        (
            ["gradescope", "--tasks", "zebra", "--out", "x.zip"],
            "--tasks has 'zebra'; expected names that `list` shows",
        ),
        (["gradescope", "--tasks", "softmax", "--seed", "-1", "--out", "x.zip"], "--seed is -1; expected"),
    ],
)
def test_what_cannot_be_bundled_is_one_line(arguments, error, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["bundle", *arguments]) == 2
    assert error in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_archive_too_large_for_classroom50_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bundle_command, "LARGEST", 1000)
    out = tmp_path / "x.tar.gz"
    assert main(["bundle", "classroom50", "--tasks", "softmax", "--out", str(out)]) == 2
    assert "classroom50 takes at most 1000" in capsys.readouterr().err
    assert not out.exists()


# Gradescope


@pytest.fixture
def gradescope(tmp_path):
    """Lay out /autograder as Gradescope does, and return a function that runs what it runs."""
    root, prefix = tmp_path / "autograder", tmp_path / "opt"
    source = unpack("gradescope", root / "source")
    shutil.copy(source / "run_autograder", root / "run_autograder")
    (root / "submission_metadata.json").write_text("{}")
    python(prefix / "bin" / "python")

    def call():
        done = run(root / "run_autograder", HOMEWORK_PREFIX=prefix)
        return json.loads((root / "results" / "results.json").read_text()), done

    call.root, call.prefix = root, prefix
    return call


SPY = """

def spy():
    for path in ({paths}):
        try:
            open(path, "w" if "results" in path else "r").close()
            print("OPENED", path)
        except OSError as error:
            print("refused", type(error).__name__)
"""


def spying(*paths):
    """Return a right softmax that tries to open files, and says what came of it."""
    text = (SAMPLES / "good" / "softmax.py").read_text()
    calling = text.replace("    highest = scores.max", "    spy()\n    highest = scores.max")
    assert calling != text
    return calling + SPY.format(paths=", ".join(repr(str(x)) for x in paths))


def test_gradescope_grades_a_right_submission_and_keeps_it_in(gradescope):
    root = gradescope.root
    paths = [root / "results/results.json", root / "source/project/step01_numpy/softmax.py"]
    hand_in(root / "submission", softmax=spying(*paths))
    found, done = gradescope()
    check_gradescope(found)
    assert (found["score"], found["tests"][0]["max_score"]) == (12, 12), done.stderr
    if os.geteuid() == 0:
        assert "another user" in found["extra_data"]["isolation"]
    assert "refused" in str(found)
    assert "OPENED" not in str(found)
    assert not (root / "results" / "results.json.new").exists()
    for name in ("source", "results", "submission"):
        assert (root / name).stat().st_mode & 0o077 == 0, name


def test_gradescope_has_a_result_where_the_grader_does_not_finish(gradescope):
    hand_in(gradescope.root / "submission")
    python(gradescope.prefix / "bin" / "python", 'echo "{"; exit 3;')
    found, done = gradescope()
    check_gradescope(found)
    assert done.returncode != 0
    assert (found["score"], found["tests"]) == (0, [])
    assert found["output"].startswith("The grader did not finish.")


@pytest.fixture
def setup(tmp_path):
    """Run setup.sh among stand-ins: apt-get, which notes what it is asked for, and Pythons of our choice."""
    source, bin_ = unpack("gradescope", tmp_path / "source"), tmp_path / "bin"
    log = tmp_path / "log"

    def call(*pythons, installs=""):
        """`pythons`: (name, version), and what apt-get install gives."""
        for name in ("readlink", "basename", "dirname", "xargs", "bash", "env", "sh", "mkdir", "cp", "chmod"):
            bin_.mkdir(exist_ok=True)
            (bin_ / name).symlink_to(shutil.which(name))
        for name, version in pythons:
            python(bin_ / name, fake(version))
        python(tmp_path / "given", fake("3.11"))
        gives = (
            f'case "$*" in *python3.11*) cp {tmp_path}/given {bin_}/python3.11;; esac;' if installs else ""
        )
        python(bin_ / "apt-get", f'echo "apt-get $*" >> {log}; {gives} true')
        script = run("/bin/bash", source / "setup.sh", PATH=bin_, HOMEWORK_PREFIX=tmp_path / "opt")
        return script, log.read_text()

    def fake(version):
        """Return a Python that has a version, and makes an environment that notes what pip is asked for."""
        old = int(tuple(map(int, version.split("."))) < (3, 11))
        made = f'mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; echo "venv $0" >> {log}'
        return f'case "$1$2" in -c*) exit {old};; -mvenv) {made};; -mpip) echo "pip $*" >> {log};; esac; true'

    return call


def test_setup_takes_a_python_that_is_there(setup, tmp_path):
    done, log = setup(("python3", "3.12"))
    assert done.returncode == 0, done.stderr
    assert f"venv {tmp_path}/bin/python3\n" in log
    assert "install -y python3.11" not in log
    project = tmp_path / "source/project"
    assert f"--constraint {project}/constraints.txt --requirement {project}/requirements.txt" in log
    assert (tmp_path / "opt/bin/python").exists()


def test_setup_installs_one_where_there_is_none_new_enough(setup, tmp_path):
    done, log = setup(("python3", "3.10"), installs="python3.11")
    assert done.returncode == 0, done.stderr
    assert "apt-get install -y python3.11 python3.11-venv\n" in log
    assert f"venv {tmp_path}/bin/python3.11\n" in log


def test_setup_says_that_there_is_none(setup):
    done, log = setup(("python3", "3.10"))
    assert done.returncode == 1
    assert "found no Python of at least 3.11 outside /root" in done.stderr
    assert "venv" not in log.replace("python3.11-venv", "")


def test_requirements_are_in_the_tested_set():
    pinned = {x.split("==")[0] for x in (ROOT / "constraints.txt").read_text().splitlines() if "==" in x}
    assert {*bundle.REQUIREMENTS, "torch"} <= pinned
    assert b"torch" not in entries("gradescope")["project/requirements.txt"][0].split()


# classroom50


@pytest.fixture
def classroom50(tmp_path, monkeypatch):
    """Lay out a student's checkout and the autograder's bundle; return a function that runs it there."""
    home, checkout = unpack("classroom50", tmp_path / "bundle"), hand_in(tmp_path / "checkout")

    def call(program="autograder.py"):
        environment = {**RUNNER, "PATH": os.environ["PATH"], "GITHUB_TOKEN": "secret"}
        done = subprocess.run(
            [sys.executable, str(home / program)],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return json.loads((checkout / "result.json").read_text()), done

    call.home, call.checkout = home, checkout
    return call


@pytest.mark.proof
def test_classroom50_grades_and_takes_nothing_that_was_committed(classroom50, tmp_path):
    mine = tmp_path / "mine.json"
    mine.write_text("untouched")
    (classroom50.checkout / "result.json").symlink_to(mine)
    (classroom50.checkout / "release-body.md").mkdir()
    (classroom50.checkout / "release-body.md" / "x").touch()
    (classroom50.checkout / "sitecustomize.py").write_text("raise SystemExit(9)")
    found, done = classroom50()
    check_classroom50(found)
    assert done.returncode == 0, done.stderr
    assert (found["score"], found["max-score"], found["owner"]) == (12, 12, "emmy")
    assert mine.read_text() == "untouched"
    assert not (classroom50.checkout / "release-body.md").exists()


def test_classroom50_has_a_result_where_the_grader_does_not_finish(classroom50):
    (classroom50.checkout / "result.json").write_text('{"score": 100}')
    (classroom50.home / "project" / "tests" / "homework" / "grade.py").write_text("raise SystemExit(3)")
    found, done = classroom50()
    check_classroom50(found)
    assert done.returncode == 1
    assert (found["score"], found["max-score"], found["tests"]) == (0, 0, [])


def python_of_all():
    """Return a Python of our version that every user may run, or None."""
    for path in (
        sys.executable,
        shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin"),
    ):
        real = Path(os.path.realpath(path or "/"))
        if real.is_file() and all(x.stat().st_mode & 0o005 == 0o005 for x in [real, *real.parents]):
            return path
    return None


@pytest.mark.proof
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.skipif(python_of_all() is None, reason="no Python of this version is every user's to run")
def test_classroom50_grades_as_an_ordinary_user():
    """Its runner is no root, and the student's code runs as the same user; packages were installed before."""
    with TemporaryDirectory() as folder:
        root, user = Path(folder), 65534
        root.chmod(0o755)
        unpack("classroom50", root / "bundle")
        paths = [f"{root}/checkout/{x}" for x in ("results.txt", "merge.py")]
        hand_in(root / "checkout", softmax=spying(*paths))
        for path in [root, *root.rglob("*")]:
            os.chown(path, user, user)
        (root / "bundle" / "packages").symlink_to(sysconfig.get_path("purelib"))
        done = subprocess.run(
            [python_of_all(), str(root / "bundle" / "autograder.py")],
            cwd=root / "checkout",
            env={**RUNNER, "PATH": os.environ["PATH"]},
            user=user,
            group=user,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads((root / "checkout" / "result.json").read_text())
        check_classroom50(found)
        assert found["score"] == found["max-score"] == 12
        assert "refused" in str(found)
        assert "OPENED" not in str(found)


@pytest.fixture
def autograder(classroom50, monkeypatch):
    """The program as a module, in the checkout."""
    spec = spec_from_file_location("autograder", classroom50.home / "autograder.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(classroom50.checkout)
    return module


def test_classroom50s_grader_sees_no_secret_and_no_folder_of_the_student(autograder, monkeypatch):
    asked = {}
    monkeypatch.setattr(autograder.subprocess, "run", lambda command, **options: asked.update(options))
    for name, value in {**RUNNER, "GITHUB_TOKEN": "secret", "PYTHONPATH": "/student"}.items():
        monkeypatch.setenv(name, value)
    autograder.grade()
    assert "secret" not in asked["env"].values()
    assert "/student" not in asked["env"].values()
    assert set(asked["env"]) == {*RUNNER, "PATH", "LANG", "PYTHONPATH"}
    assert asked["cwd"] == autograder.PROJECT


def test_classroom50_installs_only_what_is_missing(autograder, monkeypatch):
    asked = []
    answer = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(autograder.subprocess, "run", lambda command, **_: asked.append(command) or answer)
    assert autograder.install()
    assert asked == []
    (autograder.PROJECT / "requirements.txt").write_text("numpy\nno_such_package_at_all\n")
    assert not autograder.install()
    assert asked[0][1:4] == ["-m", "pip", "install"]
    assert asked[0][-4:] == ["--constraint", "constraints.txt", "--requirement", "requirements.txt"]


# PrairieLearn


@pytest.fixture
def prairielearn(tmp_path):
    """Lay out /grade as PrairieLearn does, and return a function that runs the entrypoint."""
    course, root = unpack("prairielearn", tmp_path / "course"), tmp_path / "grade"
    shutil.copytree(course / "serverFilesCourse", root / "serverFilesCourse")
    (root / "data").mkdir()
    (root / "data" / "data.json").write_text("{}")
    python(tmp_path / "bin" / "python3")

    def call():
        path = f"{tmp_path}/bin:{os.environ['PATH']}"
        done = run(root / "serverFilesCourse" / "attention_homework" / "run.sh", PATH=path)
        return json.loads((root / "results" / "results.json").read_text()), done

    call.root, call.bin = root, tmp_path / "bin"
    return call


@pytest.mark.proof
def test_prairielearn_grades_in_its_folders(prairielearn):
    hand_in(prairielearn.root / "student")
    found, done = prairielearn()
    check_prairielearn(found)
    assert (found["score"], found["gradable"]) == (1.0, True), done.stderr


@pytest.mark.proof
def test_prairielearn_counts_no_attempt_for_what_is_no_python(prairielearn):
    hand_in(prairielearn.root / "student", softmax="def softmax(:\n", merge="def (")
    found, done = prairielearn()
    check_prairielearn(found)
    assert found["gradable"] is False, done.stderr
    assert "softmax.py" in found["format_errors"][0]


def test_prairielearn_counts_no_attempt_where_the_grader_does_not_finish(prairielearn):
    hand_in(prairielearn.root / "student")
    python(prairielearn.bin / "python3", "exit 3;")
    found, _ = prairielearn()
    check_prairielearn(found)
    assert found["gradable"] is False
