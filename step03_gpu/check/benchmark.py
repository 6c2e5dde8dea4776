"""What parts of the check measure: which cases, who takes part, and what was promised of them."""

from typing import NamedTuple

from step03_gpu.check import report
from step03_gpu.check.case import Case
from step03_gpu.check.device import device_of
from step03_gpu.check.measure import Measured, measure, product_rate
from step03_gpu.check.telling import Tell
from step03_gpu.kernels.rungs import DECODING, RUNGS

OURS = (*(f"rung {n}" for n in RUNGS), "array operations")
FAST = ("rung 5", "rung 6", "SDPA flash", "SDPA cudnn", "SDPA efficient")
TRITON = ("Triton", "SDPA flash")
PRODUCT = {
    "cuda": 8192,
    "cpu": 256,
}  # rows and columns of the matrix product that the card's rate is taken from
GOALS = {"long": report.GOALS, "float32": report.GOALS_FLOAT32, "triton": report.GOALS_TRITON}


class Measurement(NamedTuple):
    """A case, who takes part in it (None: all that can), and the name of the goals set for it."""

    title: str
    case: tuple
    wanted: tuple | None = None
    goals: str | None = None


WIDE, NARROW = ((4, 16), 8192, 128), ((4, 16), 8192, 64)
FIRST = [
    Measurement(
        f"{dtype}, D = {size}{', causal' * causal}", (dtype, (1, 4), 300, size, causal), (*OURS, DECODING)
    )
    for dtype, size, causal in (
        ("float32", 64, True),
        ("bfloat16", 64, True),
        ("float16", 128, False),
        ("float32", 128, False),
    )
]
LADDER = [
    Measurement("bfloat16: the ladder", ("bfloat16", (1, 16), 2048, 128, False), (*OURS, *FAST[2:])),
    Measurement("float32: the ladder", ("float32", (1, 16), 8192, 128, False), (*OURS, *FAST[2:]), "float32"),
]
FORWARD = tuple(name for name in OURS if name != "rung 4")  # which is a backward
ONE_QUERY = [
    Measurement(
        f"{dtype}: one query, B = {batch}",
        (dtype, (batch, 32), 8192, 128, False, 1),
        (DECODING, *FORWARD, *FAST[1:]),
    )
    for dtype in ("bfloat16", "float32")
    for batch in (1, 8)
]
LONG = [
    Measurement("bfloat16, D = 128", ("bfloat16", *WIDE, False), FAST, "long"),
    Measurement("bfloat16, D = 128, causal", ("bfloat16", *WIDE, True), FAST),
    Measurement("float16, D = 128, causal", ("float16", *WIDE, True), FAST),
    Measurement("bfloat16, D = 64", ("bfloat16", *NARROW, False), FAST),
    Measurement("bfloat16, D = 64, causal", ("bfloat16", *NARROW, True), FAST),
]
WITH_TRITON = [
    Measurement("bfloat16, D = 128, causal", ("bfloat16", (1, 4), 300, 128, True), ("Triton",)),
    Measurement("bfloat16, D = 128", ("bfloat16", *WIDE, False), TRITON, "triton"),
    Measurement("bfloat16, D = 64, causal", ("bfloat16", *NARROW, True), TRITON),
    Measurement("float32, D = 64", ("float32", (1, 16), 2048, 64, False), TRITON),
]


def name_device(tell: Tell, device: str) -> None:
    """Name the device."""
    tell.named(device_of(device).name())


def compare(tell: Tell, device: str, measurements: list, timed: bool = True, without: tuple = ()) -> None:
    """
    Measure case after case; what is wrong or fails without excuse is told as a failure.

    Parameters
    ----------
    tell : Tell
    device : "cuda" or "cpu"
    measurements : list of Measurement, or of lists in their order
    timed : bool
        Or errors alone.
    without : names
        Of those that lost the device in an earlier try.
    """
    measurements = [Measurement(*x) for x in measurements]
    found, rates = device_of(device), {}
    if timed:
        for dtype in dict.fromkeys(x.case[0] for x in measurements):
            tell.at(f"a matrix product in {dtype}")
            rates[dtype] = product_rate(found, dtype, PRODUCT[device])
        rate = ", ".join(f"{dtype} {rate:.3g} TFLOP/s" for dtype, rate in rates.items())
        tell.say(f"A matrix product of {PRODUCT[device]} rows and columns, TF32 off: {rate}.")
    for wanted in measurements:
        tell.at(wanted.title)
        dtype, heads, *rest = wanted.case
        case = Case(dtype, tuple(heads), *rest)

        def chosen(name, names=wanted.wanted):
            return (names is None or name in names) and name not in without

        _tell_of(tell, wanted, measure(case, found, chosen, timed=timed, at=tell.at), case, rates)


def _tell_of(tell, wanted: Measurement, measured: Measured, case: Case, rates: dict) -> None:
    """Say what one case gave."""
    table = report.table(measured.rows, rates) if rates else report.errors(measured.rows)
    goals = report.verdicts(measured.rows, GOALS.get(wanted.goals, ()) if rates else ())
    missing = [f"- {name} does not take part: {why}" for name, why in measured.refused.items()]
    lines = [f"### {wanted.title}", f"B×H×L×D = {case.shape}", table, "\n".join([*goals, *missing])]
    tell.say("\n\n".join(lines).strip())
    for name, why in measured.failed.items():
        tell.failed(f"{wanted.title}, {name}: {why}")
    for row in measured.rows:
        if not row.right and not row.contestant.startswith("SDPA"):
            where = f"{wanted.title}, {row.contestant} {row.direction}"
            tell.failed(f"{where}: error {row.error:.1e}, allowed {row.allowed:.1e}")
