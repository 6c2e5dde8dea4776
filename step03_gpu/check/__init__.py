"""`check`: the tests of this stage on the GPU at hand, then the benchmark, in one report."""

import argparse
from pathlib import Path

from step01_numpy.common.commands.context import Context

HELP = """Run this stage's tests on the GPU, then the benchmark, and write docs/benchmarks/<gpu>.md.

For each case all that can compute it take turns: the rungs of the ladder, the array operations, Triton, and
PyTorch's scaled_dot_product_attention with each backend pinned, since left to itself it may pick one half as
fast as another. Times are medians; TFLOP/s counts what the mathematics needs; "vs" is how many times as fast
as that backend; the error is the largest of the last head, against float64. It takes some 8 minutes and no
network. Exit code 1 if a test fails.

examples:
  {program} check
  {program} check --no-tests
  {program} check --rehearse      tiny, on the CPU, the kernels on the emulator: its times mean nothing
"""

TEST_SECONDS = 270  # s, of the 8 minutes in all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--no-tests", action="store_true", help="the benchmark alone")
    parser.add_argument("--rehearse", action="store_true", help="tiny, without a GPU, written nowhere")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("docs/benchmarks"), help="default: docs/benchmarks"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Test, measure, print, write."""
    from step03_gpu.check import benchmark, report
    from step03_gpu.check.suite import run_tests

    card = None if arguments.rehearse else _card()
    passed, said = True, []

    def say(text):
        said.append(text)
        print(f"{text}\n", flush=True)

    say(report.heading(card or "Rehearsal"))
    if not arguments.no_tests:
        passed, summary = run_tests(TEST_SECONDS)
        say(f"## Tests on the device\n\n{summary}")
    pieces = benchmark.benchmark("cuda", benchmark.parts())
    if card is None:
        pieces = benchmark.benchmark("cpu", benchmark.rehearsal(), product=256)
    for piece in pieces:
        say(piece)
    if card is not None:
        print(f"written: {report.write(chr(10).join(said), arguments.out, card)}")
    return 0 if passed else 1


def _card() -> str:
    """Return the GPU's name."""
    import torch

    from step03_gpu.arrays import default_device

    if not (torch.cuda.is_available() and default_device() == "gpu"):
        raise ValueError("check needs a GPU that both PyTorch and CuPy see; --rehearse does without one")
    return torch.cuda.get_device_name()
