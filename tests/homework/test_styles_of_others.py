"""Right submissions of other tasks pass in any style; wrong ones get the name of their mistake."""

import pytest

from tests.homework.grade import grade
from tests.homework.styles_of_others import HEAD, OTHERS
from tests.homework.table import TASKS

SAMPLE = {"softmax's Jacobian row by row", "a cache that cuts first", "AdamW in a row"}


def check(other, folder):
    (folder / other.file).write_text(HEAD + other.text, "utf-8")
    result = grade(folder, [TASKS[other.task]], seed=0).tasks[0]
    if not other.said:
        assert (result.points, result.says) == (result.max_points, [])
    else:
        assert result.points < result.max_points
        assert any(other.said in says for says in result.says), result.says


@pytest.mark.parametrize("other", [x for x in OTHERS if x.name in SAMPLE], ids=lambda x: x.name)
def test_some_styles(other, tmp_path):
    check(other, tmp_path)


@pytest.mark.proof
@pytest.mark.parametrize("other", OTHERS, ids=lambda x: x.name)
def test_all_styles(other, tmp_path):
    check(other, tmp_path)
