"""The explorer, open in a browser."""

import pytest

from step01_numpy.common.commands.context import SHIPPED
from step01_numpy.common.explorer.page import page
from step01_numpy.common.training.checkpoints import load
from tests.browser import Looked


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The explorer of the shipped translator, as a file."""
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    path.write_bytes(page(load(SHIPPED)))
    return path


@pytest.fixture
def look(browser, written):
    """Open the page: look(width=…, scheme=…, hash_=…)."""
    opened = []

    def open_page(**options):
        opened.append(Looked(browser, written, **options))
        opened[-1].page.locator("#ends tr").nth(1).wait_for()  # the last that is drawn
        return opened[-1]

    yield open_page
    for one in opened:
        one.close()
        assert len([x for x in one.requests if x.startswith("file:")]) == 1
