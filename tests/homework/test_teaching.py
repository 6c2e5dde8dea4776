"""The page for instructors: its commands run as they stand, and it shows what the samples get."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.homework.courses import COURSES
from tests.homework.table import TASKS
from tests.once import made_once

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
SAID = "said.json"
SAMPLES = ["good", "middling", "mistaken"]


def shown(name):
    """Return what stands on the page below a mark."""
    return PAGE.partition(f"<!-- shown by: {name} -->\n")[2]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Run every command of the page in its order; return the folder in place of build/, and what was said."""
    folder = made_once(tmp_path_factory, "teaching", run_all)
    return folder, json.loads((folder / SAID).read_text())


def run_all(folder):
    """Run the commands in a folder, and write down there what they say."""
    said = {}
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S):
        script = block.replace("build/homework", str(folder)).replace("python -m", f"{sys.executable} -m")
        command = ["sh", "-e", "-c", script]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, block + done.stdout + done.stderr
        said[block] = done.stdout
    (folder / SAID).write_text(json.dumps(said))


@pytest.fixture(scope="module")
def grades(build):
    """Return the results of the samples by name."""
    found = json.loads((build[0] / "grades.json").read_text())["submissions"]
    return {x["submission"]: x["result"] for x in found}


@pytest.mark.proof
def test_every_kind_of_command_is_shown(build):
    _, said = build
    shown_ = {x for block in said for x in re.findall(r"tests\.homework (\w+)", block)}
    assert shown_ == {"list", "export", "grade", "report", "bundle"}


@pytest.mark.proof
def test_the_page_shows_what_the_mistaken_one_is_told(build):
    (out,) = (x for block, x in build[1].items() if "samples/mistaken" in block)
    text = re.match(r"```text\n(.*?)```", shown("mistaken"), re.S)[1]
    assert text.partition("isolation:")[0] == out.partition("isolation:")[0]


@pytest.mark.proof
def test_the_page_shows_the_points_of_all_three(grades):
    assert sorted(grades) == SAMPLES
    names = [x["name"] for x in grades["good"]["tasks"]]
    rows = [["", *names, "in all"], ["---", *["---:"] * 4]]
    for sample in SAMPLES:
        result = grades[sample]
        points = [f"{x['points']} of {x['max_points']}" for x in result["tasks"]]
        rows.append([sample, *points, f"{result['score']} of {result['max_score']}"])
    assert shown("table").startswith(
        "".join("| " + " | ".join(row) + " |\n" for row in rows).replace("|  |", "| |")
    )


@pytest.mark.proof
def test_the_samples_are_good_middling_and_with_three_mistakes(grades):
    good, middling, mistaken = (grades[x] for x in SAMPLES)
    assert good["score"] == good["max_score"] > middling["score"] > mistaken["score"] > 0
    assert all(not x["says"] for x in good["tasks"])
    assert all(x["says"] and x["points"] < x["max_points"] for x in mistaken["tasks"])


@pytest.mark.proof
def test_the_exported_table_is_filled(build, grades):
    rows = list(csv.reader((build[0] / "exported.filled.csv").read_text().splitlines()))
    points = {row[3]: row[5] for row in rows[2:]}
    assert points == {**{x: str(grades[x]["score"]) for x in SAMPLES}, "absent": ""}
    assert rows[1][5] == str(grades["good"]["max_score"])  # the page's example has no remark about it


@pytest.mark.proof
def test_the_other_files_are_there(build):
    names = {x.name for x in build[0].iterdir()}
    archives = {"autograder.zip", "classroom50.tar.gz", "prairielearn.zip"}
    assert names >= {"starter", "grades.csv", "report.html", *archives}
    assert "Your heads mix positions" in (build[0] / "report.html").read_text()


def test_the_two_weeks_are_the_courses():
    """The page's rows name the tasks that `--course` hands out, all of them and no other."""
    homework = [
        re.split(r",\s*", x) for x in re.findall(r"^\| week \d, (?:homework|extra) \| (.*?) \|", PAGE, re.M)
    ]
    first, second, extra = homework
    assert first == COURSES["undergraduate-1"]
    assert second + extra == COURSES["undergraduate-2"]
    assert {*first, *second, *extra} <= set(TASKS)


def test_the_lab_is_a_course_too():
    (row,) = re.findall(r"^\| week 1, lab \| (.*?) \|", PAGE, re.M)
    assert re.split(r",\s*", row) == COURSES["undergraduate-lab"]


@pytest.mark.proof
def test_the_solution_of_the_lab_has_all_points(build):
    (out,) = (x for block, x in build[1].items() if "grade step02_torch" in block)
    assert re.search(r"^ *(\d+) of +\1  in all$", out, re.M), out


def test_the_weeks_on_kernels_are_the_courses():
    third, fourth = [
        re.split(r",\s*", x) for x in re.findall(r"^\| (?:3rd|4th) week, homework \| (.*?) \|", PAGE, re.M)
    ]
    assert (third, fourth) == (COURSES["kernels-1"], COURSES["kernels-2"])
    for name, points in re.findall(r"`(?:--course )?(kernels-\d)` \((\d+)", PAGE):
        tasks = [TASKS[x] for x in COURSES[name]]
        assert sum(x.points * len(x.cases(np.random.default_rng(0))) for x in tasks) == int(points)


@pytest.mark.proof
def test_the_page_shows_what_a_race_is_told(build):
    """The numbers' last digits are the machine's."""
    (out,) = (x for block, x in build[1].items() if "kernels/samples" in block)
    text = re.match(r"```text\n(.*?)```", shown("racing"), re.S)[1]
    first, second = (" ".join(re.sub(r"\d\.\d+", "#", x.partition("Seed")[0]).split()) for x in (text, out))
    assert first == second


def test_stage_3_is_offered_or_said_to_come():
    offered = any(task.stage == 3 for task in TASKS.values())
    assert ("is to come" in PAGE) != offered


def test_files_that_the_page_names_are_there():
    for name in re.findall(r"`((?:docs|tests)/[\w/*.]+)`", PAGE):
        assert list(ROOT.glob(name)), name
    for name in re.findall(r"\]\((\w+\.md)\)", PAGE):
        assert (ROOT / "docs" / name).exists(), name
