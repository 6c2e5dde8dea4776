"""The built site: the one of `make site` where that is whole and newer than all that it is made of."""

import subprocess
import sys

import pytest

from docs._ext.cells import ROOT
from tests.once import made_once

SITE = ROOT / "build" / "site"
SOURCES = ("docs", "step01_numpy", "step02_torch", "step03_gpu", "tests")


def sources():
    """Yield the files that a page may be made of, those aside that a build or Python makes of others."""
    yield from (ROOT / name for name in ("pyproject.toml", "constraints.txt", "README.md", "Makefile"))
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".rst":
                yield path


def up_to_date():
    """Tell whether `make site` has ended well, and every page is younger than any source."""
    pages = [x.stat().st_mtime for x in SITE.rglob("*.html")]
    return (SITE / ".whole").exists() and min(pages, default=0) > max(x.stat().st_mtime for x in sources())


def sphinx(builder, *arguments):
    """Build the pages."""
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-W", "--keep-going", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site as `make site` builds it."""
    if up_to_date():
        return SITE
    return made_once(tmp_path_factory, "site", lambda folder: sphinx("html", ROOT / "docs", folder))
