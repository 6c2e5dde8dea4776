"""Wrong numbers that no known mistake explains are described by what every attention does, and truthfully."""

import pytest

from tests.homework import again
from tests.homework.grade import answers, grade
from tests.homework.judge import Account
from tests.homework.styles import PARTS, Style
from tests.homework.table import TASKS
from tests.homework.test_grade import write

HEAD = "import numpy as np\n\n\ndef simple_attention(q, k, v):\n"
SCORES = "    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])\n"
SOFTMAX = "    w = np.exp(s); w /= w.sum(-1, keepdims=True)\n"
OUT = "    return w @ v, w\n"
WRONG = {  # a body, what is seen of it, what is not
    "the last key left out": (SCORES + SOFTMAX + "    w[..., -1] = 0\n" + OUT, {again.SUM, again.ORDER}),
    "later keys weigh more": (
        SCORES + "    s = s + np.arange(s.shape[-1]) / 10\n" + SOFTMAX + OUT,
        {again.ORDER},
    ),
    "weights that are signed": (
        SCORES + "    w = s / np.abs(s).sum(-1, keepdims=True)\n" + OUT,
        {again.SUM, again.NEGATIVE},
    ),
    "another product": (SCORES + SOFTMAX + "    return (w**2) @ v, w\n", {again.PRODUCT}),
    "a batch that mixes": (
        SCORES + "    s = s + s.mean(axis=0, keepdims=True)\n" + SOFTMAX + OUT,
        {again.ALONE},
    ),
    "weights squared and normed": (
        SCORES + "    w = np.exp(1.5 * s); w /= w.sum(-1, keepdims=True)\n" + OUT,
        set(),
    ),
}
ALL = {x for x in vars(again).values() if isinstance(x, str) and x.endswith(".")}


@pytest.mark.parametrize(
    "name", [x if x == "the last key left out" else pytest.param(x, marks=pytest.mark.proof) for x in WRONG]
)
def test_what_is_seen_is_said_and_nothing_else(name, tmp_path):
    body, seen = WRONG[name]
    (result,) = grade(
        write(tmp_path, {"attention.py": HEAD + body}), [TASKS["simple-attention"]], seed=0
    ).tasks
    assert result.points < result.max_points
    assert set(result.says) & ALL == seen, result.says


@pytest.mark.proof
def test_a_query_that_answers_to_a_later_key_is_seen(tmp_path):
    softly = PARTS["visible"].replace("ok &= j <= i + o\n", "s = s - 0.5 * (j > i + o)\n", 1)
    assert softly != PARTS["visible"]
    text = Style("", "", {"visible": softly}).text()
    (result,) = grade(write(tmp_path, {"attention.py": text}), [TASKS["attention"]], seed=0).tasks
    assert {again.AHEAD, again.SHOWN} <= set(result.says), result.says
    assert again.ORDER not in result.says


@pytest.mark.parametrize("name", ["simple-attention", "attention", "flash-attention"])
def test_of_the_solution_nothing_is_seen(name):
    """What is asked once more has the answers that it should have, so no sentence could be said of it."""
    known = answers(TASKS[name], 1)
    right = Account(dict(known.expected))

    def examine(task, questions):
        from tests.homework.reference import answer

        return Account({x: answer(task, y) for x, y in questions.questions.items()})

    assert again.sentences(known, right, list(again.UNEXPLAINED), examine) == []


def test_other_tasks_are_not_asked_again():
    assert not again.suits(TASKS["softmax"])
    assert not again.suits(TASKS["multi-head"])
    assert again.suits(TASKS["flash-attention"])
    assert again.suits(TASKS["torch-attention"])
