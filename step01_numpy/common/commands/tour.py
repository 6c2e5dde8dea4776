"""`tour`: one sentence through every kind of attention, and through every stage."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from step01_numpy.common.commands.context import Context, add_model, read_translator
from step01_numpy.common.files import check_writable, write_atomically
from step01_numpy.common.heat_map import WIDTH, heat_map, legend, shorten, side_by_side
from step01_numpy.common.parity import Row, check
from step01_numpy.common.parity_table import as_text as parity_text
from step01_numpy.common.tour import Tour, tour
from step01_numpy.common.tour_page import page

TEXT = "The agreement on the European Economic Area was signed in August 1992."
HELP = f"""Lead an English sentence through every kind of attention, with a trained model's own weights.

Shown are its tokens, then self-, masked, cross and multi-head attention on them (shapes, and the weights as a
heat map), then the translation. The last stage's tour leads through all stages, compares their numbers, ends
with the parity table and writes a page with the maps of every layer and head for a browser.

default text: "{TEXT}"

examples:
  {{program}} tour
  {{program}} tour "They arrived late." --out build/tour.html
"""
PAGE = Path("build/tour.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("text", metavar="TEXT", nargs="?", default=TEXT, help="an English sentence")
    add_model(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help=f"page to write (default: {PAGE} for the last stage, else none)",
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Look, print, and write the page."""
    out = PAGE if arguments.out is None and context.spans_all else arguments.out
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        check_writable(out)
    path, checkpoint = read_translator(arguments.model)
    backends = context.all_backends() if context.spans_all else [context.backend]
    tours = [tour(backend, checkpoint, arguments.text) for backend in backends]
    config, colour = checkpoint.config, sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(f"model: {path.name}, {config.n_layers} + {config.n_layers} blocks, d_model {config.d_model}")
    print("\n".join(as_text(tours, colour, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))))
    rows = parity_rows(tours) if context.spans_all else []
    if rows:
        print("\nParity: largest differences in float64, for random inputs and upstream gradients\n")
        print(parity_text(rows))
    if out is not None:
        write_atomically(out, page(tours, rows).encode())
        print(f"\nThe maps of every block and head: {out}")
    return 0 if all(row.within_tolerance for row in rows) else 1


def as_text(tours: Sequence[Tour], colour: bool, width: int) -> list[str]:
    """Return the lines of a tour."""
    first = tours[0]
    tokens = " ".join(shorten(token, 40) for token in first.tokens)
    lines = [f"text: {first.text}", f"tokens ({len(first.tokens)}): {tokens}", legend(colour)]
    for number, operation in enumerate(first.operations):
        lines += ["", f"{number + 1}. {operation.title}", f"   {operation.shapes}", ""]
        if len(operation.weights) == 1:
            drawn = heat_map(
                operation.weights[0], operation.rows, operation.columns, colour=colour, width=width
            )
        else:
            titles = [f"head {i + 1}" for i in range(len(operation.weights))]
            drawn = side_by_side(list(operation.weights), titles, operation.rows, colour=colour, width=width)
        lines += [drawn, "", *numbers(tours, number)]
    lines += ["", "Translation"]
    return lines + [f"  {x.stage:<14}{x.translation}" for x in tours]


def numbers(tours: Sequence[Tour], number: int) -> list[str]:
    """Return a line for each stage: the first numbers of one operation's output, and how far they are off."""
    reference = tours[0].operations[number].out
    lines = []
    for found in tours:
        out = found.operations[number].out
        first = " ".join(f"{x:9.6f}" for x in out.reshape(-1, out.shape[-1])[0, :4])
        line = f"   {found.stage:<14}out[0, 0, :4] = {first}"
        if len(tours) > 1:
            line += f"   differs by {np.abs(out - reference).max():.1e}"
        lines.append(line)
    return lines


def parity_rows(tours: Sequence[Tour]) -> list[Row]:
    """Compare every stage with the first, and the first with central differences."""
    return [row for found in tours for row in check(found.stage, tours[0].stage)]
