"""Pages in Debian's Chromium, by Playwright: what they ask for and complain about is held against them."""

import os
import shutil
from importlib.util import find_spec

import pytest

BROWSER = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
FLAGS += ["--disable-component-update", "--disable-sync"]
REQUIRED = "REQUIRE_BROWSER" in os.environ  # where a browser must be there, as in CI
WAIT = 60_000  # ms, for whatever else the machine does


@pytest.fixture(scope="session")
def browser():
    """Chromium, or a skip that says what is missing."""
    missing = [name for name in ("playwright", "axe_playwright_python") if find_spec(name) is None]
    missing += [] if BROWSER else ["chromium on the path"]
    if missing:
        reason = f"no {', no '.join(missing)}: a browser looks at the page"
        pytest.fail(reason) if REQUIRED else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS, timeout=WAIT)
        yield found
        found.close()


class Looked:
    """A page that is open, what it asked for and what it complained about."""

    def __init__(self, browser, address, width=1280, scheme="light", hash_="", **options):
        size = {"width": width, "height": 900}
        self.context = browser.new_context(
            viewport=size, color_scheme=scheme, reduced_motion="reduce", **options
        )
        self.context.set_default_timeout(WAIT)
        self.page, self.requests, self.complaints = self.context.new_page(), [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address.as_uri() + hash_)

    def close(self):
        """Close the page; nothing but files was asked for, and nothing complained about."""
        self.context.close()
        assert [x for x in self.requests if not x.startswith(("file:", "blob:"))] == []
        assert self.complaints == []

    def text(self, selector):
        """Return the text of one element."""
        return self.page.locator(selector).inner_text()


def violations(page):
    """Return what axe finds wrong with a page, pages within it aside: rule, and the elements."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"preload": False, "iframes": False})  # from disk no page asks another
    return [(x["id"], [node["html"] for node in x["nodes"]]) for x in found.response["violations"]]
