"""The page opens in 2 s and answers 15 tokens in 150 ms, of its own thread, whatever else runs beside it."""

import pytest

from tests.browser import Looked

pytestmark = pytest.mark.proof
SENTENCE = "The minister of the small country signed the new agreement on Monday evening."
ANSWER = """text => {  // press Enter, lay the page out anew; leave out the beams, for which it does not wait
  const later = window.setTimeout;
  window.setTimeout = () => 0;
  document.getElementById("text").value = text;
  document.getElementById("live-form").requestSubmit();
  document.body.getBoundingClientRect();
  window.setTimeout = later;
}"""


WORK = """() => { let x = new Float64Array(4096).fill(1.000001), sum = 0;
  for (let n = 0; n < 5000; ++n) for (let i = 0; i < 4096; ++i) sum += x[i] * x[4095 - i];
  return sum; }"""
USUAL = 0.012  # s of that work on an AMD EPYC (Zen 5), where 150 ms hold; in proportion elsewhere


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

    def best(*call):
        times = []
        for _ in range(9):
            begun = spent()
            page.evaluate(*call)
            times.append(spent() - begun)
        return min(times)

    slower = max(1.0, best(WORK) / USUAL)
    answer = best(ANSWER, SENTENCE)
    assert page.locator("#source-tokens li").count() == 15
    assert 0.005 <= answer <= 0.150 * slower
