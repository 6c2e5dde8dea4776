"""`tour`: one sentence through every kind of attention, and through every stage."""

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from step01_numpy.common.commands.context import (
    ABOUT_SHIPPED,
    SHIPPED_RECURRENT,
    Context,
    add_model,
    file_path,
    read_translator,
    utf8_text,
)
from step01_numpy.common.display.alignment import alignment, with_alignment
from step01_numpy.common.display.heat_map import WIDTH, beside, heat_map, legend, shorten, side_by_side
from step01_numpy.common.display.map_figures import check_folder, write_maps
from step01_numpy.common.display.page import page
from step01_numpy.common.display.tour import Operation, Tour, tour
from step01_numpy.common.parity.comparison import check
from step01_numpy.common.parity.table import Rows, verdict
from step01_numpy.common.support.files import check_writable, write_atomically
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import Checkpoint, load
from step01_numpy.common.training.tasks import RECURRENT

TEXT = "The agreement on the European Economic Area was signed in August 1992."
HELP = f"""Lead an English sentence through every kind of attention, with a trained model's own weights.

Shown are its tokens, then self-, masked, cross and multi-head attention on them (shapes, and the weights as a
heat map), beside cross-attention the additive attention of a recurrent translator of 2014, then the
translations. The last stage's tour leads through all stages, compares their numbers, ends with the parity
table and writes a page with the maps of every layer and head for a browser. With --model the tour is of that
model alone, a Transformer or a recurrent translator.

{ABOUT_SHIPPED}

default text: "{TEXT}"

examples:
  {{program}} tour
  {{program}} tour "They arrived late." --out build/tour.html
  {{program}} tour "They arrived late." --svg build/maps
"""
PAGE = Path("build/tour.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "text", metavar="TEXT", type=utf8_text, nargs="?", default=TEXT, help="an English sentence"
    )
    add_model(parser, "checkpoint of a translator of ours (default: the two shipped in the package)")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=file_path,
        help=f"page to write (default: {PAGE} for the last stage, else none)",
    )
    parser.add_argument(
        "--svg",
        metavar="DIR",
        type=file_path,
        help="folder for figures of every head: an SVG for each kind of attention and block",
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Look, print, and write the page."""
    out = PAGE if arguments.out is None and context.spans_all else arguments.out
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        check_writable(out)
    if arguments.svg is not None:
        check_folder(arguments.svg)
    models = [read_translator(arguments.model)]
    if arguments.model is None:
        models.append((SHIPPED_RECURRENT, load(SHIPPED_RECURRENT)))
    backends = context.all_backends() if context.spans_all else [context.backend]
    tours = [look(backend, [checkpoint for _, checkpoint in models], arguments.text) for backend in backends]
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print("\n".join(describe(path, checkpoint) for path, checkpoint in models))
    print("\n".join(as_text(tours, colour, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))))
    rows = parity_rows(tours) if context.spans_all else None
    if rows is not None:
        print("\nParity, in float64, for random inputs and upstream gradients:")
        print(verdict(rows) + "; the table is on the page" if rows.passed else rows)
    if out is not None:
        write_atomically(out, page(tours, rows or ()).encode())
        print(f"\nThe maps of every block and head: {out}")
    if arguments.svg is not None:
        print(f"\nFigures of them: {len(write_maps(tours[0], arguments.svg))} in {arguments.svg}")
    print(f"\nTo move attention by hand: python -m {context.stage.__name__} explore")
    return 0 if rows is None or rows.passed else 1


def look(backend: Backend, checkpoints: Sequence[Checkpoint], text: str) -> Tour:
    """Lead a text through one model, or through a Transformer and a recurrent translator."""
    first, *rest = ((alignment if is_recurrent(x) else tour)(backend, x, text) for x in checkpoints)
    return with_alignment(first, *rest) if rest else first


def is_recurrent(checkpoint: Checkpoint) -> bool:
    """Tell a recurrent translator from a Transformer."""
    return RECURRENT.fits(checkpoint.config)


def describe(path: Path, checkpoint: Checkpoint) -> str:
    """Return a line about a model."""
    config = checkpoint.config
    if is_recurrent(checkpoint):
        return f"model: {path.name}, recurrent, d_hidden {config.d_hidden}, score {config.score}"
    return f"model: {path.name}, {config.n_layers} + {config.n_layers} blocks, d_model {config.d_model}"


def as_text(tours: Sequence[Tour], colour: bool, width: int) -> list[str]:
    """Return the lines of a tour."""
    first = tours[0]
    tokens = " ".join(shorten(token, 40) for token in first.tokens)
    lines = [
        f"text: {first.text}",
        *found(first, width),
        f"tokens ({len(first.tokens)}): {tokens}",
        legend(colour),
    ]
    for number, operation in enumerate(first.operations):
        lines += ["", f"{number + 1}. {operation.title}", f"   {operation.shapes}", ""]
        lines += [draw(operation, colour, width), "", *numbers(tours, number)]
    for name in first.translations:
        lines += ["", f"Translation by {name}", *(f"  {x.stage:<14}{x.translations[name]}" for x in tours)]
    return lines


def found(one: Tour, width: int) -> list[str]:
    """Return in words what came out, where the attention looked, and what speaks against it."""
    names = ["French", *(f"French, by {name}" for name in list(one.translations)[1:])]
    lines = [f"{name}: {x}" for name, x in zip(names, one.translations.values(), strict=True)]
    said = [one.finding] if one.finding else []
    said += [f"note: this may be wrong: {'; '.join(one.doubts)}"] if one.doubts else []
    return lines + [part for line in said for part in textwrap.wrap(line, width, subsequent_indent="   ")]


def draw(operation: Operation, colour: bool, width: int) -> str:
    """Draw the weights of an operation: one head with its columns labelled, several without."""
    weights, rows, columns = list(operation.weights), operation.rows, operation.columns
    if operation.beside is not None:
        other = operation.beside
        titles, maps = [operation.name, other.name], [*weights, *other.weights]
        return beside(maps, titles, rows, columns, colour=colour, width=width)
    if len(weights) == 1:
        return heat_map(weights[0], rows, columns, colour=colour, width=width)
    titles = [f"head {i + 1}" for i in range(len(weights))]
    return side_by_side(weights, titles, rows, colour=colour, width=width)


def numbers(tours: Sequence[Tour], number: int) -> list[str]:
    """Return a line for each stage: the first numbers of one operation's output, and how far they are off."""
    reference = tours[0].operations[number].out
    lines = []
    for stage in tours:
        out = stage.operations[number].out
        first = " ".join(f"{x:9.6f}" for x in out.reshape(-1, out.shape[-1])[0, :4])
        line = f"   {stage.stage:<14}out[0, 0, :4] = {first}"
        if len(tours) > 1:
            line += f"   differs by {np.abs(out - reference).max():.1e}"
        lines.append(line)
    return lines


def parity_rows(tours: Sequence[Tour]) -> Rows:
    """Compare every stage with the first, and the first with central differences."""
    return Rows(row for found in tours for row in check(found.stage, tours[0].stage))
