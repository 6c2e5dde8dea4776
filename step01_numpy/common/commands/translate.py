"""`translate`: English lines in, French lines out."""

import argparse

from step01_numpy.common.commands.context import Context, add_beam, add_model, translator, utf8_text
from step01_numpy.common.commands.lines import Refused, chunks

HELP = """Translate English into French, one line for each line.

Lines come from the arguments, or from standard input (UTF-8) where there are none. Nothing else is
written to standard output; an empty line stays empty. So does one that is too long for the model: the
others are translated all the same, then an error names it, and the exit code is 2.

examples:
  {program} translate "They arrived late."
  {program} translate --beam 4 < english.txt > french.txt
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
        print("\n".join(work.translate(chunk, first_line=first_line, refused=refused)), flush=True)
        first_line += len(chunk)
    refused.check()
    return 0
