"""In PyTorch too right submissions pass in any style, and of wrong ones something true is said."""

import pytest

from tests.homework.grade import grade
from tests.homework.table import TASKS
from tests.homework.test_grade import write
from tests.homework.torch_styles import RIGHT, WRONG

pytestmark = pytest.mark.usefixtures("torch_once")
SAMPLE = {"einsum", "heads by unflatten", "weights detached", "through NumPy"}
STYLES = [
    pytest.param(x, marks=[] if x.name in SAMPLE else [pytest.mark.proof], id=x.name)
    for x in (*RIGHT, *WRONG)
]


def graded(style, folder):
    """Grade a style."""
    task = TASKS[f"torch-{style.task}"]
    (result,) = grade(write(folder, style.files), [task], seed=0).tasks
    return result


@pytest.mark.parametrize("style", STYLES)
def test_a_style(style, tmp_path):
    result = graded(style, tmp_path)
    if style.said:
        assert result.points < result.max_points
        assert any(style.said in says for says in result.says), result.says
    else:
        assert (result.points, result.says) == (result.max_points, []), result
    assert any(style.notes in x for x in result.notes) if style.notes else not result.notes, result.notes


def test_styles_are_many():
    assert len({x.name for x in (*RIGHT, *WRONG)}) == len(RIGHT) + len(WRONG)
    assert len(RIGHT) >= 20
    assert len(WRONG) >= 20
