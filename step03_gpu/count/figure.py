"""The roofline of some rungs as SVG: FLOP/s that a GPU allows, over FLOP for each byte of memory."""

from pathlib import Path

from step01_numpy.common.display.svg import STYLE, as_svg
from step01_numpy.common.support.files import write_atomically
from step03_gpu.count.cases import Case
from step03_gpu.count.roofline import H100, Gpu, arithmetic_time, place, products

LEFT, RIGHT = 0.03, 2e4  # FLOP/byte


def draw(counted: list, path: Path, gpu: Gpu = H100) -> None:
    """
    Draw each rung as a line along the roof above it, from no cache at all to a perfect one.

    Parameters
    ----------
    counted : list of (Case, counts)
    path : Path
    gpu : Gpu
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.set(xscale="log", yscale="log", xlim=(LEFT, RIGHT), ylim=(LEFT * gpu.bandwidth, 3e15))
        _roofs(axes, gpu)
        for i, one in enumerate(counted):
            x, y = corners(*one, gpu)
            label = f"rung {one[0].rung}, {one[0].dtype}"
            axes.plot(x, y, color=f"C{i}", linewidth=2.5, alpha=0.8, label=label)
            axes.plot(x[0], y[0], color=f"C{i}", marker="o", markerfacecolor="white", markersize=6)
            axes.plot(x[-1], y[-1], color=f"C{i}", marker="o", markersize=6)
        axes.set_xlabel("FLOP of the products for each byte: hollow without caches, full with perfect ones")
        axes.set_ylabel("FLOP/s of the products, at most")
        axes.grid(color="0.92")
        axes.legend(loc="lower right", frameon=False)
        write_atomically(path, as_svg(figure))


def corners(case: Case, counts: dict, gpu: Gpu) -> tuple[list, list]:
    """Return FLOP/byte and FLOP/s where a rung's line begins, meets its own ceiling, and ends."""
    found, work = place(counts), products(case)
    most = work / arithmetic_time(case, found, gpu)
    first, last = work / found.requested, work / found.memory
    x = [first, *[edge for edge in [most / gpu.bandwidth] if first < edge < last], last]
    return x, [min(most, gpu.bandwidth * at) for at in x]


def _roofs(axes, gpu):
    """Draw what memory allows, and what the two kinds of cores do."""
    gray = {"color": "0.6", "linewidth": 1}
    edges = [flop / gpu.bandwidth for flop in (gpu.flop["float32"], gpu.tensor_flop)]
    axes.plot([LEFT, edges[1]], [LEFT * gpu.bandwidth, gpu.tensor_flop], **gray)
    for flop, edge, name in zip(
        (gpu.flop["float32"], gpu.tensor_flop), edges, ("CUDA", "tensor"), strict=True
    ):
        axes.plot([edge, RIGHT], [flop, flop], **gray)
        text = f"{name} cores, {flop / 1e12:g} TFLOP/s"
        axes.text(RIGHT, flop * 1.15, text, fontsize=8, color="0.3", ha="right")
    memory = f"{gpu.name}'s memory, {gpu.bandwidth / 1e12:g} TB/s"
    axes.text(3, 1.2 * gpu.bandwidth, memory, fontsize=8, color="0.3")
