"""The explorer beside the pages: the file that `explore` writes, and links to it."""

import re
from pathlib import Path

from docutils import nodes

from step01_numpy.common.commands.context import SHIPPED
from step01_numpy.common.explorer.page import page
from step01_numpy.common.training.checkpoints import load

NAME = "explorer.html"
ANCHOR = '<a class="reference internal" href="'
LINK = re.compile(rf"\[([^\]]+)\]\({re.escape(NAME)}(#[^)\s]+)?\)")


def link(app, docname, source):
    """Let a page link to the explorer, which is no page of Sphinx's, in a state."""
    up = "../" * docname.count("/")

    def anchor(match):
        state = (match[2] or "").replace("&", "&amp;")
        return f'{ANCHOR}{up}{NAME}{state}">{match[1]}</a>'

    source[0] = LINK.sub(anchor, source[0])


def unlink(app, doctree, docname):
    """Make text of these links where all pages are one, on paper."""
    if app.builder.name == "html":
        return
    for opening in [x for x in doctree.findall(nodes.raw) if x.astext().startswith(ANCHOR)]:
        inside = opening.parent[opening.parent.index(opening) + 1 :]
        closing = next(x for x in inside if isinstance(x, nodes.raw) and x.astext() == "</a>")
        for mark in (opening, closing):
            mark.parent.remove(mark)


def write(app, error):
    """Write the explorer of the shipped translator."""
    if error is None and app.builder.name == "html":
        (Path(app.outdir) / NAME).write_bytes(page(load(SHIPPED)))


def setup(app):
    app.connect("source-read", link)
    app.connect("doctree-resolved", unlink)
    app.connect("build-finished", write)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
