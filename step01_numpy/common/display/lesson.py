"""What the cells of a lesson use: numbers held to the digit, matrices as tables, figures for any page."""

import re
from html import escape
from io import StringIO

import numpy as np

QUERY, KEY, VALUE, OUT = "#3d85c6", "#c8741a", "#2a9160", "#a15fc0"  # 3:1 and more on white and on near black
COLOURS = {"q": QUERY, "k": KEY, "v": VALUE, "out": OUT}
STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be read, searched, and takes the page's colour
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def check(found, expected, places: int = 4) -> None:
    """
    Hold numbers to what a lesson says of them.

    Parameters
    ----------
    found, expected : array_like
        Of one shape; nothing is broadcast.
    places : int
        Decimal places that count.

    Raises
    ------
    AssertionError
        With both, where one number differs from what is expected by more than half a unit of the last place.
    """
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape, f"shape {found.shape}; the lesson says {expected.shape}"
    near = np.isclose(found, expected, rtol=0, atol=0.5000001 * 10.0**-places, equal_nan=True)
    assert near.all(), f"found {found.round(places).tolist()}; the lesson says {expected.tolist()}"


class Tables:
    """Matrices side by side, each under its name; HTML where a page shows it, text elsewhere."""

    def __init__(self, rows, places, matrices):
        self.rows, self.places = rows, places
        self.matrices = {name: np.atleast_2d(x) for name, x in matrices.items()}

    def __repr__(self):
        shown = (f"{name} =\n{x.round(self.places)}" for name, x in self.matrices.items())
        return "\n".join(shown)

    def _repr_html_(self):
        return f'<div class="matrices">{"".join(self._table(*item) for item in self.matrices.items())}</div>'

    def _table(self, name, matrix):
        colour = COLOURS.get(re.split(r"\W|_", name)[0], "currentColor")
        style = f'style="border-top: 3px solid {colour}"'
        lines = [self._line(i, row) for i, row in enumerate(matrix)]
        caption = f"<caption>{escape(name)}</caption>"
        return f'<table class="matrix" {style}>{caption}<tbody>{"".join(lines)}</tbody></table>'

    def _line(self, i, row):
        head = f'<th scope="row">{escape(self.rows[i])}</th>' if self.rows and i < len(self.rows) else ""
        return f"<tr>{head}{''.join(f'<td>{_number(x, self.places)}</td>' for x in row)}</tr>"


def tables(rows=None, places: int = 4, **matrices) -> Tables:
    """
    Show matrices side by side, each under the name that it is given by; q, k, v and out have their colours.

    Parameters
    ----------
    rows : sequence of str, optional
        What their rows are called.
    places : int
        Decimal places of each number.
    """
    return Tables(rows, places, matrices)


def _number(x, places):
    text = f"{x:.{places}f}".replace("inf", "∞") if isinstance(x, float | np.floating) else str(x)
    return escape(text.replace("-", "−") if float(x) else text.replace("-", ""))


class Svg:
    """A figure as SVG, for the inside of a page: in the page's colour of text, on the page's ground."""

    def __init__(self, text, label):
        self.text, self.label = text, label

    def __repr__(self):
        return f"<figure: {self.label}>"

    def _repr_html_(self):
        return self.text


def svg(figure, label: str) -> Svg:
    """
    Turn a figure into SVG that a page can hold; the same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What is black in it takes the colour of the text around it.
    label : str
        What is to be seen, in a sentence, for those who do not see it; no two figures of a page share one.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    text = StringIO()
    with rc_context({**STYLE, "svg.hashsalt": label}):  # ids differ by figure: a page holds several
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :].replace("#000000", "currentColor")
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.S)
    head = (
        f'<svg class="figure" style="fill: currentColor" role="img" aria-label="{escape(label, quote=True)}"'
    )
    return Svg(drawn.replace("<svg", head, 1), label)


def new_figure(width: float, height: float, columns: int = 1, **options):
    """
    Make a figure and its axes in the lessons' style; options are those of matplotlib's `Figure.subplots`.

    Parameters
    ----------
    width, height : float
        Inches; 7 fill the column of a page.
    columns : int
        How many axes stand side by side.

    Returns
    -------
    figure, axes
        One axes, or an array of them.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(1, columns, **options)
    for part in (figure, *figure.axes):
        part.patch.set_alpha(0)  # the page's ground shows through
    return figure, axes


def heat_map(axes, weights, rows, columns, colour: str = OUT) -> None:
    """
    Draw weights as squares of one hue, each with its number; a weight of exactly 0 stays a dot.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    weights : (L, S)
        Between 0 and 1.
    rows, columns : sequence of str
        L queries, S keys.
    colour : str
        The hue of a weight of 1.
    """
    from matplotlib.patches import Rectangle

    for i, row in enumerate(np.asarray(weights)):
        for j, weight in enumerate(row):
            axes.add_patch(
                Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, color=colour, alpha=0.75 * weight, lw=0)
            )
            axes.text(j, i, "·" if weight == 0 else f"{weight:.2f}", ha="center", va="center")
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5), aspect="equal")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
