"""The page in a browser: no request, no complaint, no sideways scroll; by keyboard, and in words."""

import re

import numpy as np
import pytest

from step01_numpy.common.explorer.bundle import source
from tests.browser import WAIT, violations

pytestmark = pytest.mark.proof
WIDTHS = (320, 390, 768, 1280)
SCHEMES = ("light", "dark")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing(look, scheme):
    one = look(scheme=scheme)
    one.page.locator("details summary").click()
    one.page.locator('[data-cell="weights:0:1:2"]').focus()
    one.page.locator("#text").fill("Hallo xylophone zzz.")
    one.page.locator("#text").press("Enter")
    assert one.page.locator(".token.unknown").count() > 0
    assert violations(one.page) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_it_does_not_scroll_sideways(look, width):
    one = look(width=width)
    one.page.locator("details summary").click()
    one.page.locator("#heads").check()
    one.page.locator("#text").fill(
        "The unbelievably longwindedcompoundword does not stop anywhere near here, my friend."
    )
    one.page.locator("#text").press("Enter")
    for kind in ("self", "masked", "cross"):
        one.page.locator(f'#kinds [value="{kind}"]').check(force=True)
        assert one.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 1280])
def test_what_is_pressed_is_large_enough(look, width):
    """24 px either way, WCAG 2.2's least, of whatever can be pressed; links within text aside."""
    sizes = look(width=width).page.evaluate(
        """() => Array.from(document.querySelectorAll("button, input, summary, td[tabindex]"), x => {
          const box = (x.closest("label") ?? x).getBoundingClientRect();
          return [x.outerHTML.slice(0, 80), box.width, box.height];
        }).filter(([, w, h]) => w > 0 && (w < 24 || h < 24))"""
    )
    assert sizes == []


WALK = """() => {
  const cells = Array.from(document.querySelectorAll("td[tabindex]"));
  const stops = cells.filter(x => x.tabIndex === 0).length;
  return {stops, tables: document.querySelectorAll("table.grid").length};
}"""


def test_the_keyboard_reaches_every_cell_and_each_is_said(look):
    """One Tab stop a table; arrows reach every cell from it; the words change with each."""
    one = look()
    counted = one.page.evaluate(WALK)
    assert counted["stops"] == counted["tables"] == 12
    for n in range(counted["tables"]):
        table = one.page.locator("table.grid").nth(n)
        said = "#live-said" if "map" in table.get_attribute("class") else "#hand-said"
        n_rows, n_cells = table.locator("tbody tr").count(), table.locator("td[tabindex]").count()
        table.locator('td[tabindex="0"]').focus()
        one.page.keyboard.press("Control+Home")
        heard = [one.text(said)]
        for i in range(n_rows):
            for _ in range(n_cells // n_rows - 1):
                one.page.keyboard.press("ArrowRight" if i % 2 == 0 else "ArrowLeft")
                heard.append(one.text(said))
            if i + 1 < n_rows:
                one.page.keyboard.press("ArrowDown")
                heard.append(one.text(said))
        assert len(set(heard)) == n_cells, table.get_attribute("class")
        assert table.locator('td[tabindex="0"]').count() == 1


STOPS = """() => ["a", "button", "input", "summary", "td[tabindex='0']"]
  .flatMap(kind => Array.from(document.querySelectorAll(`main ${kind}`)))
  .filter(x => x.offsetParent && (x.type !== "radio" || x.checked))
  .map((x, n) => { x.dataset.stop = n; return n; })"""


def test_tab_reaches_every_control(look):
    one = look()
    one.page.locator("details summary").click()
    one.page.mouse.click(5, 5)
    names = one.page.evaluate(STOPS)
    reached = []
    for _ in range(len(names) + 12):
        one.page.keyboard.press("Tab")
        reached.append(one.page.evaluate("document.activeElement.dataset.stop ?? ''"))
    assert sorted(int(x) for x in set(reached) if x) == names


def test_guess_first_hides_and_opens(look):
    one = look()
    one.page.locator("#guess").check()
    cell = one.page.locator('[data-cell="out:0:1:0"]')
    assert cell.inner_text() == "?"
    cell.focus()
    assert one.text("#hand-said").endswith("= ? Guess, then press Enter or tap once more.")
    one.page.keyboard.press("Enter")
    assert cell.inner_text() == "0.2040"
    assert one.text("#hand-said").endswith("= 0.2040")
    assert one.page.locator('[data-cell="out:0:1:1"]').inner_text() == "?"
    assert one.page.locator('[data-cell="q:0:0:0"]').inner_text() == "0.7621"


def test_one_tap_asks_and_the_next_opens(look):
    one = look(width=390, has_touch=True, is_mobile=True)
    one.page.locator("#guess").check()
    cell = one.page.locator('[data-cell="weights:0:2:2"]')
    cell.tap()
    assert cell.inner_text() == "?"
    cell.tap()
    assert cell.inner_text() == "0.8959"


def test_a_link_opens_the_same_numbers(look):
    one = look()
    one.page.locator("#causal").check()
    one.page.locator('[data-name="x"][data-i="0"][data-j="0"]').fill("-2.5")
    link = one.page.locator("#hand-link").get_attribute("href")
    assert one.page.evaluate("location.hash") == link
    shown = one.text("#hand-tables")
    other = look(hash_=link)
    assert other.text("#hand-tables") == shown
    assert "−2.5000" in shown
    other.page.locator("#course").click()
    assert "1.1600" in other.text("#hand-tables")


def test_maps_of_the_page_are_those_of_the_engine(look):
    """Each kind, block and head as it stands in the table, in percent."""
    one = look()
    text = "Nobody has seen the small black cat."
    one.page.locator("#text").fill(text)
    one.page.locator("#text").press("Enter")
    maps = one.page.evaluate(
        """text => {
          const r = explorer.read(text), {maps} = r.look(r.greedy().tokens), found = {};
          const row = (x, i) => Array.from(x.data.slice(i * x.d, (i + 1) * x.d));
          const rows = x => Array.from({length: x.n}, (_, i) => row(x, i));
          for (const kind in maps) found[kind] = maps[kind].map(heads => heads.map(rows));
          return found;
        }""",
        text,
    )
    read = "x => Array.from(x.tBodies[0].rows, r => Array.from(r.cells).slice(1).map(c => c.textContent))"
    for kind, block, head in (
        ("self", 0, "0"),
        ("masked", 1, "3"),
        ("cross", 1, "mean"),
        ("cross", 0, "maximum"),
    ):
        one.page.locator(f'#kinds [value="{kind}"]').check(force=True)
        one.page.locator(f'#pictures [data-block="{block}"][data-head="{head}"]').click()
        heads = np.array(maps[kind][block])
        right = {"mean": heads.mean(axis=0), "maximum": heads.max(axis=0)}.get(head)
        right = heads[int(head)] if right is None else right
        shown = one.page.locator("#map table").evaluate(read)
        for i, row in enumerate(shown):
            for j, cell in enumerate(row):
                hidden = kind == "masked" and j > i
                assert cell == "hidden" if hidden else abs(float(cell) - 100 * right[i, j]) <= 0.5 + 1e-6
        caption = one.text("#map caption")
        assert f"block {block + 1}" in caption
        assert (head if not head.isdigit() else f"head {int(head) + 1}") in caption


def test_a_token_is_marked_everywhere(look):
    one = look()
    one.page.locator("#target-tokens li").nth(1).hover()
    marked = one.page.locator("#results .marked").all_inner_texts()
    word = one.page.locator("#target-tokens li").nth(1).inner_text()
    assert marked[0] == word
    assert marked[1].endswith(f"→ {word}")
    one.page.locator("#source-tokens li").nth(0).hover()
    assert one.page.locator("#map thead .marked").count() == 1
    one.page.locator('#kinds [value="masked"]').check(force=True)
    one.page.locator('#map [data-i="2"][data-j="0"]').hover()  # a row and a column of one sentence
    assert one.page.locator("#map tbody tr:nth-child(3) th.marked").count() == 1
    assert one.page.locator("#map thead th:nth-child(2).marked").inner_text() == "<bos>"


def test_word_by_word_is_played_and_stepped(look):
    from playwright.sync_api import expect

    one = look()
    target = one.page.locator("#target-tokens li").all_inner_texts()
    for n in range(len(target)):
        assert one.text("#step-number") == f"{n + 1} of {len(target)}"
        assert one.page.locator("#sofar b").inner_text() == target[n]
        assert one.page.locator("#best tr").count() == 5
        assert (
            one.page.locator("#best .written th").inner_text().startswith(target[n])
        )  # greedy: the first of five
        one.page.locator("#next").click()
    one.page.locator("#play").click()
    expect(one.page.locator("#step-number")).to_have_text(re.compile("^[23] of"), timeout=WAIT)
    assert one.text("#play") == "Pause"
    one.page.locator("#back").click()
    assert one.text("#play") == "Play"


def test_beams_can_be_chosen_and_compared(look):
    one = look()
    rows = one.page.locator("#ends tr")
    assert rows.nth(0).locator("th").inner_text() == "greedy"
    best = rows.nth(1).locator("td").first.inner_text()
    one.page.locator('[name="search"][value="beams"]').check(force=True)
    assert one.text("#french") == best


@pytest.mark.parametrize("kind", ["png", "svg", "csv"])
def test_a_map_is_saved(look, kind, tmp_path):
    one = look()
    with one.page.expect_download() as download:
        one.page.locator(f'#save [value="{kind}"]').click()
    download.value.save_as(tmp_path / "map")
    assert re.fullmatch(rf"attention_cross_block2_mean\.{kind}", download.value.suggested_filename)
    begin = {"png": b"\x89PNG", "svg": b"<svg", "csv": b'"","'}[kind]
    assert (tmp_path / "map").read_bytes().startswith(begin)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Type a sentence in English."),
        ("word " * 190, "The text has 191 tokens, <eos> included"),
        ("\u0007 日本", None),
    ],
)
def test_odd_sentences_end_in_words(look, text, said):
    one = look()
    one.page.locator("#text").fill(text)
    one.page.locator("#text").press("Enter")
    if said:
        assert one.text("#live-said").startswith(said)
        assert not one.page.locator("#results").is_visible()
    else:
        assert "never seen in training" in one.text("#doubts")
        french = one.text("#french")
        assert one.text("#live-said") == f"French: {french or 'nothing'} (it may be wrong, see the note)"


def test_two_places_speak_and_no_more():
    from step01_numpy.common.explorer.page import HERE

    html = (HERE / "page.html").read_text(encoding="utf-8")
    assert html.count('role="status"') == 2
    assert "aria-live" not in html + "".join(source(name) for name in ("tables", "live", "steps"))
