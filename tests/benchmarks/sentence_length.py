"""
How many translations are exact, over the length of the sentence: what attention repaired.

`python -m tests.benchmarks.sentence_length additive=FILE none=FILE [--split held_out] [--out FIGURE.svg]`
translates a split of the embedded corpus greedily with each checkpoint, in step02, prints a table, and draws
it.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from step01_numpy.common.display.svg import STYLE, as_svg
from step01_numpy.common.inference.translation import Translator
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.support.files import write_atomically
from step01_numpy.common.text.parallel import read_parallel
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import load

BINS = ((1, 5), (6, 7), (8, 9), (10, 11), (12, 13), (14, None))  # tokens of the source, both ends included
MARKERS = "osD^v"


def lengths(path: Path, lines: list[str]) -> list[int]:
    """Count the tokens of lines as a checkpoint's tokenizer cuts them, <eos> aside."""
    return [len(ids) for ids in load(path).tokenizer.encode_batch(lines)]


def exact(path: Path, pairs: list[tuple[str, str]]) -> list[bool]:
    """Translate greedily, and tell which translations are the reference, character for character."""
    backend = Backend(import_module("step02_torch"))
    work = Translator(backend, load_model(path, backend), beam=1)
    found = work.translate([english for english, _ in pairs])
    return [x == french for x, (_, french) in zip(found, pairs, strict=True)]


def by_length(right: list[bool], sizes: list[int]) -> list[tuple[int, int]]:
    """Return, for each of the bins, how many sentences are right, and how many there are."""
    rows = []
    for low, high in BINS:
        chosen = [x for x, n in zip(right, sizes, strict=True) if low <= n and (high is None or n <= high)]
        rows.append((sum(chosen), len(chosen)))
    return rows


def percent(right: int, total: int) -> str:
    return f"{100 * right / total:.2f} %" if total else "-"


def labels() -> list[str]:
    """Return what the bins are called."""
    return [f"{low} or more" if high is None else f"{low}-{high}" for low, high in BINS]


def table(results: dict[str, list[tuple[int, int]]]) -> str:
    """Return a Markdown table: a row for each bin, and one for all sentences."""
    first = next(iter(results.values()))
    lines = [("tokens of the source", "sentences", *results), ("---",) * (len(results) + 2)]
    for i, label in enumerate(labels()):
        lines.append((label, f"{first[i][1]:,}", *(percent(*rows[i]) for rows in results.values())))
    whole = {name: tuple(map(sum, zip(*rows, strict=True))) for name, rows in results.items()}
    total = sum(n for _, n in first)
    lines.append(("all", f"{total:,}", *(percent(*x) for x in whole.values())))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(results: dict[str, list[tuple[int, int]]], path: Path) -> None:
    """Draw a curve for each model; the same results give the same bytes."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
        for (name, rows), marker in zip(results.items(), MARKERS * len(results), strict=False):
            points = [(i, 100 * right / n) for i, (right, n) in enumerate(rows) if n]
            axes.plot(*zip(*points, strict=True), marker=marker, label=name, clip_on=False)
        first = next(iter(results.values()))
        ticks = [f"{label}\n(n = {n})" for label, (_, n) in zip(labels(), first, strict=True)]
        axes.set_xticks(range(len(BINS)), ticks)
        axes.set(xlabel="length of the English sentence (tokens)", ylabel="exact translations (%)")
        lowest = min(100 * right / n for rows in results.values() for right, n in rows if n)
        axes.set_ylim(10 * min(9, int(lowest) // 10), 100)
        axes.grid(axis="y", color="0.9")
        axes.legend(title="attention", frameon=False, loc="lower left")
        write_atomically(path, as_svg(figure))
        pyplot.close(figure)


def model(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is given; expected NAME=FILE")
    return name, Path(path)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sentence_length", description=__doc__)
    parser.add_argument("models", nargs="+", type=model, metavar="NAME=FILE", help="checkpoints to compare")
    parser.add_argument("--split", default="held_out", help="of the embedded corpus; default: held_out")
    parser.add_argument("--out", type=Path, metavar="FIGURE", help="SVG file to draw")
    args = parser.parse_args(words)
    pairs = read_parallel("embedded", args.split)
    sizes = lengths(args.models[0][1], [english for english, _ in pairs])
    results = {name: by_length(exact(path, pairs), sizes) for name, path in args.models}
    print(table(results))
    if args.out is not None:
        draw(results, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
