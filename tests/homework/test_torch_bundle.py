"""The archives of tasks in PyTorch: they ask for PyTorch, and grade without the rest of the project."""

import io
import json
import os
import subprocess
import sys
import zipfile

import pytest

from tests.homework import bundle
from tests.homework.table import TASKS
from tests.homework.test_grade import solution

NAMES = ["torch-simple-attention", "torch-residual"]


@pytest.mark.parametrize("platform", bundle.PLATFORMS)
def test_pytorch_is_asked_for_where_a_task_needs_it(platform):
    for names, asked in ((["softmax"], False), (NAMES, True)):
        entries = bundle.PLATFORMS[platform]([TASKS[x] for x in names], 417, "names")
        (text,) = [data for name, (data, _) in entries.items() if name.endswith("project/requirements.txt")]
        assert (b"torch\n" in text) == asked
        assert any(name.endswith("homework/child/torch_main.py") for name in entries)


@pytest.mark.proof
def test_an_archive_grades_by_itself(tmp_path):
    entries = bundle.gradescope([TASKS[x] for x in NAMES], 417, "names")
    with zipfile.ZipFile(io.BytesIO(bundle.archive(entries, "x.zip"))) as archive:
        archive.extractall(tmp_path / "source")
    folder = solution(tmp_path / "submission", *[TASKS[x] for x in NAMES])
    project = tmp_path / "source" / "project"
    words = [*(project / "arguments.txt").read_text().split(), "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.homework", "grade", str(folder), *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["score"] == result["max_score"] == 18
    assert [x["name"] for x in result["tasks"]] == NAMES
