"""The explorer beside the pages: the file that `explore` writes, and links to it."""

import re
from pathlib import Path

from step01_numpy.common.commands.context import SHIPPED
from step01_numpy.common.explorer.page import page
from step01_numpy.common.training.checkpoints import load

NAME = "explorer.html"
LINK = re.compile(rf"\[([^\]]+)\]\({re.escape(NAME)}\)")


def link(app, docname, source):
    """Let a page link to the explorer, which is no page of Sphinx's."""
    source[0] = LINK.sub(rf'<a class="reference internal" href="{NAME}">\1</a>', source[0])


def write(app, error):
    """Write the explorer of the shipped translator."""
    if error is None and app.builder.format == "html":
        (Path(app.outdir) / NAME).write_bytes(page(load(SHIPPED)))


def setup(app):
    app.connect("source-read", link)
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
