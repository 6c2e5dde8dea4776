"""What a lesson says of something measured, or of what ships, is what the project says of it elsewhere."""

import re

import pytest

from docs._ext import cells
from step01_numpy import scaled_dot_product_attention
from step01_numpy.common.commands.context import SHIPPED
from step01_numpy.common.scale.costs import groups, total
from step01_numpy.common.training.checkpoints import load
from tests.homework.table import TASKS

SIZES = ("vocab_size", "d_model", "n_heads", "d_ff", "n_layers")


def page(start):
    """Return the page whose name begins so."""
    (path,) = (x for x in cells.LESSONS if x.name.startswith(start))
    return path


def test_the_curve_of_lesson_1_is_the_benchmarks():
    text = (cells.ROOT / "docs/benchmarks.md").read_text()
    table = text.partition("## Quality: what attention repaired")[2]
    rows = re.findall(r"^\| (\d[\w -]*) \| [\d,]+ \| ([\d.]+) % \| ([\d.]+) % \|$", table, re.M)
    space = {}
    for source in cells.sources(page("01_")):
        if "lengths = [" in source:
            cells.run(source, space, "the curve")
    told = zip(space["lengths"], space["with_attention"], space["without"], strict=True)
    assert [(x, float(y), float(z)) for x, y, z in rows] == list(told)
    assert len(rows) == 6


def test_the_shape_of_lesson_12_is_that_of_the_translator_that_ships():
    config, said = load(SHIPPED).config, page("12_").read_text()
    fields = ", ".join(f"{name}={getattr(config, name)}" for name in SIZES)
    assert f"config = ModelConfig({fields})" in said
    assert f"**{total(groups(config, 128)).parameters:,}**" in said
    for start in ("02_", "09_"):
        sizes = (f"{config.vocab_size:,}", f"{total(groups(config, 128)).parameters:,}")
        assert any(size in page(start).read_text() for size in sizes)


def test_the_answers_of_touch_it():
    text = (cells.ROOT / "docs/touch_it.md").read_text()
    space = {}
    cells.run("\n".join(cells.sources(page("03_"))[:2]), space, "lesson 3")

    def third(x, **options):
        q, k, v = (space["linear"](x, space[name]) for name in ("W_q", "W_k", "W_v"))
        return f"{scaled_dot_product_attention(q, k, v, **options)[1][2, 2]:.4f}"

    halved = space["x"].copy()
    halved[2, 0] /= 2
    assert f"falls from {third(space['x'])} to {third(halved)}" in text
    assert third(space["x"], causal=True) == third(space["x"])
    assert f"row's {third(space['x'])} becomes {third(space['x'], scale=1.0)}" in text


TASK = re.compile(r"the tasks? \*([\w -]+)\*(?: and \*([\w -]+)\*)?")


@pytest.mark.parametrize("path", cells.LESSONS, ids=lambda path: path.stem)
def test_what_a_lesson_lets_write_is_a_task(path):
    text = path.read_text()
    assert {name for names in TASK.findall(text) for name in names if name} <= set(TASKS)
    (begun,) = re.findall(r"^\*\*Write\*\* \((.*?)\)\.", text, re.M)
    assert TASK.search(begun)
