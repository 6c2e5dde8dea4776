"""Right regions have all points in any style; of wrong ones something true is said, with their lines."""

import pytest

from tests.homework.grade import grade
from tests.homework.kernels.hand_in import hand_in, task_of
from tests.homework.kernels.styles import RIGHT, WRONG

SAMPLE = {"numbers agree and threads race"}


def check(style, folder):
    (result,) = grade(hand_in(folder, {style.target: style.text}), [task_of(style.target)], seed=0).tasks
    if style in RIGHT:
        assert (result.points, result.says, result.notes) == (result.max_points, [], [])
        return
    assert result.points < result.max_points
    assert style.points in (None, result.points)
    assert style.said in " ".join(result.says)


@pytest.mark.parametrize("style", [x for x in RIGHT + WRONG if x.name in SAMPLE], ids=lambda x: x.name)
def test_some_styles(style, tmp_path):
    check(style, tmp_path)


@pytest.mark.proof
@pytest.mark.parametrize("style", RIGHT + WRONG, ids=lambda x: x.name)
def test_all_styles(style, tmp_path):
    check(style, tmp_path)


@pytest.mark.proof
def test_what_is_printed_is_shown(tmp_path):
    style = next(x for x in RIGHT if x.name.startswith("prints"))
    (result,) = grade(hand_in(tmp_path, {style.target: style.text}), [task_of(style.target)], seed=0).tasks
    assert result.printed.startswith("score ")
    assert "==" not in result.printed
