"""Figures of matplotlib as SVG: text that stays text, and the same bytes for the same figure."""

from io import StringIO

STYLE = {
    "svg.hashsalt": "attention-step-by-step",  # else its ids are random
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def as_svg(figure) -> bytes:
    """Return a figure as SVG without a date, and without blanks at the ends of lines."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    text = StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    lines = (line.rstrip() for line in text.getvalue().splitlines())
    return ("\n".join(lines) + "\n").encode()
