"""The roofline of some rungs as SVG: FLOP/s that a GPU allows, over FLOP for each byte of memory."""

from pathlib import Path

from step01_numpy.common.display.svg import STYLE, as_svg
from step01_numpy.common.support.files import write_atomically
from step03_gpu.count.roofline import H100, Gpu, ceiling, place

LEFT, RIGHT = 0.1, 1e4  # FLOP/byte


def draw(counted: list, path: Path, gpu: Gpu = H100) -> None:
    """
    Draw each rung as a line beneath the roof, from no cache at all to a perfect one.

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
        _roofs(axes, gpu)
        for i, (case, counts) in enumerate(counted):
            found = place(counts)
            work, most = found.work + found.tensor_work, ceiling(case, found, gpu)
            ends = [work / found.requested, work / found.memory]
            height = [min(most, gpu.bandwidth * x) for x in ends]
            label = f"rung {case.rung}, {case.dtype}"
            axes.plot(ends, height, color=f"C{i}", linewidth=1.5, marker="o", markersize=5, label=label)
            axes.plot(ends[:1], height[:1], color="white", marker="o", markersize=3, linestyle="none")
        axes.set(
            xscale="log", yscale="log", xlim=(LEFT, RIGHT), ylim=(LEFT * gpu.bandwidth, 2 * gpu.tensor_flop)
        )
        axes.set_xlabel("FLOP for each byte of memory: hollow without caches, full with perfect ones")
        axes.set_ylabel("FLOP/s at most")
        axes.grid(color="0.92")
        axes.legend(loc="lower right", frameon=False)
        write_atomically(path, as_svg(figure))


def _roofs(axes, gpu):
    """Draw what memory allows, and what the two kinds of cores do."""
    edge = gpu.tensor_flop / gpu.bandwidth
    axes.plot(
        [LEFT, edge, RIGHT],
        [LEFT * gpu.bandwidth, gpu.tensor_flop, gpu.tensor_flop],
        color="0.4",
        linewidth=1,
    )
    flop = gpu.flop["float32"]
    axes.plot([flop / gpu.bandwidth, RIGHT], [flop, flop], color="0.4", linewidth=1)
    for x, y, text in (
        (LEFT * 1.2, LEFT * 2.2 * gpu.bandwidth, f"memory, {gpu.bandwidth / 1e12:g} TB/s"),
        (edge, gpu.tensor_flop * 1.12, f"{gpu.name}: tensor cores, {gpu.tensor_flop / 1e12:g} TFLOP/s"),
        (edge, flop * 1.12, f"CUDA cores, float32, {flop / 1e12:g} TFLOP/s"),
    ):
        axes.text(x, y, text, fontsize=8, color="0.3")
