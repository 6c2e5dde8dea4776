"""`check`: this stage on the GPU at hand, in parts that fail alone; the report is written after each."""

import argparse
import os
import sys
import time
from pathlib import Path

from step01_numpy.common.commands.context import Context, positive_number

HELP = """Try this stage on the GPU, part by part, and write docs/benchmarks/<gpu>.md after each.

A part is a process of its own with a time limit. One that fails, hangs, is killed or runs out of memory
leaves a line that says so, and the others run. First every rung computes once (a minute), then comes the
ladder's table, within 8 minutes in all, then a single query, long sequences, Triton, and this stage's tests,
a file a part.

For each case all that can compute it take turns. Times are medians by the GPU's clock, its queue filled
before; TFLOP/s counts what the mathematics needs; "vs" is how many times as fast as that backend of PyTorch's
attention; the error is the largest of the last head, against float64, and fails a part where it is over 4
times PyTorch's own. The first run, with its compiling, is a column of its own. Exit code 1 if a part failed.

examples:
  {program} check
  {program} check --part first               every rung once
  {program} check --part ladder --part tests  the table, then all tests
  {program} check --minutes 8                what fits into 8 minutes
  {program} check --rehearse                 tiny, on the CPU, kernels on the emulator: its times mean nothing
"""

MINUTES = 30.0  # of all parts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--part", metavar="NAME", action="append", help="run this part alone; may be given several times"
    )
    parser.add_argument(
        "--minutes",
        metavar="M",
        type=positive_number,
        default=MINUTES,
        help=f"for all parts; default: {MINUTES:g}",
    )
    parser.add_argument("--rehearse", action="store_true", help="tiny, without a GPU, written nowhere")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("docs/benchmarks"), help="default: docs/benchmarks"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Run the parts, print, and write after each."""
    from step03_gpu.check.parts import device_part, parts

    device = "cpu" if arguments.rehearse else "cuda"
    if arguments.rehearse:
        os.environ["TRITON_INTERPRET"] = "1"  # of the parts' processes: read when Triton is imported
    chosen = chosen_parts(parts(device), arguments.part)
    return run_all(
        device_part(device), chosen, arguments.minutes, None if arguments.rehearse else arguments.out
    )


def chosen_parts(available: list, names: list | None) -> list:
    """Return the parts of these names, or whose names begin so; all when there are none."""
    if names is None:
        return available
    for name in names:
        if not any(_is(part, name) for part in available):
            known = ", ".join(part.name for part in available)
            raise ValueError(f"--part is {name!r}; expected one of {known}, or tests for all of theirs")
    return [part for part in available if any(_is(part, name) for name in names)]


def _is(part, name):
    return part.name == name or part.name.startswith(f"{name}-")


def run_all(first, chosen: list, minutes: float, out: Path | None) -> int:
    """
    Run parts until the time is over; return 0, or 1 if one failed.

    Parameters
    ----------
    first : Part
        Names the device; without one nothing else is run.
    chosen : list of Part
    minutes : float
    out : Path, optional
        Folder of the report, which is written after each part. Parts of an earlier report that are not run
        keep their place in it.
    """
    from step03_gpu.check import report
    from step03_gpu.check.runner import run_part

    end = time.monotonic() + 60 * minutes
    named = run_part(first, end - time.monotonic(), _print)
    if named.card is None:
        raise ValueError("; ".join(named.failed).removeprefix("ValueError: ") or "no device has a name")
    head, passed = report.heading(named.card), not named.failed
    path = None if out is None else report.path_of(out, named.card)
    texts = report.sections(path.read_text()) if path is not None and path.exists() else {}
    _print(head)
    for part in chosen:
        left = end - time.monotonic()
        if left <= 0:
            print(f"## {part.title}\n\nnot run: the {minutes:g} minutes are over\n", flush=True)
            continue
        _print(f"## {part.title}")
        outcome = run_part(part, left, _print)
        texts[part.name], passed = outcome.text, passed and not outcome.failed
        if out is not None:
            report.write(report.joined(head, texts), out, named.card)
    if path is not None:
        print(f"written: {path}", file=sys.stderr)
    return 0 if passed else 1


def _print(text):
    print(f"{text}\n", flush=True)
