"""Draw how a training went: loss, learning rate and speed over the updates."""

import time
from pathlib import Path
from typing import NamedTuple

from step01_numpy.common.display.svg import STYLE, as_svg
from step01_numpy.common.support.files import check_writable, write_atomically

MOST = 200  # points of a curve


class Point(NamedTuple):
    """
    Updates that are drawn as one.

    Attributes
    ----------
    step : float
        The middle one.
    loss : float
        Mean loss, nats/token.
    rate : float
        Mean learning rate.
    speed : float
        Target tokens a second.
    """

    step: float
    loss: float
    rate: float
    speed: float


class Course:
    """
    What a training's updates were, for a figure of them.

    Parameters
    ----------
    path : Path or None
        SVG file to draw; None draws nothing.

    Raises
    ------
    ImportError
        Where matplotlib is missing.
    OSError
        Naming `path`, where it cannot be written.
    """

    def __init__(self, path: Path | None):
        self.path, self.rows = path, []
        if path is not None:
            import matplotlib  # noqa: F401  (missing, it is missed before hours of work, not behind them)

            check_writable(path)

    def add(self, progress) -> None:
        """Take note of an update: the stage's `Progress`."""
        if self.path is not None:
            row = (progress.step, progress.loss, progress.rate, progress.tokens, time.perf_counter())
            self.rows.append(row)

    def points(self) -> list[Point]:
        """Return at most `MOST` means; the very first update has no speed and only starts the clock."""
        size = max(1, -(-(len(self.rows) - 1) // MOST))
        found = []
        for first in range(1, len(self.rows), size):
            chosen, before = self.rows[first : first + size], self.rows[first - 1]
            steps, losses, rates, tokens, times = zip(*chosen, strict=True)
            n, seconds = len(chosen), times[-1] - before[-1]
            found.append(Point(sum(steps) / n, sum(losses) / n, sum(rates) / n, sum(tokens) / seconds))
        return found

    def draw(self) -> None:
        """Draw what is known so far, if a figure is wanted and two updates were made."""
        if self.path is not None and len(self.rows) > 1:
            draw(self.points(), self.path)


def draw(points: list[Point], path: Path) -> None:
    """Draw three curves over one axis of updates, as SVG; the same points give the same bytes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    steps, losses, rates, speeds = zip(*points, strict=True)
    with rc_context(STYLE):
        figure = Figure(figsize=(7, 6), layout="constrained")
        axes = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1))
        curves = ((losses, "loss (nats/token)"), (rates, "learning rate"), (speeds, "target tokens/s"))
        for part, (values, name) in zip(axes, curves, strict=True):
            part.plot(steps, values, color="C0", linewidth=1.2)
            part.set_ylabel(name)
            part.set_ylim(bottom=0)
            part.grid(axis="y", color="0.9")
        axes[-1].set_xlabel("updates")
        figure.align_ylabels(axes)
        write_atomically(path, as_svg(figure))
