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
SPHINX = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
CONF = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
extensions = ["myst_parser", "docs._ext.directives", "docs._ext.maths", "docs._ext.outside"]
myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"
"""
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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as `make site` does."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [*SPHINX, ROOT / "docs", folder], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


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


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_page_is_refused(tmp_path, what):
    text, message = WRONG[what]
    source = tmp_path / "source"
    source.mkdir()
    (source / "conf.py").write_text(CONF)
    (source / "index.md").write_text(f"# A page\n\n{text}\n")
    done = subprocess.run(
        [*SPHINX, source, tmp_path / "site"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "index.md" in done.stderr
