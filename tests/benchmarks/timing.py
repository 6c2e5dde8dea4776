"""Interleaved timing: what is compared runs turn by turn, so that a noisy machine disturbs both alike."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

PAUSE = 0.01  # s


@dataclass(frozen=True)
class Result:
    """
    One line of the report: `ours` and `theirs` in `unit`, their ratio, and the ratio that was promised.

    For times the ratio is ours / theirs and should be at most `target`; for rates (higher is better) it
    should be at least `target`. None: nothing was promised, the line is there to be read.
    """

    name: str
    unit: str
    ours: float
    theirs: float | None
    target: float | None
    higher_is_better: bool = False

    @property
    def ratio(self) -> float:
        return self.ours if self.theirs is None else self.ours / self.theirs

    @property
    def reached(self) -> bool | None:
        if self.target is None:
            return None
        return self.ratio >= self.target if self.higher_is_better else self.ratio <= self.target

    def as_dict(self) -> dict:
        return {**asdict(self), "ratio": self.ratio, "reached": self.reached}

    def __str__(self):
        theirs = "" if self.theirs is None else f"{self.theirs:10.4g}"
        sign = ">=" if self.higher_is_better else "<="
        line = f"{self.name:46} {self.ours:10.4g} {theirs:>10} {self.unit:9} ratio {self.ratio:6.2f}"
        if self.target is None:
            return line
        return f"{line}  wanted {sign} {self.target:g}  {'reached' if self.reached else 'MISSED'}"


HEADER = f"{'benchmark':46} {'ours':>10} {'theirs':>10} unit"


def interleave(
    functions: dict, rounds: int = 21, warm_up: int = 2, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """
    Run the functions turn by turn and return each one's median time in ms.

    With `clock=time.process_time` it is the time that the processor spent on it, whatever else ran.

    Before each run lies a pause: PyTorch's threads go on spinning for 5 to 8 ms after a call, waiting for the
    next, and would take a core from whatever runs then. After a longer one a virtual processor is asleep, and
    Linux starts a new thread beside the old one rather than wake it: after 30 ms in half of all calls, after
    10 in none of sixty.
    """
    times = {name: [] for name in functions}
    for i in range(warm_up + rounds):
        for name, function in functions.items():
            time.sleep(PAUSE)
            start = clock()
            function()
            if i >= warm_up:
                times[name].append(1e3 * (clock() - start))
    return {name: statistics.median(x) for name, x in times.items()}
