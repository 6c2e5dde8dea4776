"""`parity`: a stage's numbers against those of the stages below it."""

import argparse

from step01_numpy.common.commands.context import Context, add_json
from step01_numpy.common.parity.comparison import check
from step01_numpy.common.parity.table import as_json, as_text

HELP = """Compare this stage with the ones below it, operation by operation; exit code 1 if they differ.

Each line gives the largest difference in float64, of the result and of the gradients, for random inputs and
random upstream gradients. The first stage, with none below it, is compared with central differences, which
hold half as many digits.

examples:
  {program} parity
  {program} parity --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_json(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Compare, and print the table."""
    references = context.below or (context.stage.__name__,)
    rows = [row for name in references for row in check(context.stage, name)]
    print(as_json(rows) if arguments.json else as_text(rows))
    return 0 if all(row.within_tolerance for row in rows) else 1
