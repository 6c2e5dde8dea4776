"""`translate`: English lines in, French lines out."""

import argparse
import io
import itertools
import sys
from collections.abc import Iterable, Iterator

from step01_numpy.common.commands.context import Context, add_beam, add_model, translator

HELP = """Translate English into French, one line for each line.

Lines come from the arguments, or from standard input (UTF-8) where there are none. Nothing else is
written to standard output; an empty line stays empty. What the model has not learned (a word, a length), and
a translation that repeats itself or does not end, is named in a note on standard error.

examples:
  {program} translate "They arrived late."
  {program} translate --beam 4 < english.txt > french.txt
"""
LINES = 256  # read before the first of them is translated


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("text", metavar="TEXT", nargs="*", help="a line of English")
    add_model(parser)
    add_beam(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Translate, and print."""
    work = translator(context, arguments.model, arguments.beam)
    if arguments.text:
        lines = (line for text in arguments.text for line in text.split("\n"))
    else:
        lines = standard_input()
    at_once = 1 if not arguments.text and sys.stdin.isatty() else LINES
    first_line = 1
    while chunk := list(itertools.islice(lines, at_once)):
        print("\n".join(work.translate(chunk, first_line=first_line, doubted=note)), flush=True)
        first_line += len(chunk)
    return 0


def note(number: int, reasons: list[str]) -> None:
    """Say on standard error why the translation of a line may be wrong."""
    print(f"note: line {number} may be wrong: {'; '.join(reasons)}", file=sys.stderr)


def standard_input() -> Iterator[str]:
    """
    Yield the lines of standard input.

    Raises
    ------
    ValueError
        For a line that is not UTF-8, naming it.
    """
    stream: Iterable[bytes] = getattr(sys.stdin, "buffer", None) or io.BytesIO(sys.stdin.read().encode())
    for number, line in enumerate(stream, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise ValueError(
                f"standard input, line {number}: byte 0x{byte:02x} is not UTF-8; expected UTF-8 text"
            ) from error
