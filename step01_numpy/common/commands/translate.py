"""`translate`: English lines in, French lines out."""

import argparse
import sys

from step01_numpy.common.commands.context import (
    ABOUT_SHIPPED,
    Context,
    add_beam,
    add_model,
    translator,
    utf8_text,
)
from step01_numpy.common.commands.lines import Refused, chunks

HELP = f"""Translate English into French, one line for each line.

Lines come from the arguments, or from standard input (UTF-8) where there are none. Nothing else is
written to standard output; an empty line stays empty. What the model has not learned (a word, a length), and
a translation that repeats itself or does not end, is named in a note on standard error. A line that is too
long for the model is left empty: the others are translated all the same, then an error names it, and the exit
code is 2.

{ABOUT_SHIPPED}

examples:
  {{program}} translate "They arrived late."
  {{program}} translate --beam 4 < english.txt > french.txt
"""
LINES = 256  # read before the first of them is translated


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("text", metavar="TEXT", type=utf8_text, nargs="*", help="a line of English")
    add_model(parser)
    add_beam(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Translate, and print."""
    work = translator(context, arguments.model, arguments.beam)
    refused, first_line = Refused(), 1
    for chunk in chunks(arguments.text, LINES):
        found = work.translate(chunk, first_line=first_line, doubted=note, refused=refused)
        print("\n".join(found), flush=True)
        first_line += len(chunk)
    refused.check()
    return 0


def note(number: int, reasons: list[str]) -> None:
    """Say on standard error why the translation of a line may be wrong."""
    print(f"note: line {number} may be wrong: {'; '.join(reasons)}", file=sys.stderr)
