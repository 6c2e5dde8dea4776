"""Draw attention weights as text: a row for each query, a column for each key."""

import itertools
import unicodedata
from collections.abc import Sequence

import numpy as np

BOUNDS = (0.02, 0.1, 0.25, 0.5)  # from which weight on the next shade is used
SHADES = " ░▒▓█"
HIDDEN = "·"  # of a weight that is exactly 0: what is masked, not what is merely small
COLOURS = (234, 23, 30, 79, 229)  # of the 256 of a terminal: near black, three blue-greens, pale yellow
LABEL_WIDTH, HEADER_HEIGHT = 20, 10  # characters
WIDTH = 96


def heat_map(
    weights: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    colour: bool = False,
    width: int = WIDTH,
) -> str:
    """
    Draw one matrix, its columns labelled from top to bottom.

    Parameters
    ----------
    weights : (L, S)
        Between 0 and 1.
    rows, columns : sequence of str
        L and S labels; long ones are cut.
    colour : bool
        Whether to use the 256 colours of a terminal instead of shades.
    width : int
        Most characters of a line; columns that do not fit stand below, in as many bands as needed.
    """
    weights = _checked(weights, rows, columns)
    labels = [shorten(label, LABEL_WIDTH) for label in rows]
    indent = max(display_width(label) for label in labels) + 1
    fitting, bands = max(1, (width - indent) // 2), []
    for first in range(0, len(columns), fitting):
        lines = [" " * indent + line for line in header(columns[first : first + fitting])]
        for label, row in zip(labels, weights[:, first : first + fitting], strict=True):
            lines.append(_right(label, indent - 1) + " " + "".join(cell(x, 2, colour) for x in row))
        bands.append("\n".join(line.rstrip() if not colour else line for line in lines))
    return "\n\n".join(bands)


def side_by_side(
    matrices: Sequence[np.ndarray],
    titles: Sequence[str],
    rows: Sequence[str],
    *,
    colour: bool = False,
    width: int = WIDTH,
) -> str:
    """
    Draw matrices of one shape next to each other, a character for each weight, in as many bands as needed.

    Parameters
    ----------
    matrices : sequence of (L, S)
    titles : sequence of str
        One for each matrix.
    rows : sequence of str
        The labels that all share.
    colour, width
        As in `heat_map`.
    """
    labels = [shorten(label, LABEL_WIDTH) for label in rows]
    indent = max(display_width(label) for label in labels) + 1
    matrices = [_checked(x, rows, None) for x in matrices]
    if matrices[0].shape[1] > (room := max(1, width - indent)):
        firsts = range(0, matrices[0].shape[1], room)
        parts = ([x[:, first : first + room] for x in matrices] for first in firsts)
        return "\n\n".join(side_by_side(x, titles, rows, colour=colour, width=width) for x in parts)
    size = max(matrices[0].shape[1], *(len(title) for title in titles)) + 2
    bands, fitting = [], max(1, (width - indent) // size)
    for first in range(0, len(matrices), fitting):
        chosen = range(first, min(first + fitting, len(matrices)))
        lines = [" " * indent + "".join(titles[i].ljust(size) for i in chosen)]
        for label, *parts in zip(labels, *(matrices[i] for i in chosen), strict=True):
            drawn = ("".join(cell(x, 1, colour) for x in part) + " " * (size - len(part)) for part in parts)
            lines.append(_right(label, indent - 1) + " " + "".join(drawn))
        bands.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(bands)


def beside(
    matrices: Sequence[np.ndarray],
    titles: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    colour: bool = False,
    width: int = WIDTH,
) -> str:
    """
    Draw matrices as `heat_map` does, next to each other, or one below the other where the width is too small.

    Parameters
    ----------
    matrices : sequence of (L, S)
    titles : sequence of str
        One for each matrix.
    rows, columns : sequence of str
        The labels that all share.
    colour, width
        As in `heat_map`.
    """
    labels = [shorten(label, LABEL_WIDTH) for label in rows]
    indent = max(display_width(label) for label in labels) + 1
    size = max(2 * len(columns), *(len(title) for title in titles)) + 2
    if indent + len(matrices) * size - 2 > width:
        maps = [heat_map(x, rows, columns, colour=colour, width=width) for x in matrices]
        return "\n\n".join(f"{title}\n{drawn}" for title, drawn in zip(titles, maps, strict=True))
    gap = " " * (size - 2 * len(columns))
    lines = [" " * indent + "".join(title.ljust(size) for title in titles)]
    lines += [" " * indent + (line + gap) * len(matrices) for line in header(columns)]
    for label, *parts in zip(labels, *(_checked(x, rows, columns) for x in matrices), strict=True):
        drawn = ("".join(cell(x, 2, colour) for x in part) + gap for part in parts)
        lines.append(_right(label, indent - 1) + " " + "".join(drawn))
    return "\n".join(line.rstrip() for line in lines)


def cell(weight: float, width: int, colour: bool) -> str:
    """Draw one weight: a dot where it is exactly 0, and so hidden."""
    if weight == 0:
        mark = HIDDEN.ljust(width)
        return f"\x1b[2m{mark}\x1b[0m" if colour else mark
    level = int(np.searchsorted(BOUNDS, weight, side="right"))
    return f"\x1b[48;5;{COLOURS[level]}m{' ' * width}\x1b[0m" if colour else SHADES[level] * width


def legend(colour: bool) -> str:
    """Say what the shades mean."""
    edges = [0.0, *BOUNDS, 1.0]
    parts = [
        f"{cell(low, 2, colour)} {low * 100:g}–{high * 100:g} %" for low, high in itertools.pairwise(edges)
    ]
    return "weights: " + "  ".join([f"{cell(0.0, 2, colour).rstrip()} hidden", *parts])


def header(columns: Sequence[str]) -> list[str]:
    """Return the lines of the columns' labels, two characters for each column, read from top to bottom."""
    labels = [shorten(label, HEADER_HEIGHT) for label in columns]
    height = max(len(label) for label in labels)
    padded = [label.rjust(height) for label in labels]
    return ["".join(x[i] + " " * (2 - display_width(x[i])) for x in padded) for i in range(height)]


def readable(tokens: Sequence[str]) -> list[str]:
    """Return tokens as labels: a word without its mark "▁", what continues a word with a hyphen."""
    continued = ["-" + token if token[:1].isalnum() else token for token in tokens]
    return [token.removeprefix("▁") or token for token in continued]


def shorten(label: str, length: int) -> str:
    """Make a label printable, whatever it holds, and cut it."""
    label = "".join(c if c.isprintable() and not unicodedata.combining(c) else "·" for c in label) or "·"
    return label if len(label) <= length else label[: length - 1] + "…"


def display_width(text: str) -> int:
    """Count terminal columns: East Asian wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _right(label, width):
    return " " * (width - display_width(label)) + label


def _checked(weights, rows, columns):
    expected = (len(rows), weights.shape[-1] if columns is None else len(columns))
    if weights.shape != expected or 0 in expected:
        raise ValueError(f"weights has shape {weights.shape}; expected {expected}, one for each label")
    return weights
