"""The explorer beside the pages: the file that `explore` writes, and links to it."""

import re
from pathlib import Path

from step01_numpy.common.commands.context import SHIPPED
from step01_numpy.common.explorer.page import page
from step01_numpy.common.training.checkpoints import load

NAME = "explorer.html"
LINK = re.compile(rf"\[([^\]]+)\]\({re.escape(NAME)}(#[^)\s]+)?\)")


def link(app, docname, source):
    """Let a page link to the explorer, which is no page of Sphinx's, in a state; on paper it is text."""
    up = "../" * docname.count("/")

    def anchor(match):
        if app.builder.name != "html":
            return match[1]
        state = (match[2] or "").replace("&", "&amp;")
        return f'<a class="reference internal" href="{up}{NAME}{state}">{match[1]}</a>'

    source[0] = LINK.sub(anchor, source[0])


def write(app, error):
    """Write the explorer of the shipped translator."""
    if error is None and app.builder.name == "html":
        (Path(app.outdir) / NAME).write_bytes(page(load(SHIPPED)))


def setup(app):
    app.connect("source-read", link)
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
