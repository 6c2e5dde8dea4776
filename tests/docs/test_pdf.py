"""The whole site as one PDF: tagged, with an outline; on paper nothing is cut, folded or in the way."""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from docs._ext import pdf
from docs._ext.cells import LESSONS, ROOT
from tests.browser import Looked
from tests.docs.conftest import sphinx
from tests.once import made_once

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(find_spec("sphinx") is None, reason="needs the extra docs: make site"),
]
SHEET = 680  # px: A4 without its margins
CUT = """width => Array.from(document.querySelectorAll("article *"))
  .filter(x => !x.closest("svg, math, .copybtn") && x.getClientRects().length)
  .filter(x => x.getBoundingClientRect().right > width + 1
    || (x.clientWidth && x.scrollWidth > x.clientWidth + 1 && getComputedStyle(x).overflowX !== "visible"))
  .map(x => [x.tagName, x.className, x.textContent.slice(0, 60)])"""
OPEN = "Array.from(document.querySelectorAll('details'), x => x.lastElementChild.checkVisibility())"
AROUND = ".sidebar-drawer, .toc-drawer, .mobile-header, .copybtn, .skip-to-content, iframe, .back-to-top"


@pytest.fixture(scope="module")
def single(site, tmp_path_factory):
    """All pages as one, as `make pdf` builds them: of what was read for the site."""
    read = ("-d", site / ".doctrees", ROOT / "docs")
    return (
        made_once(tmp_path_factory, "single", lambda folder: sphinx("singlehtml", *read, folder))
        / "index.html"
    )


def title(path):
    """Return a page's first heading."""
    return re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.M)[1]


def test_the_whole_site_is_one_tagged_pdf(browser, single, tmp_path):
    file = tmp_path / "site.pdf"
    command = [sys.executable, "-m", "docs._ext.pdf", single, file]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = file.read_bytes()
    assert done.stdout == f"{file}: {len(found):,} bytes\n"
    assert found.startswith(b"%PDF-")
    assert b"/StructTreeRoot" in found
    assert re.search(rb"/MarkInfo\s*<<[^>]*/Marked true", found) is not None
    outline = [x.replace(b" ", b"") for x in re.findall(rb"/Title \((.*?)(?<!\\)\)", found, re.S)]
    titles = [
        title(path).replace(" ", "").encode() for path in LESSONS
    ]  # where a line ends the blank is lost
    assert [x for x in titles if x not in outline] == []


def test_on_paper_nothing_is_cut_or_folded(browser, single):
    one = Looked(browser, single, width=SHEET)
    one.page.emulate_media(media="print")
    assert one.page.evaluate(CUT, SHEET) == []
    answers = one.page.evaluate(OPEN)
    assert len(answers) > len(LESSONS)
    assert all(answers)
    assert one.page.locator(AROUND).filter(visible=True).count() == 0
    assert one.page.locator('a[href*="explorer.html"]').count() == 0  # which is not on the paper
    one.close()


def test_without_a_browser_one_line_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(pdf, "BROWSER", None)
    assert pdf.main("index.html", str(tmp_path / "x.pdf")) == 2
    assert capsys.readouterr().err == "a page is printed by chromium: apt install chromium, make browser\n"
