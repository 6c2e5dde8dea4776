"""What the pages name is there: files, make's targets, tests, and in the lessons every name of code."""

import ast
import re
from functools import cache

import pytest
import torch

from docs._ext import mistakes, notebooks, objects, outside
from docs._ext.cells import LESSONS, ROOT, notebook

PAGES = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs/lessons").glob("*.md"),
        *(ROOT / "docs/reference").glob("*.md"),
    ]
)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
FILE = re.compile(r"^(?:[\w.-]+/)*[\w-]+\.(?:py|md|cu|cuh|toml|txt)$")
FENCE = re.compile(r"^(`{3,}).*?^\1$", re.M | re.S)
ELSEWHERE = {"fra.txt", "HANDOUT.md", "name_101_9001_attention.py"}  # Tatoeba's, an export's, Canvas's
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def files():
    """Return the paths of the project's files, and each of their endings from a folder on."""
    rooms = ("step01_numpy", "step02_torch", "step03_gpu", "tests", "docs")
    found = [path for room in rooms for path in (ROOT / room).rglob("*.*") if "__pycache__" not in path.parts]
    parts = [path.relative_to(ROOT).parts for path in [*found, *ROOT.glob("*.*")]]
    return {"/".join(x[i:]) for x in parts for i in range(len(x))}


FILES = files()


def spans(path):
    """Return what a page sets as code within its lines."""
    return CODE.findall(FENCE.sub("", path.read_text()))


@each_page
def test_files(path):
    named = {x for x in spans(path) if FILE.match(x)} - ELSEWHERE
    assert not named - FILES


@each_page
def test_targets_of_make(path):
    makefile = (ROOT / "Makefile").read_text()
    targets = {name for x in re.findall(r"^([a-z-]+):", makefile, re.M) for name in x.split()}
    named = re.findall(r"(?:^    |`)make ([a-z-]+)", path.read_text(), re.M)
    assert set(named) <= targets


def names_of(tree):
    """Return every name that code defines, uses or takes."""
    found = set()
    for x in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "module"):
            if isinstance(value := getattr(x, field, None), str):
                found.update(value.split("."))
    return found


@cache
def known_names():
    """Return every name in the stages' code."""
    paths = [
        x for stage in ("step01_numpy", "step02_torch", "step03_gpu") for x in (ROOT / stage).rglob("*.py")
    ]
    found = {x for path in paths for x in names_of(ast.parse(path.read_text()))}
    return found | {x.stem for x in paths} | {x.parent.name for x in paths}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_names_of_code_in_a_lesson(path):
    """Whatever a lesson sets as code and is Python has its names in the stages, or in the lesson's cells."""
    code = [x.source for x in notebook(path).cells if x.cell_type == "code"]
    own = {x for source in code for x in names_of(ast.parse(source))} | set(dir(__builtins__))
    own |= {"nn", "F", *dir(torch.nn), *dir(torch.nn.functional)}
    for text in spans(path):
        if FILE.match(text) or re.match(r"make |python |pytest |pip ", text):
            continue
        try:
            named = names_of(ast.parse(text.replace("…", "...")))
        except SyntaxError:
            continue
        named = {x for x in named if len(x) > 1}  # a letter is a letter of the formula
        assert named <= own | known_names(), text


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_stages_and_mistakes_can_be_shown(path):
    text = path.read_text()
    shown = notebooks.STAGES.findall(text)
    assert len(shown) == text.count("```{stages}")
    for name, stages, body in shown:
        for stage in (stages or "step01_numpy step02_torch").split():
            assert objects.cut(stage, name, bool(body)).code
    assert len(mistakes.breaks(text)) == text.count("```{breaks}")
    for mistake in mistakes.breaks(text):
        file, before, after = mistakes.changed_lines(mistake)
        assert file in FILES
        assert before
        assert before != after


@each_page
def test_links_out_of_the_documentation(path):
    for _, target in outside.LINK.findall(path.read_text()):
        assert (path.parent / target).exists(), target


def test_an_object_is_cut_without_its_docstring():
    cut = objects.cut("step01_numpy", "self_attention.SelfAttention")
    assert cut.path.name == "self_attention.py"
    assert cut.code.splitlines()[:2] == ["class SelfAttention(AttentionHead):", "    def forward("]
    assert '"""' not in cut.code
    method = objects.cut("step01_numpy", "self_attention.SelfAttention.forward").code
    assert method.startswith("def forward(")
    assert method in "\n".join(line.removeprefix("    ") for line in cut.code.splitlines())
    body = objects.cut("step01_numpy", "self_attention.SelfAttention.forward", body=True).code
    assert method.endswith(f"\n    {body.replace(chr(10), chr(10) + '    ')}")
    assert objects.cut("step01_numpy", "attention.STANDARD").code.startswith("STANDARD = Attend(")
    assert objects.cut("step02_torch", "attention.scaled_dot_product_attention").code.startswith("@follow")


@pytest.mark.parametrize(
    ("name", "message"), [("nothing.f", "no module nothing"), ("masks.f", "masks.py has no f")]
)
def test_what_is_not_there_cannot_be_cut(name, message):
    with pytest.raises(ValueError, match=message):
        objects.cut("step01_numpy", name)


def test_lines_that_the_first_has_not():
    assert objects.differing("a\nb\nc", "a\nB\nc\nd") == [2, 4]
    assert objects.differing("a\nb", "a") == []
