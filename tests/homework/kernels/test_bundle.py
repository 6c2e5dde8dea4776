"""The archives of the platforms hold what kernels are graded with, and grade them."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.homework import bundle
from tests.homework.kernels.hand_in import hand_in
from tests.homework.kernels.starter import needed
from tests.homework.kernels.styles import RIGHT
from tests.homework.kernels.table import KERNELS
from tests.homework.table import TASKS
from tests.homework.test_bundle import python, run
from tests.homework.test_formats import check_gradescope

SOME = ["warp-sum", "load-tile"]


def entries(platform):
    return bundle.PLATFORMS[platform]([TASKS[x] for x in SOME], 417, "names")


@pytest.mark.parametrize("platform", bundle.PLATFORMS)
def test_a_compiler_is_asked_for_and_torch_is_not(platform):
    found = entries(platform)
    (requirements,) = (data for name, (data, _) in found.items() if name.endswith("project/requirements.txt"))
    assert b"torch" not in requirements.split()
    kernels, drivers = needed(KERNELS)
    files = [f"step03_gpu/kernels/{x}" for x in kernels] + [f"homework/kernels/drivers/{x}" for x in drivers]
    for file in (*files, "homework/kernels/serve.cuh", "homework/child/native.py"):
        assert any(name.endswith(file) for name in found), file
    text = b"".join(
        data for name, (data, _) in found.items() if name.endswith(("packages.txt", "Dockerfile"))
    )
    assert b"g++" in text or platform == "classroom50"  # whose runners have one


def test_prairielearn_asks_for_the_kernels_files():
    page = entries("prairielearn")["questions/attention_homework/question.html"][0].decode()
    assert 'file-names="02_online_softmax.cu,03_tiled.cu,tiles.cuh"' in page


@pytest.mark.proof
def test_gradescope_grades_kernels(tmp_path):
    root, prefix = tmp_path / "autograder", tmp_path / "opt"
    with zipfile.ZipFile(io.BytesIO(bundle.archive(entries("gradescope"), "x.zip"))) as archive:
        for info in archive.infolist():
            path = Path(archive.extract(info, root / "source"))
            path.chmod(info.external_attr >> 16 & 0o777)
    shutil.copy(root / "source" / "run_autograder", root / "run_autograder")
    (root / "submission_metadata.json").write_text("{}")
    python(prefix / "bin" / "python")
    style = RIGHT[0]
    hand_in(root / "submission", {style.target: style.text, "tiles.cuh:load-tile": "tile[0] = x[first];"})
    done = run(root / "run_autograder", HOMEWORK_PREFIX=prefix)
    found = json.loads((root / "results" / "results.json").read_text())
    check_gradescope(found)
    assert [(x["name"], x["score"], x["max_score"]) for x in found["tests"]] == [
        ("warp-sum", 9, 9),
        ("load-tile", 0, 8),
    ], done.stderr
    assert "shared memory that no thread of the block had written" in found["tests"][1]["output"]
