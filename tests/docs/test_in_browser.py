"""The built site in a browser, opened from disk: no request, no complaint, no sideways scroll."""

import pytest

from docs._ext.cells import ROOT
from tests.browser import REQUIRED, Looked

pytestmark = pytest.mark.proof
SITE = ROOT / "build" / "site"
PAGES = (
    "index.html",
    "touch_it.html",
    "lessons/03_self_attention_by_hand.html",
    "reference/step01_numpy/attention.html",
    "design.html",
)
WIDTHS = (320, 390, 768, 1280)


@pytest.fixture
def look(browser):
    """Open a page of the site: look(name, width=…, scheme=…)."""
    if not (SITE / "index.html").exists():
        reason = "no build/site/index.html: make site builds what a browser looks at"
        pytest.fail(reason) if REQUIRED else pytest.skip(reason)
    opened = []

    def open_page(name, **options):
        opened.append(Looked(browser, SITE / name, **options))
        return opened[-1].page

    yield open_page
    for one in opened:
        one.close()


@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways(look, name):
    page = look(name, width=WIDTHS[-1])
    wide = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        wide[width] = page.evaluate("document.documentElement.scrollWidth")
    assert {width: x for width, x in wide.items() if x > width} == {}
