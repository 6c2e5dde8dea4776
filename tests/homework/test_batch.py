"""A batch: one outcome for each submission whatever the others do, resumed, and its tables."""

import csv
import io
import json
import os
import time
import zipfile
from functools import partial
from pathlib import Path

import pytest

from tests.homework import batch, batch_command, lms, submissions, workers
from tests.homework.__main__ import main
from tests.homework.result import Result, TaskResult
from tests.homework.submissions import counting, digest, find, gathered

ROOT = Path(__file__).parent.parent.parent
SETTINGS = {"tasks": ["attention"], "seed": 7, "version": "0.1.0", "feedback": "names"}
SAYS = "Your mask is inverted: True means may attend."


def double(path, log=None):
    """Grade by a word in the file `points`: a number, or what the grader shall do."""
    word = (path / "points").read_text() if path.is_dir() else "0"
    if log:
        with open(log, "a") as file:
            file.write(f"{path.name}\n")
    if word == "raise":
        raise KeyError("inputs\nof a frame")
    if word == "end":
        os._exit(7)
    if word == "hang":
        time.sleep(600)
    says = [] if word == "9" else ["=HYPERLINK(1)" if word == "1" else SAYS]
    task = TaskResult("attention", int(word), 9, {"plain": True}, says)
    return Result([task], 7, "0.1.0", "none: a double")


@pytest.fixture
def submit(tmp_path):
    """Hand in a folder of a name with a word in it."""
    folder = tmp_path / "submissions"
    folder.mkdir()

    def call(name, word="9"):
        (folder / name).mkdir()
        (folder / name / "points").write_text(word)
        return folder

    return call


@pytest.fixture(autouse=True)
def here(monkeypatch, request):
    """Grade in this process, which is faster, but where processes are the subject."""
    if "capfd" not in request.fixturenames:  # which is asked for to see what processes say
        in_turn = lambda todo, grade, **_: ((one, workers.graded(one, grade)) for one in todo)  # noqa: E731
        monkeypatch.setattr(batch, "outcomes", in_turn)


def graded(folder, log=None, settings=SETTINGS, **options):
    state = folder.parent / "grades.graded"
    found = batch.grade_all(folder, partial(double, log=log), settings, state, **options)
    return found, {x["submission"]: x for x in found["submissions"]}


def rows(data):
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_each_has_its_outcome_whatever_the_others_do(submit, capfd):
    for name, word in {"ada": "9", "bob": "raise", "cyd": "end", "dan": "hang", "eve": "4"}.items():
        folder = submit(name, word)
    _, found = graded(folder, limit=4.0)
    assert {name: (x["outcome"], x["error"]) for name, x in found.items()} == {
        "ada": ("graded", ""),
        "bob": ("not graded", "KeyError: 'inputs\\nof a frame'"),
        "cyd": ("not graded", "the grader ended with 7"),
        "dan": ("not graded", "it took longer than 4 s"),
        "eve": ("graded", ""),
    }
    assert (found["ada"]["result"]["score"], found["eve"]["result"]["score"]) == (9, 4)
    assert "5 of 5 submissions" in capfd.readouterr().err


def test_what_is_graded_is_not_graded_again(submit, tmp_path):
    for name, word in {"ada": "9", "bob": "raise", "cyd": "4"}.items():
        folder = submit(name, word)
    first, _ = graded(folder, tmp_path / "log")
    assert sorted((tmp_path / "log").read_text().split()) == ["ada", "bob", "cyd"]
    again, _ = graded(folder, tmp_path / "again")
    assert again == first
    assert (tmp_path / "again").read_text().split() == ["bob"]  # what failed is tried once more
    (folder / "cyd" / "points").write_text("5")
    graded(folder, tmp_path / "changed")
    assert sorted((tmp_path / "changed").read_text().split()) == ["bob", "cyd"]
    graded(folder, tmp_path / "seed", {**SETTINGS, "seed": 8})
    assert sorted((tmp_path / "seed").read_text().split()) == ["ada", "bob", "cyd"]


def test_a_batch_that_is_stopped_goes_on_where_it_was(submit, tmp_path, monkeypatch, capfd):
    for name, word in {"ada": "9", "bob": "4", "cyd": "1"}.items():
        folder = submit(name, word)
    asked = []

    def stopped(todo, grade, **_):
        asked.append([x.name for x in todo])
        for one in todo[:1]:
            yield one, workers.graded(one, grade)
            raise KeyboardInterrupt

    monkeypatch.setattr(batch, "outcomes", stopped)
    monkeypatch.setattr(batch_command, "grade", lambda path, *_, **__: double(path))
    command = ["grade", "--all", str(folder), "--tasks", "softmax", "--out", str(tmp_path / "grades.csv")]
    assert [main(command) for _ in range(3)] == [130] * 3
    assert not (tmp_path / "grades.csv").exists()
    assert main(command) == 0
    assert asked == [["ada", "bob", "cyd"], ["bob", "cyd"], ["cyd"], []]
    assert [x["score"] for x in rows((tmp_path / "grades.csv").read_bytes())] == ["9", "4", "1"]


def test_a_broken_file_of_the_state_is_graded_again(submit, tmp_path):
    first, _ = graded(submit("ada", "4"))
    (file,) = (tmp_path / "grades.graded").iterdir()
    for data in (b"", b"[1]", b'{"score": 9', b"\xff"):
        file.write_bytes(data)
        assert graded(tmp_path / "submissions")[0] == first


def test_the_newest_counts_and_the_others_are_kept(submit):
    for name, word in {"ada--2": "4", "ada--10": "9", "ada--1": "1", "bob": "9"}.items():
        folder = submit(name, word)
    found, by_name = graded(folder)
    assert [x["submission"] for x in found["submissions"]] == ["ada--1", "ada--2", "ada--10", "bob"]
    assert [x["counts"] for x in found["submissions"]] == [False, False, True, True]
    assert [x["student_id"] for x in rows(batch.table(found, "hw"))] == ["ada", "bob"]
    assert by_name["ada--1"]["result"]["tasks"][0]["says"] == ["=HYPERLINK(1)"]


def test_a_folder_and_a_zip_of_one_student_are_told_apart_by_their_time(submit):
    folder = submit("ada", "9")
    with zipfile.ZipFile(folder / "ada.zip", "w") as archive:
        archive.writestr("attention.py", "")
    os.utime(folder / "ada.zip", (1, 1))
    assert [x.name for x in counting(find(folder))] == ["ada"]
    os.utime(folder / "ada", (0, 0))
    assert [x.name for x in counting(find(folder))] == ["ada.zip"]


def test_nbgraders_columns_and_no_formula(submit):
    for name, word in {"=cmd()": "1", "emmy@uni.example": "9", "zoe": "raise"}.items():
        folder = submit(name, word)
    found, _ = graded(folder)
    data = batch.table(found, "attention")
    assert data.decode().splitlines()[0] == (
        "assignment,duedate,timestamp,student_id,last_name,first_name,email,raw_score,late_submission_penalty,"
        "score,max_score,submission,outcome,attention,says"
    )
    formula, emmy, zoe = rows(data)
    assert formula["student_id"] == formula["submission"] == "'=cmd()"
    assert formula["says"] == "attention: =HYPERLINK(1)"
    assert (emmy["email"], emmy["score"], emmy["max_score"]) == ("emmy@uni.example", "9", "9")
    assert (emmy["raw_score"], emmy["late_submission_penalty"], emmy["attention"]) == ("9", "0", "9")
    assert (zoe["score"], zoe["outcome"], zoe["attention"]) == ("", "not graded", "")


def test_tables_are_written_as_the_suffix_says(submit, tmp_path):
    found, _ = graded(submit("ada", "4"))
    batch.write(found, tmp_path / "grades.json", "hw")
    assert json.loads((tmp_path / "grades.json").read_text()) == found
    batch.write(found, tmp_path / "grades.csv", "hw")
    assert rows((tmp_path / "grades.csv").read_bytes())[0]["score"] == "4"
    with pytest.raises(ValueError, match=r"grades\.xlsx'; expected a name that ends in \.csv or \.json"):
        batch.write(found, tmp_path / "grades.xlsx", "hw")


def test_an_exported_table_gets_what_counts_and_was_graded(submit):
    for name, word in {"ada--1": "9", "ada--2": "4", "bob": "raise"}.items():
        folder = submit(name, word)
    found, _ = graded(folder)
    filled = batch.filled(found, b"Login,HW (1)\nada,\nbob,\n", "x.csv", column="HW (1)", by="Login")
    assert isinstance(filled, lms.Filled)
    assert filled.data == b"Login,HW (1)\nada,4\nbob,\n"
    assert filled.remarks == ["1 rows without a submission, left as they were: bob"]


def test_downloads_of_canvas_and_moodle(tmp_path):
    names = [
        "curiemarie_101_9001_attention.py",
        "curiemarie_101_9002_softmax-2.py",
        "noetheremmy_LATE_102_9003_submission.zip",
        "noetheremmy_102_8001_submission.zip",
        "turingalan_103_9004_homework.tar.gz",
    ]
    for name in names:
        (tmp_path / name).write_text(name)
    (tmp_path / "Grace Hopper_555_assignsubmission_file_").mkdir()
    for name in (".DS_Store", "grades.csv", "__MACOSX"):
        (tmp_path / name).write_text("")
    found = find(tmp_path)
    assert [(x.keys, len(x.parts)) for x in found] == [
        (("curiemarie", "101"), 2),
        (("Grace Hopper", "555"), 1),
        (("noetheremmy", "102"), 1),
        (("noetheremmy", "102"), 1),
        (("turingalan", "103"), 1),
    ]
    assert found[3].name == names[2]
    assert found[3] in counting(found)
    with gathered(found[0]) as path:
        assert {x.name: x.read_text() for x in path.iterdir()} == {
            "attention.py": names[0],
            "softmax.py": names[1],
        }
    assert not path.exists()
    with gathered(found[3]) as path:
        assert path == tmp_path / names[2]


def test_a_submission_is_known_by_its_bytes(submit):
    folder, known = submit("ada"), set()
    for word in ("4", "5", "4"):
        (folder / "ada" / "points").write_text(word)
        os.utime(folder / "ada" / "points", (1, 1))
        known.add(digest(find(folder)[0]))
    assert len(known) == 2


def test_bytes_that_cannot_be_read_in_time_or_at_all(tmp_path):
    """Links are not followed, pipes not opened, large files not read: the digest always comes."""
    folder = tmp_path / "ada"
    folder.mkdir()
    (folder / "attention.py").write_text("x = 1")
    one = find(tmp_path)[0]
    first = digest(one)
    (folder / "link").symlink_to("/dev/zero")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    assert digest(one) == first
    with open(folder / "big", "wb") as file:
        file.truncate(10 << 30)
    start = time.monotonic()
    assert digest(one) != first
    assert time.monotonic() - start < 2
    (folder / "big").rename(folder / "larger")
    assert digest(one) not in (first, "")


def test_of_many_files_the_first_are_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MOST", 20)
    (tmp_path / "ada").mkdir()
    for i in range(30):
        (tmp_path / "ada" / f"{i:02}").touch()
    first = digest(find(tmp_path)[0])
    (tmp_path / "ada" / "29").unlink()
    assert digest(find(tmp_path)[0]) == first
    (tmp_path / "ada" / "00").unlink()
    assert digest(find(tmp_path)[0]) != first


@pytest.mark.parametrize(
    ("make", "error"), [(Path.touch, "is no folder"), (Path.mkdir, "holds no submission")]
)
def test_what_is_no_folder_of_submissions_is_refused(tmp_path, make, error):
    make(tmp_path / "x")
    with pytest.raises(ValueError, match=error):
        find(tmp_path / "x")


@pytest.fixture
def bad(tmp_path):
    """Hand in what is wrong in every way that is no mistake of attention, and one that is right."""
    texts = {x: (ROOT / f"step01_numpy/{x}.py").read_bytes() for x in ("softmax", "merge")}
    folders = {
        "empty": {},
        "wrong": {"essay.txt": b"x"},
        "syntax": {"softmax.py": b"def softmax(:", "merge.py": texts["merge"]},
        "missing": {"softmax.py": b"import numpy as np", "merge.py": texts["merge"]},
        "renamed": {"softmax_final.py": texts["softmax"], "merge.py": texts["merge"]},
        "notebook": {"softmax.ipynb": b"{}", "merge.py": texts["merge"]},
        "binary": {"softmax.py": bytes(range(256)), "merge.py": texts["merge"]},
        "latin": {"softmax.py": b"# \xe9\n" + texts["softmax"], "merge.py": texts["merge"]},
    }
    for name, files in folders.items():
        (tmp_path / "subs" / name).mkdir(parents=True)
        for file, data in files.items():
            (tmp_path / "subs" / name / file).write_bytes(data)
    for name, more in {"large": bytes(100_000_000), "bomb": None}.items():
        with zipfile.ZipFile(tmp_path / "subs" / f"{name}.zip", "w") as archive:
            archive.writestr("merge.py", texts["merge"])
            archive.writestr(
                "softmax.py", texts["softmax"] if more else b"#" * 300_000_000, 8 * (more is None)
            )
            archive.writestr("data.bin", more or b"")
    with zipfile.ZipFile(tmp_path / "subs" / "climb.zip", "w") as archive:
        archive.writestr("../../softmax.py", texts["softmax"])
    (tmp_path / "subs" / "torn.zip").write_bytes(b"PK\3\4")
    return tmp_path


SENTENCES = {
    "empty": "The submission is empty.",
    "wrong": "There is no softmax.py in your submission",
    "syntax": "softmax.py is not Python",
    "missing": "softmax.py has no softmax",
    "renamed": "if softmax_final.py is meant, name it softmax.py",
    "notebook": "softmax.ipynb is a notebook, which cannot be graded",
    "binary": "softmax.py is not text",
    "latin": "softmax.py is not UTF-8",
    "bomb.zip": "softmax.py is larger than 200 kB",
    "climb.zip": "1 paths of the zip lead out of it and were not read.",
    "torn.zip": "There is no softmax.py in your submission",
}

MERGE_ALONE = {"renamed", "notebook", "binary", "latin", "bomb.zip"}  # that file can be read, and is right


@pytest.mark.proof
def test_bad_submissions_get_a_clear_sentence_each_and_the_rest_is_graded(bad, capfd):
    out = str(bad / "grades.json")
    command = ["grade", "--all", str(bad / "subs"), "--tasks", "softmax", "--out", out]
    assert main(command) == 0
    found = {
        x["submission"]: x["result"] for x in json.loads((bad / "grades.json").read_text())["submissions"]
    }
    assert found.pop("large.zip")["score"] == 12
    assert set(found) == set(SENTENCES)
    for name, sentence in SENTENCES.items():
        said = [*found[name]["notes"], *found[name]["tasks"][0]["says"]]
        assert any(sentence in x for x in said), (name, said)
        assert found[name]["score"] == (6 if name in MERGE_ALONE else 0)
    assert "12 of 12 submissions graded, of 12 students" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--all", "subs"], "--all has no --out and no --fill; expected where the grades go"),
        (["--all", "subs", "subs/empty"], "expected a submission, or --all and a folder of submissions"),
        ([], "expected a submission, or --all and a folder of submissions"),
        (
            ["--all", "subs", "--out", "x.xlsx"],
            "--out is 'x.xlsx'; expected a name that ends in .csv or .json",
        ),
        (["--all", "subs", "--fill", "x.csv"], "--fill has no --column or no --by"),
        (["--all", "subs", "--fill", "x.csv", "--column", "c", "--by", "b"], "x.csv"),
        (["--all", "none", "--out", "x.csv"], "none is no folder; expected one that holds a folder or a zip"),
    ],
)
def test_what_a_batch_lacks_is_one_line_before_anything_is_graded(
    tmp_path, monkeypatch, capsys, arguments, error
):
    (tmp_path / "subs" / "empty").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert main(["grade", "--tasks", "softmax", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert error in line
    assert [x.name for x in tmp_path.iterdir()] == ["subs"]


def test_hostile_names_end_in_the_table(submit):
    for name in ('a,b"c', "x\ny", os.fsdecode(b"\xff\xfe"), "‮evil"):
        folder = submit(name, "4")
    found, _ = graded(folder)
    assert len(rows(batch.table(found, "hw"))) == 4
    json.dumps(found).encode()
