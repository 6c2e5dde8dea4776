"""Times and errors: contestants run turn by turn on the same inputs, each judged by one head in float64."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from step02_torch import attention as exact
from step03_gpu.check.case import Case, Row
from step03_gpu.check.contestants import Contestant, contestants, of_sdpa
from step03_gpu.check.device import Host
from step03_gpu.check.telling import Lost, reason

AT_LEAST, AT_MOST = 3, 20  # repetitions, within the device's budget
TOO_SLOW = 4.0  # s: what takes longer in its first, cold run is measured by that one
ALLOWED = (
    4  # times the error of PyTorch's own attention in the same dtype, or the dtype's eps if that is more
)


class Measured(NamedTuple):
    """What one case gave: its rows, and why who is missing, the excused (`refused`) and those that failed."""

    rows: list[Row]
    refused: dict[str, str]
    failed: dict[str, str]


def measure(
    case: Case,
    device: Host,
    wanted: Callable = lambda name: True,
    *,
    timed: bool = True,
    at: Callable = lambda name: None,
) -> Measured:
    """
    Run every contestant of a case that is `wanted`, see how wrong it is, and time all of them turn by turn.

    Parameters
    ----------
    case : Case
    device : Host
        Or a Gpu.
    wanted : callable
        name -> bool.
    timed : bool
        Or run once each, for the errors alone.
    at : callable
        Is told whose turn it is.

    Raises
    ------
    Lost
        Naming a contestant behind which the device answers no more.
    """
    inputs = draw(case, device.kind)
    chosen = {name: x for name, x in contestants(case.dtype).items() if wanted(name)}
    expected = reference(inputs, case.causal)
    limits, runs, found = allowed(inputs, case, expected), {}, Measured([], {}, {})
    for name, contestant in chosen.items():
        at(f"{case.dtype} {case.shape}, {name}")
        with Excused(name, found, device):
            for direction, run, result, first in prepare(contestant, inputs, case.causal, device):
                runs[name, direction] = run
                wrong = error(result, expected[direction])
                found.rows.append(Row(name, case, direction, 1e3 * first, wrong, limits[direction], first))
    times = interleave(runs, device, found) if timed else {}
    rows = [row for row in found.rows if row.contestant not in {**found.refused, **found.failed}]
    rows = [row._replace(ms=times.get((row.contestant, row.direction), row.ms)) for row in rows]
    runs.clear()  # with them goes what their backward needs
    device.release()
    return found._replace(rows=rows)


class Excused:
    """Where a contestant raises, write down why and let the others run on, if the device still does."""

    def __init__(self, name: str, found: Measured, device: Host):
        self.name, self.found, self.device = name, found, device

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None or not isinstance(error, Exception):
            return False
        place = self.found.refused if may_refuse(self.name, error) else self.found.failed
        place[self.name] = reason(error)
        try:
            self.device.wait()
        except RuntimeError as lost:
            raise Lost(self.name) from lost
        return True


def may_refuse(name: str, error: Exception) -> bool:
    """Tell whether it is no fault of ours: PyTorch's, a call that is not covered, or too little memory."""
    memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return name.startswith("SDPA") or memory or isinstance(error, ValueError)


def draw(case: Case, device: str) -> tuple[torch.Tensor, ...]:
    """Draw q, k, v and d_out."""
    generator = torch.Generator(device).manual_seed(8)
    lengths = case.queries, case.length, case.length, case.queries
    shapes, dtype = [(*case.heads, n, case.size) for n in lengths], getattr(torch, case.dtype)
    return tuple(torch.randn(shape, generator=generator, device=device).to(dtype) for shape in shapes)


def prepare(contestant: Contestant, inputs, causal: bool, device: Host):
    """Yield for each direction its name, what runs it, what it found for the last head, its first run's s."""
    *qkv, d_out = inputs
    start = time.perf_counter()
    out, saved = contestant.forward(*qkv, causal)
    device.wait()
    first = time.perf_counter() - start
    if "forward" in contestant.directions:
        yield "forward", lambda: contestant.forward(*qkv, causal), [last_head(out)], first
    if "backward" in contestant.directions:
        start = time.perf_counter()
        gradients = [last_head(x) for x in contestant.backward(d_out, saved)]
        device.wait()
        first = time.perf_counter() - start
        yield "backward", lambda: contestant.backward(d_out, saved), gradients, first


def allowed(inputs, case: Case, expected: dict) -> dict[str, float]:
    """Return how large an error may be, by direction: by that of PyTorch's own formula, on the last head."""
    *qkv, d_out = (x[-1:, -1:] for x in inputs)
    peer, limits = of_sdpa("math"), {}
    out, saved = peer.forward(*qkv, case.causal)
    found = {"forward": [last_head(out)], "backward": [last_head(x) for x in peer.backward(d_out, saved)]}
    for direction, known in expected.items():
        size = max(x.abs().max().item() for x in known)
        eps = torch.finfo(getattr(torch, case.dtype)).eps
        limits[direction] = ALLOWED * max(error(found[direction], known), eps * size)
    return limits


def reference(inputs, causal: bool) -> dict[str, list[torch.Tensor]]:
    """Compute the last head in float64, by the formula of step02 and autograd."""
    q, k, v, d_out = (last_head(x).double() for x in inputs)
    leaves = [x.requires_grad_() for x in (q, k, v)]
    out, _ = exact.scaled_dot_product_attention(*leaves, causal=causal)
    return {"forward": [out.detach()], "backward": list(torch.autograd.grad(out, leaves, d_out))}


def last_head(x: torch.Tensor) -> torch.Tensor:
    """Return the last head of the last entry: where an index that overflows shows."""
    return x[-1, -1].clone()


def error(found, expected) -> float:
    """Return the largest difference; infinite for NaN."""
    worst = max((x.double() - y).abs().max().item() for x, y in zip(found, expected, strict=True))
    return worst if worst == worst else float("inf")


def interleave(runs: dict, device: Host, found: Measured) -> dict:
    """Run turn by turn, so that a change of clock meets all, and return each one's median in ms."""
    first = {key: min(_time(key, run, device, found, 2)) for key, run in runs.items()}
    rounds = {
        key: min(max(int(device.budget * 1e3 / max(ms, 1e-6)), AT_LEAST), AT_MOST)
        for key, ms in first.items()
    }
    rounds |= {key: 0 for key, ms in first.items() if ms > 1e3 * TOO_SLOW}
    times = {key: [ms] if rounds[key] == 0 else [] for key, ms in first.items()}
    for turn in range(max(rounds.values(), default=0)):
        for key, run in runs.items():
            if turn < rounds[key]:
                times[key] += _time(key, run, device, found, 1)
    return {key: statistics.median(x) for key, x in times.items()}


def _time(key: Sequence, run: Callable, device: Host, found: Measured, times: int) -> list[float]:
    """Time a run; one that fails is out."""
    name, _ = key
    if name not in found.refused and name not in found.failed:
        with Excused(name, found, device):
            return [device.time(run) for _ in range(times)]
    return [float("inf")]


def product_rate(device: Host, dtype: str, n: int) -> float:
    """Return the rate of an n × n × n matrix product of random numbers, in TFLOP/s: what the card gives."""
    kind = device.kind
    generator = torch.Generator(kind).manual_seed(9)
    a, b = (torch.randn(n, n, generator=generator, device=kind).to(getattr(torch, dtype)) for _ in range(2))
    (ms,) = interleave({("product", ""): lambda: a @ b}, device, Measured([], {}, {})).values()
    return 2 * n**3 / (ms * 1e9)
