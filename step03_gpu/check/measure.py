"""Times and errors: contestants run turn by turn on the same inputs, each judged by one head in float64."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from step02_torch import attention as exact
from step03_gpu.check.contestants import Contestant, contestants

BUDGET = 1.0  # s of repetitions for each contestant, direction and case
AT_LEAST, AT_MOST = 3, 20  # repetitions
TOO_SLOW = 4.0  # s: what takes longer in its first, cold run is measured by that one


class Case(NamedTuple):
    """What is computed: B·H heads of L queries and as many keys of size D."""

    dtype: str
    heads: tuple[int, int]
    length: int
    size: int
    causal: bool

    @property
    def shape(self) -> str:
        """The shape as the table shows it."""
        return f"{self.heads[0]}×{self.heads[1]}×{self.length}×{self.size}"

    def flop(self, direction: str) -> float:
        """
        Return the FLOP that the mathematics needs: 4 L² D per head, half of it when causal.

        Backward 2.5 times that: five products instead of two (Dao 2023, section 4.1, arXiv:2307.08691).
        """
        forward = 4.0 * self.heads[0] * self.heads[1] * self.length**2 * self.size
        return forward * (0.5 if self.causal else 1) * (2.5 if direction == "backward" else 1)


class Row(NamedTuple):
    """One line of the table: a time in ms, and the largest error, absolute, of one head against float64."""

    contestant: str
    case: Case
    direction: str
    ms: float
    error: float

    @property
    def tflops(self) -> float:
        """TFLOP/s."""
        return self.case.flop(self.direction) / (self.ms * 1e9)


def measure(
    case: Case, device: str, wanted: Callable = lambda name: True
) -> tuple[list[Row], dict[str, str]]:
    """
    Time every contestant of a case that is `wanted` and can serve it.

    Returns
    -------
    rows : list of Row
    refused : dict
        Why a contestant is missing, by name.
    """
    inputs = draw(case, device)
    chosen = {name: x for name, x in contestants(case.dtype).items() if wanted(name)}
    expected = reference(inputs, case.causal)
    runs, errors, refused = {}, {}, {}
    for name, contestant in chosen.items():
        try:
            for direction, run, found in prepare(contestant, inputs, case.causal):
                runs[name, direction] = run
                errors[name, direction] = error(found, expected[direction])
        except (RuntimeError, ValueError, TypeError) as reason:
            refused[name] = str(reason).strip().splitlines()[0]
            runs = {key: run for key, run in runs.items() if key[0] != name}
    times = interleave(runs, device)
    rows = [Row(name, case, way, times[name, way], errors[name, way]) for name, way in runs]
    runs.clear()  # with them goes what their backward needs
    release(device)
    return rows, refused


def draw(case: Case, device: str) -> tuple[torch.Tensor, ...]:
    """Draw q, k, v and d_out."""
    generator = torch.Generator(device).manual_seed(8)
    shape, dtype = (*case.heads, case.length, case.size), getattr(torch, case.dtype)
    return tuple(torch.randn(shape, generator=generator, device=device).to(dtype) for _ in range(4))


def prepare(contestant: Contestant, inputs, causal: bool):
    """Yield for each direction its name, a function that runs it, and what it computed for the last head."""
    *qkv, d_out = inputs
    out, saved = contestant.forward(*qkv, causal)
    if "forward" in contestant.directions:
        yield "forward", lambda: contestant.forward(*qkv, causal), [last_head(out)]
    if "backward" in contestant.directions:
        gradients = [last_head(x) for x in contestant.backward(d_out, saved)]
        yield "backward", lambda: contestant.backward(d_out, saved), gradients


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


def interleave(runs: dict, device: str) -> dict:
    """Run turn by turn, so that a change of clock meets all, and return each one's median in ms."""
    clock = on_gpu if device == "cuda" else on_host
    first = {key: min(clock(run), clock(run)) for key, run in runs.items()}
    rounds = {key: min(max(int(BUDGET * 1e3 / ms), AT_LEAST), AT_MOST) for key, ms in first.items()}
    rounds |= {key: 0 for key, ms in first.items() if ms > 1e3 * TOO_SLOW}
    times = {key: [ms] if rounds[key] == 0 else [] for key, ms in first.items()}
    for turn in range(max(rounds.values(), default=0)):
        for key, run in runs.items():
            if turn < rounds[key]:
                times[key].append(clock(run))
    return {key: statistics.median(x) for key, x in times.items()}


def release(device: str) -> None:
    """Give back the memory that either library keeps for itself: the other may need it next."""
    if device == "cuda":
        import cupy

        cupy.get_default_memory_pool().free_all_blocks()
        torch.cuda.empty_cache()


def on_gpu(run: Callable) -> float:
    """Time a run by the GPU's own clock, in ms."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def on_host(run: Callable) -> float:
    """Time a run by the wall's clock, in ms."""
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def product_rate(device: str, dtype: str, n: int) -> float:
    """Return the rate of an n × n × n matrix product of random numbers, in TFLOP/s: what the card gives."""
    generator = torch.Generator(device).manual_seed(9)
    a, b = (torch.randn(n, n, generator=generator, device=device).to(getattr(torch, dtype)) for _ in range(2))
    (ms,) = interleave({"product": lambda: a @ b}, device).values()
    return 2 * n**3 / (ms * 1e9)
