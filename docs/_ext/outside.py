"""Links that leave the documentation: on the site they name the file of the repository instead."""

import re
from pathlib import Path

from docs._ext.cells import ROOT

LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)(?:#[^)\s]*)?\)")


def name_files(app, page, source):
    """Replace what leads out of the documentation by the file's name; a missing file is a warning."""
    from sphinx.util import logging  # the names of pages are tested without Sphinx

    folder = (Path(app.srcdir) / page).parent

    def named(match):
        path = (folder / match[2]).resolve()
        if path.is_relative_to(app.srcdir):
            return match[0]
        if not path.exists():
            logging.getLogger(__name__).warning("a link to %s, which does not exist", match[2], location=page)
            return match[1]
        return f"{match[1]} (`{path.relative_to(ROOT)}`)"

    source[0] = LINK.sub(named, source[0])


def setup(app):
    app.connect("source-read", name_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
