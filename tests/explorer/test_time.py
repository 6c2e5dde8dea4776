"""The page opens in 2 s and answers 15 tokens in 150 ms, on a machine that does nothing else meanwhile."""

import pytest

from tests.browser import Looked

pytestmark = pytest.mark.alone
SENTENCE = "The minister of the small country signed the new agreement on Monday evening."
ANSWER = """text => {  // press Enter, lay the page out anew; leave out the beams, for which it does not wait
  const later = window.setTimeout;
  window.setTimeout = () => 0;
  document.getElementById("text").value = text;
  document.getElementById("live-form").requestSubmit();
  document.body.getBoundingClientRect();
  window.setTimeout = later;
}"""


@pytest.fixture
def page(browser, written):
    """The explorer, open."""
    one = Looked(browser, written)
    yield one.page
    one.close()


@pytest.fixture
def spent(page):
    """A function: seconds of the processor that the page's thread has taken."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def seconds():
        found = {x["name"]: x["value"] for x in session.send("Performance.getMetrics")["metrics"]}
        return found["ThreadTime"]

    return seconds


def test_it_opens_in_two_seconds(page, spent):
    begun = spent()
    page.reload()
    page.locator("#ends tr").nth(1).wait_for()  # the last that is drawn
    assert 0.05 <= spent() - begun <= 2.0


def test_it_answers_in_150_ms(page, spent):
    """The best of nine: greedy search, every map, the five best of each step, and the layout of the page."""
    times = []
    for _ in range(9):
        begun = spent()
        page.evaluate(ANSWER, SENTENCE)
        times.append(spent() - begun)
    assert page.locator("#source-tokens li").count() == 15
    assert 0.005 <= min(times) <= 0.150, times
