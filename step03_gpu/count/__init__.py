"""`count`: what the kernels of the ladder do, counted by the emulator, and the roof above them."""

import argparse
from pathlib import Path

from step01_numpy.common.commands.context import Context, add_json, file_path, positive_integer
from step03_gpu.kernels.rungs import HEAD_SIZES, RUNGS, TYPES

HELP = """Count what the kernels of a rung do: FLOP, bytes, barriers. No GPU is needed, and nothing is timed.

The emulator runs the kernels and counts. For each rung: FLOP of CUDA cores and of tensor cores; bytes of
memory if every sector of 32 bytes that a kernel touches were moved once, and if all that its warps ask for
were moved; bytes of shared memory, 128 for each pass over its banks; barriers of blocks and shuffles of
warps. The last columns are the least time that arithmetic and memory allow at a data sheet's figures.

examples:
  {program} count                                     every rung's forward
  {program} count --rung 3 --length 1024
  {program} count --backward --causal --head-size 128
  {program} count --length 8192 --svg roofline.svg    the same as a figure
  {program} count --rung 5 --dtype float16 --json     every count, by kernel
"""
LENGTH, HEAD_SIZE = 1024, 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--rung", metavar="N", type=int, choices=tuple(RUNGS), help="default: all that differ"
    )
    parser.add_argument(
        "--length",
        metavar="L",
        type=positive_integer,
        default=LENGTH,
        help=f"queries, and as many keys; default: {LENGTH}",
    )
    parser.add_argument(
        "--head-size",
        metavar="D",
        type=positive_integer,
        default=HEAD_SIZE,
        help=f"one of {', '.join(map(str, HEAD_SIZES))}; default: {HEAD_SIZE}",
    )
    parser.add_argument(
        "--dtype",
        choices=tuple(TYPES),
        metavar="NAME",
        help="default: float32, for rung 5 bfloat16: %(choices)s",
    )
    parser.add_argument("--heads", metavar="H", type=positive_integer, default=1, help="default: 1")
    parser.add_argument("--causal", action="store_true", help="no query sees a later key")
    parser.add_argument("--backward", action="store_true", help="the gradients alone")
    parser.add_argument(
        "--svg", metavar="FILE", type=file_path, help="draw the roofline here too (needs matplotlib)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Count, print, and draw."""
    from step03_gpu.count.cases import cases, counted
    from step03_gpu.count.table import as_json, as_text

    path: Path | None = arguments.svg
    if path is not None:
        import matplotlib  # noqa: F401  (missing, it is missed before the work, not behind it)

        from step01_numpy.common.support.files import check_writable

        check_writable(path)
    options = {"heads": arguments.heads, "causal": arguments.causal, "backward": arguments.backward}
    chosen = cases(arguments.rung, arguments.length, arguments.head_size, arguments.dtype, **options)
    found = [(case, counted(case)) for case in chosen]
    print((as_json if arguments.json else as_text)(found))
    if path is not None:
        from step03_gpu.count.figure import draw

        draw(found, path)
    return 0
