"""What kernels do, counted by the emulator: bytes, instructions of a warp, FLOP, barriers."""

import re
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar

WHAT = ("accesses", "arithmetic")  # counted in this order, each by a library of its own
PRODUCT = re.compile(r"(?:wg)?mma.*\.m(\d+)n(\d+)k(\d+)")
_COUNTING = ContextVar("counting", default=None)


def count(call: Callable[[], object]) -> dict[str, Counter]:
    """
    Count what the kernels do that a call launches on the emulator.

    Parameters
    ----------
    call : callable
        Takes nothing. It is called twice, and must launch the same both times.

    Returns
    -------
    counts : dict of Counter
        By the kernels' names, over all of their launches:

        global_load_bytes, global_store_bytes
            What threads ask for of their arguments' arrays.
        global_load_sectors, global_store_sectors
            The sectors of 32 bytes that this moves for each warp: lanes that read neighbours share them.
        global_load_distinct, global_store_distinct
            The sectors that a launch touches at all.
        shared_load_bytes, shared_store_bytes, shared_load_passes, shared_store_passes
            Of shared memory; in a pass each of 32 banks gives one word of 4 bytes. Passes: at least so many.
        global_load_requests, … shared_store_requests
            Instructions of a warp; of a box that is copied by one instruction, each of its rows.
        flop, special, tensor_flop
            + - * / (a fused multiply-add is two); exp, log and square roots; products of tensor cores.
        __syncthreads, __shfl_xor_sync, mma.sync.m16n8k16, …
            Barriers of a block, and instructions of a warp; wgmma.mma_async.m64n128k16, … of four warps.

    Raises
    ------
    EmulatorError
        As a launch does; and where the C++ compiler is not g++.

    Notes
    -----
    Counted is what the text says: a compiler may read once what the text reads twice. What threads keep for
    themselves, local variables and a kernel's scalar arguments, is taken for registers. Arrays and
    dynamic shared memory begin where sectors and banks do. An atomic operation is a load and a store.
    """
    counts = {}
    for what in WHAT:
        token = _COUNTING.set((what, counts))
        try:
            call()
        finally:
            _COUNTING.reset(token)
    return {name: Counter({key: n for key, n in found.items() if n}) for name, found in counts.items()}


def counting() -> str | None:
    """Say what of a launch is to be counted now, if anything."""
    now = _COUNTING.get()
    return None if now is None else now[0]


def take(kernel: str, lines: str) -> None:
    """Add up what the library of a launch has counted, a line each."""
    what, counts = _COUNTING.get()
    found = counts.setdefault(kernel, Counter())
    for line in lines.splitlines():
        name, number = line.rsplit(" ", 1)
        if (name in ("flop", "special")) == (what == "arithmetic"):
            found[name] += int(number)
            if product := PRODUCT.match(name):
                m, n, k = map(int, product.groups())
                found["tensor_flop"] += 2 * m * n * k * int(number)
