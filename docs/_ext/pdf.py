"""`python -m docs._ext.pdf PAGE FILE`: print a page as a tagged PDF with an outline, by Debian's Chromium."""

import sys
from importlib.util import find_spec
from pathlib import Path

from step01_numpy.common.support.files import write_atomically
from tests.browser import BROWSER, FLAGS

WAIT = 300_000  # ms; the whole site is some hundreds of sheets
NUMBER = '<p style="font-size: 8px; width: 100%; text-align: center"><span class="pageNumber"></span></p>'
SHEET = {
    "format": "A4",
    "margin": {"top": "16mm", "bottom": "18mm", "left": "15mm", "right": "15mm"},
    "display_header_footer": True,
    "header_template": "<span></span>",
    "footer_template": NUMBER,
}


def printed(page: Path) -> bytes:
    """Return a page as a PDF: its headings are the outline, its elements the tags."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS, timeout=WAIT)
        opened = browser.new_page(color_scheme="light")
        opened.set_default_timeout(WAIT)
        opened.goto(page.resolve().as_uri())
        found = opened.pdf(tagged=True, outline=True, **SHEET)
        browser.close()
    return found


def main(page: str, file: str) -> int:
    """Print a page into a file; return the exit code."""
    missing = [
        name for name, there in (("chromium", BROWSER), ("playwright", find_spec("playwright"))) if not there
    ]
    if missing:
        print(
            f"a page is printed by {' and '.join(missing)}: apt install chromium, make browser",
            file=sys.stderr,
        )
        return 2
    found = printed(Path(page))
    write_atomically(file, found)
    print(f"{file}: {len(found):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
