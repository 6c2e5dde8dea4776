"""What was handed in is read, whatever it is: one sentence for each file that cannot be, the rest is graded."""

# ruff: noqa: E501  (one file a line)

import os
import stat
import zipfile
from pathlib import Path

import pytest

from tests.homework.blank import ROOT
from tests.homework.grade import grade
from tests.homework.submission import LARGEST, Submission, Unreadable, read
from tests.homework.table import TASKS

SOFTMAX = (ROOT / "step01_numpy" / "softmax.py").read_text("utf-8")
TASK = TASKS["softmax-backward"]


def folder(tmp_path, **files):
    """Write files by their names, __ standing for a folder and _dot_ for a dot; return the folder."""
    top = tmp_path / "submission"
    top.mkdir(exist_ok=True)
    for name, content in files.items():
        path = top / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return top


def zipped(tmp_path, files, name="submission.zip", kind=zipfile.ZIP_DEFLATED):
    """Write a zip of files by their names."""
    path = tmp_path / name
    with zipfile.ZipFile(path, "w", kind) as archive:
        for inner, content in files.items():
            archive.writestr(inner, content)
    return path


PLACES = [
    ["softmax.py"],
    ["step01_numpy/softmax.py"],
    ["homework/step01_numpy/softmax.py", "homework/check.py"],
    ["a b/ünïcode/softmax.py"],
    ["step01_numpy/softmax.py", "step02_torch/softmax.py"],
    ["softmax.py", "old/softmax.py"],
    ["softmax.py", ".git/softmax.py", "__MACOSX/softmax.py", "venv/site-packages/step01_numpy/softmax.py"],
]


@pytest.mark.parametrize("names", PLACES, ids=lambda x: x[0] + str(len(x)))
def test_the_file_is_found(names, tmp_path):
    for other in names[1:]:
        (tmp_path / "all" / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / other).write_text("wrong")
    (tmp_path / "all" / names[0]).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "all" / names[0]).write_text("right")
    packed = zipped(tmp_path, {x: "right" if x == names[0] else "wrong" for x in names})
    for found in (read(tmp_path / "all"), read(packed), read(tmp_path / "all" / names[0])):
        assert found.text(found.find("step01_numpy", "softmax")) == "right"
        assert found.notes == []


def sentence(path, module="softmax"):
    """Return what is said of a module that cannot be read."""
    submission = read(path)
    with pytest.raises(Unreadable) as error:
        submission.text(submission.find("step01_numpy", module))
    return str(error.value)


BAD = {
    "nothing of it": ({"readme_dot_txt": "x"}, "There is no softmax.py in your submission."),
    "a notebook": (
        {"Softmax_dot_ipynb": "{}"},
        "Softmax.ipynb is a notebook, which cannot be graded: save it as softmax.py",
    ),
    "renamed": ({"softmax_final_dot_py": SOFTMAX}, "if softmax_final.py is meant, name it softmax.py"),
    "other letters": ({"SoftMax_dot_py": SOFTMAX}, "if SoftMax.py is meant, name it softmax.py"),
    "twice": (
        {"a__softmax_dot_py": SOFTMAX, "b__softmax_dot_py": SOFTMAX},
        "several files softmax.py: a/softmax.py, b/softmax.py",
    ),
    "binary": ({"softmax_dot_py": b"\x00\x01"}, "softmax.py is not text: it holds binary data."),
    "compiled": ({"softmax_dot_py": b"\xa7\r\r\n\x00\x00\x00"}, "softmax.py is not text"),
    "Latin-1": (
        {"softmax_dot_py": "# naïve".encode("latin-1")},
        "softmax.py is not UTF-8: save it with that encoding.",
    ),
    "UTF-16": ({"softmax_dot_py": SOFTMAX.encode("utf-16")}, "softmax.py is not text"),
    "large": ({"softmax_dot_py": "#" * (LARGEST + 1)}, "softmax.py is larger than 200 kB."),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_sentence(name, tmp_path):
    files, said = BAD[name]
    assert said in sentence(folder(tmp_path, **files))


def test_a_mark_of_the_byte_order_and_other_ends_of_lines_are_fine(tmp_path):
    top = folder(tmp_path, softmax_dot_py=b"\xef\xbb\xbf" + SOFTMAX.replace("\n", "\r\n").encode())
    assert grade(top, [TASK], seed=1).score == 8


@pytest.mark.parametrize("kind", ["symlink", "hard link", "pipe", "folder", "link to a folder", "device"])
def test_what_is_no_regular_file_is_not_opened(kind, tmp_path):
    top, secret = folder(tmp_path), tmp_path / "secret.py"
    secret.write_text(SOFTMAX)
    place = top / "softmax.py"
    if kind == "symlink":
        place.symlink_to(secret)
    elif kind == "hard link":
        os.link(secret, place)
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "softmax.py").write_text(SOFTMAX)
        (top / "inner").symlink_to(tmp_path / "elsewhere")
    assert sentence(top).endswith(".")


CLIMBING = ["../softmax.py", "/etc/softmax.py", "a/../../softmax.py", "C:\\softmax.py", "..\\softmax.py"]


@pytest.mark.proof
@pytest.mark.parametrize("name", CLIMBING)
def test_paths_that_climb_out_are_not_read(name, tmp_path):
    path = zipped(tmp_path, {name: "wrong", "softmax.py": SOFTMAX})
    result = grade(path, [TASK], seed=1)
    assert result.score == 8
    assert result.notes == ["1 paths of the zip lead out of it and were not read."]
    assert sorted(x.name for x in tmp_path.iterdir()) == ["submission.zip"]


def test_a_bomb_is_read_to_the_limit(tmp_path):
    path = zipped(tmp_path, {"softmax.py": b"#" * 50_000_000})
    assert path.stat().st_size < 1_000_000
    assert sentence(path) == "softmax.py is larger than 200 kB."


def test_a_stated_size_is_not_believed(tmp_path):
    """The header says that 200 kB are 9 bytes."""
    path = zipped(tmp_path, {"softmax.py": b"#" * 300_000})
    data = path.read_bytes()
    assert data.count((300_000).to_bytes(4, "little")) == 2
    path.write_bytes(data.replace((300_000).to_bytes(4, "little"), (9).to_bytes(4, "little")))
    assert sentence(path).endswith((".", "kB."))


def test_a_link_in_a_zip_is_none(tmp_path):
    path = tmp_path / "submission.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("softmax.py")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    assert sentence(path) == "softmax.py is a link: hand in the file itself."


def test_damaged_and_locked_zips(tmp_path):
    path = zipped(tmp_path, {"softmax.py": SOFTMAX})
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    (tmp_path / "damaged.zip").write_bytes(data)
    assert "the zip is damaged or locked" in sentence(tmp_path / "damaged.zip")
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag of encryption, here and in the directory at the end
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(data)
    assert "the zip is damaged or locked" in sentence(tmp_path / "locked.zip")
    (tmp_path / "cut.zip").write_bytes(path.read_bytes()[:-30])
    assert sentence(tmp_path / "cut.zip").startswith("There is no softmax.py")


def test_more_files_than_anybody_hands_in(tmp_path):
    path = zipped(tmp_path, {f"{i}.py": "" for i in range(5001)}, kind=zipfile.ZIP_STORED)
    assert read(path).notes == ["The submission has more than 5000 files: hand in the asked ones only."]


def test_empty_and_wrong_folders(tmp_path):
    top = folder(tmp_path)
    assert grade(top, [TASK], seed=1).notes == ["The submission is empty."]
    folder(tmp_path, essay_dot_txt="x")
    result = grade(top, [TASK], seed=1)
    assert result.notes == ["None of the files that the tasks ask for is here: softmax.py."]
    assert result.tasks[0].says == ["There is no softmax.py in your submission."]
    with pytest.raises(ValueError, match="expected a submission"):
        read(tmp_path / "nowhere")


def test_one_bad_file_costs_its_tasks_alone(tmp_path):
    top = folder(
        tmp_path, softmax_dot_py=SOFTMAX, merge_dot_py=b"\x00", masks_dot_py="def (", attention_dot_py=""
    )
    result = grade(top, [TASKS[x] for x in ("softmax-backward", "merge", "masks", "attention")], seed=1)
    points = {x.name: x.points for x in result.tasks}
    assert points == {"softmax-backward": 8, "merge": 0, "masks": 0, "attention": 0}
    assert [x.says for x in result.tasks[1:]] == [
        ["merge.py is not text: it holds binary data."],
        ["masks.py is not Python: invalid syntax, line 1."],
        ["attention.py has no scaled_dot_product_attention."],
    ]


def test_one_of_two_files_is_worth_its_own_cases(tmp_path):
    for name, missing in (("softmax", "merge"), ("merge", "softmax")):
        top = tmp_path / name
        top.mkdir()
        (top / f"{name}.py").write_bytes((ROOT / "step01_numpy" / f"{name}.py").read_bytes())
        (found,) = grade(top, [TASKS["softmax"]], seed=1).tasks
        assert {case for case, right in found.cases.items() if right} == {
            case for case in found.cases if case.startswith("log-sum-exp") == (name == "merge")
        }
        unread, said = found.says
        assert unread == f"There is no {missing}.py in your submission."
        assert said.startswith("This is not written yet.")


NAMES = [
    "numpy", "json", "numbers", "wire", "splice", "main", "sitecustomize", "usercustomize", "conftest", "jaxtyping",
    "step01_numpy", "os", "tests",
]  # fmt: skip


def test_files_that_would_hide_others(tmp_path):
    """A module of the student's with the name of one that is needed is never on the path."""
    bad = "raise SystemExit('taken')"
    files = {f"{name}_dot_py": bad for name in NAMES} | {"x_dot_pth": "import os; os._exit(0)"}
    files |= {"step01_numpy____init___dot_py": bad, "results_dot_json": '{"score": 100}'}
    own = SOFTMAX.replace("import numpy as np", "import json, numbers\nimport numpy as np")
    own = own.replace(
        "    wide = widen(weights)", "    wide = widen(weights), json, numbers\n    wide = wide[0]"
    )
    result = grade(folder(tmp_path, softmax_dot_py=own, **files), [TASK], seed=1)
    assert result.score == 8, result.tasks


@pytest.mark.proof
@pytest.mark.parametrize(
    "line", ["from step01_numpy.own import f", "from .own import f", "from own import f"]
)
def test_a_module_of_ones_own(line, tmp_path):
    own = "def f(x, y, axis):\n    return y * (x - (x * y).sum(axis=axis, keepdims=True))\n"
    text = f"{line}\n\n\ndef softmax_backward(d_weights, weights, axis=-1):\n    return f(d_weights, weights, axis)\n"
    result = grade(folder(tmp_path, softmax_dot_py=text, own_dot_py=own), [TASK], seed=1)
    assert result.score == 8, result.tasks


def test_nothing_is_written(tmp_path):
    top = folder(tmp_path, softmax_dot_py=SOFTMAX)
    before = {x: x.stat().st_mtime_ns for x in top.rglob("*")}
    os.chmod(top, 0o555)
    assert grade(top, [TASK], seed=1).score == 8
    assert {x: x.stat().st_mtime_ns for x in top.rglob("*")} == before


def test_a_file_is_read_when_it_is_asked_for():
    """Of a submission only the wanted files are opened."""
    submission = Submission({"softmax.py": lambda: b"x = 1", "other.py": lambda: 1 / 0})
    assert submission.text(submission.find("step01_numpy", "softmax")) == "x = 1"
    assert Path("softmax.py").suffix == ".py"
