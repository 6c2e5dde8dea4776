"""The built site: whole, silent, and refused where a page is wrong."""

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import pytest

from docs._ext.cells import LESSONS, ROOT
from docs._ext.reference import BESIDE, STAGES, modules

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(find_spec("sphinx") is None, reason="needs the extra docs: make site"),
]
SPHINX = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "--no-color"]
CONF = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
extensions = ["myst_parser", "docs._ext.directives", "docs._ext.maths", "docs._ext.outside"]
myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"
"""
RIGHT = "```{code-cell}\n1 + 1\n```\n\n$x$ and [the others](index.md)"
WRONG = {
    "a cell": ("```{code-cell}\n1 / 0\n```", "the cell fails: ZeroDivisionError"),
    "a number": (
        "```{code-cell}\nfrom step01_numpy.common.display.lesson import check\ncheck(1, 2)\n```",
        "found 1.0; the lesson says 2.0",
    ),
    "a mistake": (
        "```{breaks} linear without transpose\n0 | 0 | 1\n```",
        "0: found 0.0; the lesson says 1.0",
    ),
    "an unknown mistake": ("```{breaks} nothing\n```", "no mutant is called 'nothing'"),
    "an object": ("```{stages} attention.nothing\n```", "step01_numpy/attention.py has no nothing"),
    "a formula": ("$\\nothing$", "Unknown command"),
    "a page": ("[there](nothing.md)", "nothing.md"),
    "a heading": ("[there](#nothing)", "nothing"),
    "a file": ("[there](../nothing.md)", "../nothing.md, which does not exist"),
}


def test_no_page_asks_the_network(site):
    asked = re.compile(
        r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["']((?:https?:)?//[^"']+)"""
    )
    for path in site.rglob("*.html"):
        assert not asked.findall(path.read_text()), path
    for path in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import\s*)[\"']?(?:https?:)?//", path.read_text()), path


def test_every_lesson_is_offered_as_a_notebook(site):
    for path in LESSONS:
        assert (site / f"lessons/{path.stem}.ipynb").exists()
        page = (site / f"lessons/{path.stem}.html").read_text()
        assert f'href="{path.stem}.ipynb"' in page
        assert ("<math" in page) == ("$" in path.read_text()), path
        assert 'class="figure"' in page


def test_the_reference_has_every_public_name_once(site):
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    found = [name for kind in ("py:function", "py:class", "py:data") for name in inventory.data.get(kind, ())]
    for stage in STAGES:
        package = import_module(stage)
        rooms = [f"{stage}.{name}" for name in modules(stage)]
        own = [x.rpartition(".")[2] for x in found if x.rpartition(".")[0] in rooms]
        told = [x for x in package.__all__ if callable(getattr(package, x))]
        assert sorted(x for x in told if own.count(x) != 1 and _is_of(package, x, stage)) == []
    assert BESIDE


def _is_of(package, name, stage):
    """Tell whether a stage's name is its own: what it only hands on is told where it comes from."""
    return getattr(getattr(package, name), "__module__", "").startswith(stage)


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """Build a site of wrong pages, and a right one among them; return what is said of each, by its name."""
    folder = tmp_path_factory.mktemp("wrong")
    source = folder / "source"
    source.mkdir()
    (source / "conf.py").write_text(CONF)
    pages = {what.replace(" ", "_"): text for what, (text, _) in WRONG.items()} | {"right": RIGHT}
    for name, text in pages.items():
        (source / f"{name}.md").write_text(f"# The page {name}\n\n{text}\n")
    (source / "index.md").write_text("# All\n\n```{toctree}\n" + "\n".join(pages) + "\n```\n")
    done = subprocess.run([*SPHINX, source, folder / "site"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = re.split(rf"^{re.escape(str(source))}/", done.stderr, flags=re.MULTILINE)[1:]
    return {name: "".join(x for x in said if x.startswith(f"{name}.md:")) for name in pages}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_page_is_refused(refused, what):
    """-W refuses whatever is a warning or worse."""
    said = refused[what.replace(" ", "_")]
    assert WRONG[what][1] in said
    assert re.match(r"[\w.]+:(\d+:)? (WARNING|ERROR|CRITICAL):", said)


def test_a_right_page_beside_them_is_not(refused):
    assert refused["right"] == ""
