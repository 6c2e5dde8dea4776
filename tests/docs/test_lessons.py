"""Every lesson runs without Sphinx, and fails as soon as the code is wrong in the way that it shows."""

import ast
import re
import sys

import numpy as np
import pytest

from docs._ext import cells, mistakes
from step01_numpy.common.display import lesson
from tests.mutants.runner import applied

PAGES = cells.LESSONS
COURSE = "Attention in Transformers: Concepts and Code in PyTorch"
PARTS = ["**You will be able to**", "**You need**", "**You read**", "**In the course**", "**Guess first.**"]
PARTS += ["```{stages}", "```{breaks}", "**Predict.**", "**Compute.**", "**Write**", "## Where next"]
PLAIN, LINEAR = "simple attention without the scale", "linear without transpose"
DIAGONAL, CAUSAL_02 = "causal without the diagonal", "causal forgotten in step02"
ALSO = {  # what else moves a lesson's numbers: those of step 2, and those that its own mistakes do not reach
    "01_one_vector_is_not_enough": ["dot scaled", "reset and update exchanged", "reset gate forgotten"],
    "03_self_attention_by_hand": ["no scale in step02"],
    "04_self_attention_in_code": ["no scale in step02", LINEAR],
    "05_masked_self_attention_by_hand": [LINEAR, DIAGONAL, CAUSAL_02],
    "06_masked_self_attention_in_code": [
        DIAGONAL, CAUSAL_02, "padding hides one key too few", "window one too wide", "no scale in step02",
    ],
    "07_cross_attention": ["no scale in step02"],
    "08_multi_head_attention": [PLAIN, "simple attention over the queries", LINEAR, "no output projection"],
    "09_backward_by_hand": [PLAIN, LINEAR, "no scale in step02", "weight's gradient transposed in size"],
    "10_order": [LINEAR, "no scale", "one frequency for all"],
    "11_the_block": ["layer norm's gradient is not orthogonal"],
    "12_the_transformer": ["a tied head counted twice", "no output projection"],
    "13_training": [
        LINEAR, "loss is summed", "gradient without smoothing", "clipping by the sum of norms",
        "the first rate is 0",
    ],
    "14_writing": [LINEAR],
    "15_one_family": [
        "RMSNorm with a bias", "keys of all heads, not of groups", "a gate without its matrix",
        "variance over n - 1",
    ],
    "16_flash_attention": [PLAIN, LINEAR],
}  # fmt: skip
NUMBER = re.compile(r"(?<![\w.:/])\d+\.\d{4,}")
QUICK = ("03", "05", "09", "16")  # lessons whose mistakes are tried by `make test` too
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def as_readers_see_it(unchecked):
    """Cells run as in a notebook: without the suite's checker of shapes."""


def run_page(path, passing=False):
    """Run a page's cells and hold its mistakes to what it says; `passing`, past errors, and cells alone.

    Then pictures are left out, which assert nothing and take the most time.
    """
    space = {"__name__": "__main__"}
    for number, cell in enumerate(cells.notebook(path).cells):
        if passing and "hide-input" in cell.metadata.get("tags", ()):
            continue
        try:
            if cell.cell_type == "code":
                cells.run(cell.source, space, f"{path.name}:{number}")
            elif not passing:
                for mistake in mistakes.breaks(cell.source):
                    mistakes.confirm(mistake, space)
        except Exception:
            if not passing:
                raise
    return space


def recorded(path, monkeypatch, mutant=None):
    """Run a page, perhaps with a mutant; return the places of its checks, and of those that failed."""
    places, failed = set(), set()

    def check(*arguments, **options):
        caller = sys._getframe(1)
        place = caller.f_code.co_filename, caller.f_lineno
        places.add(place)
        try:
            original(*arguments, **options)
        except AssertionError:
            failed.add(place)

    original = lesson.check
    with monkeypatch.context() as patch:
        patch.setattr(lesson, "check", check)
        if mutant is None:
            run_page(path, passing=True)
        else:
            with applied(mutant), np.errstate(all="ignore"):
                run_page(path, passing=True)
    return places, failed


def test_there_are_lessons():
    assert PAGES


@each_page
def test_every_cell_runs(path):
    run_page(path)


@pytest.mark.parametrize(
    "path",
    [path if path.stem[:2] in QUICK else pytest.param(path, marks=pytest.mark.proof) for path in PAGES],
    ids=lambda path: path.stem,
)
def test_every_number_fails_with_a_mistake_of_the_lesson(path, monkeypatch):
    """A number that no mistake of its lesson moves proves nothing there."""
    places, failed = recorded(path, monkeypatch)
    assert not failed
    names = [x.name for x in mistakes.breaks(path.read_text())] + ALSO.get(path.stem, [])
    unmoved = set(places)
    for name in names:
        _, failed = recorded(path, monkeypatch, mistakes.mutant(name))
        assert failed, f"{name} changes no number"
        unmoved -= failed
    assert not unmoved


@each_page
def test_parts(path):
    text = path.read_text()
    assert COURSE in text
    missing = [part for part in PARTS if part not in text]
    assert not missing
    assert "svg(" in text, "a picture"
    assert text.count("<details>") == text.count("</details>") >= 1
    assert ":tags: [solution]" in text


@each_page
def test_length(path):
    """Ten to twenty minutes: 2,200 words at most, code aside."""
    prose = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    assert 500 <= len(prose.split()) <= 2200


@each_page
def test_numbers_of_the_prose_are_asserted(path):
    """A number with four digits behind the point stands in a check of the page, or in one of its mistakes."""
    said, asserted = set(), set()
    for cell in cells.notebook(path).cells:
        if cell.cell_type == "markdown":
            said |= set(NUMBER.findall(mistakes.FENCE.sub("", cell.source)))
            for mistake in mistakes.breaks(cell.source):
                asserted |= {x for row in mistake.rows for x in NUMBER.findall(" ".join(row))}
        else:
            asserted |= set(NUMBER.findall(cell.source))
    rounded = {f"{float(x):.4f}" for x in asserted}  # a weight is given with eight digits and said with four
    assert said <= asserted | rounded


def drawn(path):
    """Return the weights that a page's cells give as numbers."""
    trees = (ast.parse(source) for source in cells.sources(path))
    assigned = (x for tree in trees for x in tree.body if isinstance(x, ast.Assign))
    return {x.targets[0].id: np.array(ast.literal_eval(x.value.args[0])) for x in assigned
            if getattr(x.targets[0], "id", "") in ("W_q", "W_k", "W_v")}  # fmt: skip


def with_weights():
    """Return the pages that give the course's weights."""
    return [path for path in PAGES if "W_q = np.array" in path.read_text()]


@pytest.mark.parametrize("path", with_weights(), ids=lambda path: path.stem)
def test_the_courses_weights_are_what_the_seed_draws(path):
    import torch

    torch.manual_seed(42)
    weights = drawn(path)
    assert len(weights) == 3
    for name in ("W_q", "W_k", "W_v"):
        expected = torch.nn.Linear(2, 2, bias=False).weight.detach().numpy()
        assert np.abs(weights[name] - expected).max() <= 0.5e-8 + np.finfo(np.float32).eps / 2


def test_check_holds_to_the_digit():
    lesson.check([0.12344], [0.1234])
    lesson.check(np.float32([1, 2]), [1, 2])
    lesson.check(0.9266, 0.93, places=2)
    for found, expected in ([0.12346], [0.1234]), ([1, 2], 1), ([[1.0]], [1.0]), (np.nan, 1.0):
        with pytest.raises(AssertionError, match="the lesson says"):
            lesson.check(found, expected)


def test_a_mistake_that_is_told_wrongly_is_found():
    space = run_page(PAGES[0])
    from step01_numpy import simple_attention

    space |= {"simple_attention": simple_attention, "x": np.eye(2)}
    right = "simple_attention(x, x, x)[1][0] | [0.6698, 0.3302] | [0.7311, 0.2689]"
    name = "simple attention without the scale"
    mistakes.confirm(mistakes.parse(name, right), space)
    for old, new in ("0.6698", "0.6699"), ("0.7311", "0.7312"):
        with pytest.raises(AssertionError, match="the lesson says"):
            mistakes.confirm(mistakes.parse(name, right.replace(old, new)), space)
    with pytest.raises(ValueError, match="no mutant is called 'nothing'"):
        mistakes.mutant("nothing")
