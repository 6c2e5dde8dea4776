"""Right submissions pass in any style; of wrong ones something true is said."""

import pytest

from tests.homework.grade import grade
from tests.homework.styles import RIGHT, STYLES, WRONG
from tests.homework.table import TASKS

TASK = TASKS["attention"]
SAMPLE = {"np.tril", "what may be called", "no scale", "the last key left out"}


def graded(style, folder):
    """Grade a style."""
    (folder / "attention.py").write_text(style.text(), "utf-8")
    return grade(folder, [TASK], seed=0).tasks[0]


def check(style, folder):
    result = graded(style, folder)
    if style in RIGHT:
        assert (result.points, result.says) == (result.max_points, [])
    else:
        assert result.points < result.max_points
        assert style.said.lower() in result.says[0].lower()


@pytest.mark.parametrize("style", [x for x in STYLES if x.name in SAMPLE], ids=lambda x: x.name)
def test_some_styles(style, tmp_path):
    check(style, tmp_path)


@pytest.mark.proof
@pytest.mark.parametrize("style", STYLES, ids=lambda x: x.name)
def test_all_styles(style, tmp_path):
    check(style, tmp_path)


def test_styles_are_many():
    assert len({x.name for x in STYLES}) == len(RIGHT) + len(WRONG) >= 40
