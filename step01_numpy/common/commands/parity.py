"""`parity`: a stage's numbers, or another package's, against a reference."""

import argparse

from step01_numpy.common.commands.context import Context, add_json, file_path
from step01_numpy.common.display.parity_page import parity_page
from step01_numpy.common.parity.comparison import check
from step01_numpy.common.parity.package import find_package
from step01_numpy.common.parity.table import Rows, as_json
from step01_numpy.common.support.files import check_writable, write_atomically

HELP = """Compare this stage with the ones below it, or a package with this stage, operation by operation.

Each line gives the largest difference in float64, of the result and of the gradients, for random inputs and
random upstream gradients. The first stage, with none below it, is compared with central differences, which
hold half as many digits. Below the table stands what is wrong: where, what came, what was expected.

Exit code 1 if an operation is out of tolerance, missing or raised, or if there was nothing to compare.

examples:
  {program} parity
  {program} parity --only attention --json
  {program} parity --html build/parity.html
  {program} parity --stage mine --only attention softmax
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--stage", metavar="PACKAGE", help="compare this package, installed or in the current directory"
    )
    parser.add_argument(
        "--only",
        metavar="NAME",
        nargs="+",
        help="these operations alone, or families of them, such as attention, flash, softmax, heads",
    )
    parser.add_argument("--html", metavar="FILE", type=file_path, help="page of the table, for a browser")
    add_json(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Compare, and print the table."""
    if arguments.html is not None:
        check_writable(arguments.html)
    stage, references = context.stage, context.below or (context.stage.__name__,)
    if arguments.stage is not None:
        stage, references = find_package(arguments.stage), (context.stage.__name__,)
    rows = Rows(row for name in references for row in check(stage, name, only=arguments.only))
    print(as_json(rows) if arguments.json else rows)
    if arguments.html is not None:
        write_atomically(arguments.html, parity_page(rows).encode())
    return 0 if rows.passed else 1
