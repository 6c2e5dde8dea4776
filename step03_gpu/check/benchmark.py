"""The benchmark: which cases are measured, and what was promised of them."""

from collections.abc import Iterator
from typing import NamedTuple

from step03_gpu.check import report
from step03_gpu.check.measure import Case, measure, product_rate

FAST = ("rung 5", "Triton", "SDPA flash", "SDPA cudnn", "SDPA efficient")
PRODUCT = 8192  # rows and columns of the matrix product that the card's rate is taken from


class Part(NamedTuple):
    """A case, who takes part in it (None: all that can), and the goals set for it."""

    title: str
    case: Case
    wanted: tuple | None = None
    goals: tuple = ()


def parts() -> list[Part]:
    """Return what is measured on a GPU: long sequences in 16 bits first, where the goals are set."""
    wide, narrow = ((4, 16), 8192, 128), ((4, 16), 8192, 64)
    return [
        Part("bfloat16, D = 128", Case("bfloat16", *wide, False), FAST, report.GOALS),
        Part("bfloat16, D = 128, causal", Case("bfloat16", *wide, True), FAST),
        Part("float16, D = 128, causal", Case("float16", *wide, True), FAST),
        Part("bfloat16, D = 64", Case("bfloat16", *narrow, False), FAST),
        Part("bfloat16, D = 64, causal", Case("bfloat16", *narrow, True), FAST),
        Part("float32: the ladder", Case("float32", (1, 16), 8192, 128, False), None, report.GOALS_FLOAT32),
        Part("bfloat16: the ladder", Case("bfloat16", (1, 16), 2048, 128, False)),
    ]


def rehearsal() -> list[Part]:
    """Return the same in small: every contestant and every line of the report, within seconds on a CPU."""
    return [
        Part("float32", Case("float32", (1, 2), 40, 32, False), None, report.GOALS_FLOAT32),
        Part("bfloat16, causal", Case("bfloat16", (1, 2), 40, 32, True), None, report.GOALS),
    ]


def benchmark(device: str, cases: list[Part], product: int = PRODUCT) -> Iterator[str]:
    """Measure, and yield the report piece by piece, in Markdown."""
    dtypes = dict.fromkeys(part.case.dtype for part in cases)
    rates = {dtype: product_rate(device, dtype, product) for dtype in dtypes}
    said = ", ".join(f"{dtype} {rate:.3g} TFLOP/s" for dtype, rate in rates.items())
    yield f"## Benchmark\n\nA matrix product of {product} × {product} × {product}, TF32 off: {said}."
    for part in cases:
        rows, refused = measure(part.case, device, lambda name, part=part: name in (part.wanted or (name,)))
        lines = [f"### {part.title}", f"B×H×L×D = {part.case.shape}", report.table(rows, rates)]
        missing = [f"- {name} does not take part: {reason}" for name, reason in refused.items()]
        yield "\n\n".join([*lines, "\n".join([*report.verdicts(rows, part.goals), *missing])]).strip()
