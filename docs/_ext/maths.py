"""Formulas as MathML, made when the site is built: no script, no request; the font is in the style sheet."""

import base64
import re
from pathlib import Path

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.util import logging

FONT = Path(__file__).parent.parent / "_static/stix_two_math.woff2"
STYLE = """\
@font-face {{ font-family: "STIX Two Math"; src: url("data:font/woff2;base64,{font}") format("woff2"); }}
math {{ font-family: "STIX Two Math", math; font-size: 1.06em; }}
"""
ROLE = re.compile(r"<mi>([qkv])</mi>")  # queries, keys and values have their colour in formulas too
COLOURS = re.compile(r"\x1b\[[\d;]*m")  # of a terminal, in what math-core says
TEX = LatexToMathML(pretty_print="never")
LOGGER = logging.getLogger(__name__)


def mathml(node, block: bool) -> str:
    """Turn a formula into MathML; one that is wrong is a warning at its line, and so fails the build."""
    try:
        found = TEX.convert_with_local_state(node.astext(), displaystyle=block)
        return ROLE.sub(r'<mi class="role-\1">\1</mi>', found)
    except LatexError as error:
        said = COLOURS.sub("", str(error))
        LOGGER.warning("formula %r: %s", node.astext(), said, location=node)
        return ""


def inline(translator, node):
    """Write a formula within a line."""
    translator.body.append(mathml(node, block=False))
    raise nodes.SkipNode


def block(translator, node):
    """Write a formula on lines of its own, which scroll where it is wider than the page."""
    translator.body.append(f'<div class="formula">{mathml(node, block=True)}</div>')
    raise nodes.SkipNode


def write_style(app, error):
    """Write the style sheet that holds the font as data: no browser refuses it to a page from disk."""
    if error is None and app.builder.format == "html":
        font = base64.b64encode(FONT.read_bytes()).decode()
        (Path(app.outdir) / "_static/maths.css").write_text(STYLE.format(font=font), encoding="utf-8")


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.add_css_file("maths.css")
    app.connect("build-finished", write_style)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
