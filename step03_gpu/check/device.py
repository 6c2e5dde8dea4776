"""The device that is measured, a GPU or in a rehearsal the host: its clock, its memory, does it answer."""

import time
from collections.abc import Callable

import torch

AHEAD = 5_000_000  # clocks, some 3 ms, that a GPU is kept busy while a run is put into its queue
MOST_AHEAD = 80_000_000  # clocks: who needs longer to launch is measured with his launching


class Host:
    """The CPU; the kernels run on the emulator."""

    kind = "cpu"
    budget = 0.05  # s of repetitions for each contestant, direction and case: a rehearsal's times say little

    def name(self) -> str:
        """Name the device, for the report's heading."""
        return "Rehearsal"

    def time(self, run: Callable) -> float:
        """Time a run by the wall's clock, in ms."""
        start = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - start)

    def wait(self) -> None:
        """Wait for all that was launched; a RuntimeError where the device answers no more."""

    def release(self) -> None:
        """Give back the memory that either library keeps for itself: the other may need it next."""


class Gpu(Host):
    """The GPU that PyTorch and CuPy work on."""

    kind = "cuda"
    budget = 1.0

    def __init__(self):
        self.ahead = AHEAD

    def name(self) -> str:
        """Name the card; a ValueError where the two libraries do not both see one."""
        from step03_gpu.arrays import default_device

        if not (torch.cuda.is_available() and default_device() == "gpu"):
            raise ValueError("check needs a GPU that both PyTorch and CuPy see; --rehearse does without one")
        return torch.cuda.get_device_name()

    def time(self, run: Callable) -> float:
        """
        Time a run by the GPU's own clock, in ms.

        The GPU sleeps until all of the run is in its queue, or a short kernel would wait for Python and be
        measured with it. Where the sleep was too short the run is timed again behind a longer one.
        """
        while True:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda._sleep(self.ahead)
            start.record()
            run()
            end.record()
            in_time = not start.query()
            end.synchronize()
            if in_time or self.ahead >= MOST_AHEAD:
                return start.elapsed_time(end)
            self.ahead *= 4

    def wait(self) -> None:
        """Wait for all that was launched; a RuntimeError where the device answers no more."""
        torch.cuda.synchronize()

    def release(self) -> None:
        """Give back the memory that either library keeps for itself: the other may need it next."""
        import cupy

        cupy.get_default_memory_pool().free_all_blocks()
        torch.cuda.empty_cache()


def device_of(kind: str) -> Host:
    """Return the device: "cuda" or "cpu"."""
    return Gpu() if kind == "cuda" else Host()
