"""The report: one table for reading, in the terminal and as `docs/benchmarks/<gpu>.md`."""

import platform
import re
from collections.abc import Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from step01_numpy.common.support.files import write_atomically
from step03_gpu.check.case import Row
from step03_gpu.tensors.operators import BACKENDS

PACKAGES = ("torch", "cupy-cuda13x", "cupy-cuda12x", "triton", "numpy")
COLUMNS = ["", "direction", "ms", "TFLOP/s", "% of product"] + [f"vs {name}" for name in BACKENDS]
COLUMNS += ["error", "allowed", "first run, s"]
MARK = "<!-- part {} -->"  # before a part's section, so that a later run of that part alone takes its place

# What was promised for bfloat16, 64 heads, D = 128, L = 8192: (contestant, direction, ratio to, at least).
GOALS = [
    ("rung 5", "forward", "SDPA flash", 0.6),
    ("rung 5", "backward", "SDPA flash", 0.5),
]
GOALS_TRITON = [("Triton", "forward", "SDPA flash", 0.8)]
GOALS_FLOAT32 = [("rung 3", "forward", "array operations", 2.0)]


def table(rows: Sequence[Row], rates: dict[str, float]) -> str:
    """
    Write the rows of one case as a Markdown table.

    Parameters
    ----------
    rows : sequence of Row
    rates : dict
        The measured rate of matrix products by dtype, in TFLOP/s.
    """
    lines = [COLUMNS, [":--", ":--", *["--:"] * (len(COLUMNS) - 2)]]
    for row in rows:
        share = 100 * row.tflops / rates[row.case.dtype]
        ratios = [_ratio(rows, row, f"SDPA {name}") for name in BACKENDS]
        numbers = [f"{row.ms:.3g}", f"{row.tflops:.3g}", f"{share:.1f}", *ratios]
        lines.append([row.contestant, row.direction, *numbers, *_errors(row)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def errors(rows: Sequence[Row]) -> str:
    """Write the errors of one case as a Markdown table."""
    lines = [["", "direction", *COLUMNS[-3:]], [":--", ":--", "--:", "--:", "--:"]]
    lines += [[row.contestant, row.direction, *_errors(row)] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _errors(row):
    wrong = f"{row.error:.1e}" if row.right else f"**{row.error:.1e}**"
    return [wrong, f"{row.allowed:.1e}", f"{row.first:.2f}"]


def _ratio(rows, row, name) -> str:
    """Return how many times as fast as another contestant a row is."""
    other = find(rows, name, row.direction)
    return "" if other is None else f"{other.ms / row.ms:.2f}"


def find(rows: Sequence[Row], name: str, direction: str) -> Row | None:
    """Return a contestant's row."""
    return next((row for row in rows if (row.contestant, row.direction) == (name, direction)), None)


def verdicts(rows: Sequence[Row], goals: Sequence[tuple]) -> list[str]:
    """Say of each goal whether it was reached."""
    said = []
    for name, direction, other, least in goals:
        ours, theirs = find(rows, name, direction), find(rows, other, direction)
        goal = f"{name} {direction}: at least {least:g} times the speed of {other}"
        if ours is None or theirs is None:
            said.append(f"- {goal}: not measured")
        elif not ours.right:
            said.append(f"- {goal}: **wrong**, so its time counts for nothing")
        else:
            ratio = theirs.ms / ours.ms
            said.append(f"- {goal}: {ratio:.2f}, {'reached' if ratio >= least else '**missed**'}")
    return said


def heading(device: str) -> str:
    """Name the card, the versions and the date."""
    versions = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"# {device}\n\n{date.today().isoformat()}, {', '.join(versions)}"


def sections(text: str) -> dict[str, str]:
    """Return the parts of a report, by name, as `joined` puts them together."""
    pieces = re.split(re.escape(MARK).replace(r"\{\}", r"([\w.-]+)"), text)
    return {name: piece.strip() for name, piece in zip(pieces[1::2], pieces[2::2], strict=True)}


def joined(head: str, parts: dict[str, str]) -> str:
    """Put a report together."""
    return "\n\n".join([head, *(f"{MARK.format(name)}\n\n{text}" for name, text in parts.items())]) + "\n"


def path_of(folder: Path, device: str) -> Path:
    """Return where a device's report is: `<folder>/<device>.md`."""
    return folder / (re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") + ".md")


def write(text: str, folder: Path, device: str) -> Path:
    """Write the report, whole or not at all, and return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(folder, device)
    write_atomically(path, text.encode())
    return path
