"""`explore`: one page on which attention can be touched, by hand and in a translator at work."""

import argparse
from pathlib import Path

from step01_numpy.common.commands.context import (
    ABOUT_SHIPPED,
    Context,
    add_model,
    build_model,
    file_path,
    read_translator,
)
from step01_numpy.common.explorer.page import page
from step01_numpy.common.support.files import check_writable, write_atomically

PAGE = Path("build/explorer.html")
HELP = f"""Write a page for a browser on which attention can be touched.

Its first part does attention by hand: three tokens, sliders, switches, and for each number how it was made.
Its second part has the translator inside: type a sentence, see its tokens, where every head looks, and how
the translation comes about word by word. The page is one file, needs no network and sends nothing.

{ABOUT_SHIPPED}

examples:
  {{program}} explore
  {{program}} explore --model mine.safetensors --out mine.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--out", metavar="FILE", type=file_path, default=PAGE, help=f"page to write (default: {PAGE})"
    )
    add_model(parser, "checkpoint of a Transformer of ours that translates (default: the shipped one)")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Read the model, and write the page."""
    path, checkpoint = read_translator(arguments.model)
    build_model(context, path, checkpoint)  # which refuses weights of other names or shapes
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    check_writable(arguments.out)
    written = page(checkpoint)
    write_atomically(arguments.out, written)
    print(f"{arguments.out}: {len(written):,} bytes; open it in a browser")
    return 0
