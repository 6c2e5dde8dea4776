"""The built site in a browser, from disk: no request, no complaint, no sideways scroll; axe; search."""

import re

import pytest

from docs._ext.cells import LESSONS, ROOT
from tests.browser import REQUIRED, Looked, violations

pytestmark = pytest.mark.proof
SITE = ROOT / "build" / "site"
PAGES = (
    "index.html",
    "touch_it.html",
    "lessons/03_self_attention_by_hand.html",
    "lessons/05_masked_self_attention_by_hand.html",
    "lessons/08_multi_head_attention.html",
    "reference/step01_numpy/attention.html",
)
EVERY = sorted({*PAGES, "design.html", *(f"lessons/{path.stem}.html" for path in LESSONS)})
WIDTHS = (320, 390, 768, 1280)
SCHEMES = ("light", "dark")
BEYOND = """() => {  // what ends beyond the window, and stands in no box that scrolls
  const scrolls = x => x && x.tagName !== "ARTICLE" && (/auto|scroll/.test(getComputedStyle(x).overflowX)
    || scrolls(x.parentElement));
  return Array.from(document.querySelectorAll("article *"))
    .filter(x => x.getBoundingClientRect().right > innerWidth + 1 && !scrolls(x))
    .filter(x => !x.closest(".headerlink, .copybtn"))
    .map(x => x.outerHTML.slice(0, 80));
}"""


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


def unfold(page):
    """Open every answer."""
    page.evaluate("document.querySelectorAll('details').forEach(x => { x.open = true; })")


@pytest.mark.parametrize("name", EVERY)
def test_no_page_scrolls_sideways_or_is_cut(look, name):
    page = look(name, width=WIDTHS[-1])
    unfold(page)
    wide = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        wide[width] = page.evaluate("document.documentElement.scrollWidth")
        assert page.evaluate(BEYOND) == [], width
    assert {width: x for width, x in wide.items() if x > width} == {}


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(look, name):
    page = look(name)
    unfold(page)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme


def test_a_search_from_disk_lists_pages(look):
    page = look("index.html")
    page.locator("input.sidebar-search").fill("log-sum-exp")
    page.locator("input.sidebar-search").press("Enter")
    page.locator("#search-results li a").first.wait_for()
    found = page.locator("#search-results li a").evaluate_all("all => all.map(x => x.getAttribute('href'))")
    assert "lessons/16_flash_attention.html" in {x.split("?")[0].split("#")[0] for x in found}


def test_the_explorer_is_on_the_page_and_has_its_scheme(look):
    page = look("touch_it.html", scheme="null")  # the system's, which Furo's switch changes
    page.locator("iframe.explorer").scroll_into_view_if_needed()
    explorer = page.frame_locator("iframe.explorer")
    explorer.locator("#ends tr").nth(1).wait_for()
    explorer.locator("#causal").check()
    assert explorer.locator('[data-cell="scores:0:0:1"]').inner_text() == "−∞"
    dark = "matchMedia('(prefers-color-scheme: dark)').matches"
    for theme in SCHEMES:
        page.evaluate("theme => { document.body.dataset.theme = theme; }", theme)
        assert explorer.locator("body").evaluate(dark) == (theme == "dark")


LINKS = [
    (path, link)
    for path in LESSONS
    for link in re.findall(r"\(explorer\.html(#\w+=[^)]+)\)", path.read_text())
]


@pytest.mark.parametrize(("path", "state"), LINKS, ids=[f"{path.stem[:2]}{link}" for path, link in LINKS])
def test_a_lessons_link_opens_the_explorer_in_its_state(look, path, state):
    page = look(f"lessons/{path.stem}.html")
    page.locator(f'a[href$="explorer.html{state}"]').first.click()
    page.locator("#ends tr").nth(1).wait_for()
    for name, value in (x.split("=") for x in state.strip("#").split("&")):
        assert page.locator(f"#{name}").is_checked() == (value == "1")
