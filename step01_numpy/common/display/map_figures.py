"""Draw the attention of every head as figures: one SVG for each kind of attention and block."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from step01_numpy.common.display.svg import STYLE, as_svg
from step01_numpy.common.display.tour import Tour
from step01_numpy.common.support.files import check_writable, write_atomically

COLUMNS = 4  # heads beside each other
CELL, LABELS = 0.17, 1.3  # inches


def names(kinds: Sequence[str], n_blocks: Sequence[int]) -> list[str]:
    """Return the files' names, "decoder_cross_attention_block_2.svg": kind after kind, block after block."""
    plain = [re.sub(r"\W+", "_", kind) for kind in kinds]
    return [f"{x}_block_{i + 1}.svg" for x, n in zip(plain, n_blocks, strict=True) for i in range(n)]


def check_folder(folder: Path) -> None:
    """
    Make the folder where figures are to be written.

    Raises
    ------
    ImportError
        Where matplotlib is missing.
    OSError
        Naming the folder, where it cannot be made or written in.
    """
    import matplotlib  # noqa: F401

    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder / "figure.svg")


def write_maps(one: Tour, folder: Path) -> list[Path]:
    """Draw all maps of a tour, then write them; returns their paths."""
    blocks = [(kind, weights) for kind, found in one.maps.items() for weights in found]
    paths = [folder / x for x in names(list(one.maps), [len(x) for x in one.maps.values()])]
    drawn = [
        draw(weights, *one.labels[kind], f"{kind}, block {path.stem.rpartition('_')[2]}")
        for (kind, weights), path in zip(blocks, paths, strict=True)
    ]
    for path, content in zip(paths, drawn, strict=True):
        write_atomically(path, content)
    return paths


def draw(weights: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str) -> bytes:
    """
    Draw the heads of one block beside each other, as SVG.

    Parameters
    ----------
    weights : (H, L, S)
        Between 0 and 1; what is exactly 0 is hidden, and left grey.
    rows, columns : sequence of str
        L and S labels.
    title : str
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    across = min(COLUMNS, len(weights))
    down = -(-len(weights) // across)
    size = LABELS + across * (CELL * len(columns) + 0.2) + 0.8, LABELS + down * (CELL * len(rows) + 0.4) + 0.4
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph .* missing"
        )  # the text stays text: a browser has other fonts
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for panel in panels.flat[len(weights) :]:
            panel.set_visible(False)
        for head, (panel, map_of_head) in enumerate(zip(panels.flat, weights, strict=False)):
            shown = _draw_head(panel, map_of_head, rows, columns)
            if len(weights) > 1:
                panel.set_title(f"head {head + 1}", fontsize=8)
        figure.colorbar(shown, ax=panels, label="weight", shrink=0.6)
        figure.suptitle(title, fontsize=10)
        return as_svg(figure)


def _draw_head(panel, weights, rows, columns):
    panel.set_facecolor("0.88")  # where a weight is hidden
    shown = panel.pcolormesh(
        np.ma.masked_equal(weights, 0), cmap="Blues", vmin=0, vmax=1, edgecolor="white", linewidth=0.3
    )
    panel.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=90, fontsize=7)
    panel.set_yticks(np.arange(len(rows)) + 0.5, rows, fontsize=7)
    panel.set_ylim(len(rows), 0)  # the first row on top
    panel.tick_params(length=0)
    for label in [*panel.get_xticklabels(), *panel.get_yticklabels()]:
        label.set_parse_math(False)  # a token may be a dollar
    return shown
