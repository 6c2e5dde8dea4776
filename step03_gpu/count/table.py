"""Counts as a table for people, in Markdown, or as numbers for programs."""

import json
from collections import Counter

from step03_gpu.count.cases import DIRECT, Case, total
from step03_gpu.count.roofline import H100, Gpu, place, products, times

PREFIXES = ("", "k", "M", "G", "T", "P")
HEADINGS = (
    "rung",
    "dtype",
    "FLOP",
    "tensor",
    "exp, log",
    "memory",
    "FLOP/byte",
    "asked",
    "FLOP/byte",
    "shared",
    "FLOP/byte",
    "barriers",
    "shuffles",
    "µs, cached",
    "µs, not",
)
Counted = list[tuple[Case, dict[str, Counter]]]


def as_text(counted: Counted, gpu: Gpu = H100) -> str:
    """Lay the counts of rungs out as a table, with what they count above and below."""
    case = counted[0][0]
    rows = [_row(*one, gpu) for one in counted]
    widths = [max(len(row[i]) for row in [HEADINGS, *rows]) for i in range(len(HEADINGS))]
    lines = [_line(HEADINGS, widths), _line(["-" * n for n in widths], widths)]
    lines += [_line(row, widths) for row in rows]
    what = "gradients of attention" if case.backward else "attention"
    heads = "1 head" if case.heads == 1 else f"{case.heads} heads"
    title = f"{what}, L = S = {case.length}, D = {case.head_size}, {heads}{', causal' if case.causal else ''}"
    how = (
        "counted at this length"
        if case.length <= DIRECT
        else f"counted at three lengths up to {DIRECT}: each count is a polynomial of second degree in L"
    )
    needed = f"Its products are {_short(products(case))}FLOP as others count them."
    return "\n".join([f"{title}; {how}. {needed}", "", *lines, "", f"Roofs: {gpu.source}."])


def as_json(counted: Counted, gpu: Gpu = H100) -> str:
    """Return all counts, by kernel."""
    report = [
        {
            **case._asdict(),
            "extrapolated": case.length > DIRECT,
            "kernels": {name: dict(sorted(found.items())) for name, found in counts.items()},
            "total": dict(sorted(total(counts).items())),
            "seconds_at_least": dict(
                zip(("perfect_cache", "no_cache"), times(case, place(counts), gpu), strict=True)
            ),
        }
        for case, counts in counted
    ]
    return json.dumps(report, indent=1)


def _row(case, counts, gpu):
    n, found = total(counts), place(counts)
    barriers = sum(m for name, m in n.items() if name.startswith("__syncthreads"))
    shuffles = sum(m for name, m in n.items() if name.startswith("__shfl"))
    moved = [
        x
        for n in (found.memory, found.requested, found.shared)
        for x in (_short(n), _ratio(products(case), n))
    ]
    least = [_number(1e6 * seconds) for seconds in times(case, found, gpu)]
    flops = [_short(x) for x in (found.work, found.tensor_work, found.special)]
    return [str(case.rung), case.dtype, *flops, *moved, _short(barriers), _short(shuffles), *least]


def _line(cells, widths):
    return "| " + " | ".join(f"{cell:>{n}}" for cell, n in zip(cells, widths, strict=True)) + " |"


def _ratio(work, n):
    return _number(work / n) if n else "-"


def _number(x):
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def _short(n):
    """Return a number with three digits and a prefix of the SI."""
    power = 0
    while round(n, 0) >= 999.5 and power < len(PREFIXES) - 1:
        n, power = n / 1000, power + 1
    return f"{n:.3g} {PREFIXES[power]}" if n else "0"
