"""
A student's kernels as a program that is shut in, and asked to launch them.

The program is native code: it can do whatever the process may that it is in. What counts is the arrays that
come back, each of the size that was sent.
"""

import os
import struct
import threading
from pathlib import Path

import numpy as np

from step03_gpu.emulator import EmulatorError
from step03_gpu.emulator.launches import ARRAY, READ_ONLY_ARRAY, VALUE, chosen_order
from step03_gpu.emulator.raw_module import FREE_SHARED, MOST_SHARED, Kernel
from tests.homework.kernels.shut import Shut
from tests.homework.sandbox import LEVEL

LAUNCH = 1.0  # s of the processor that a launch may take
MEMORY = 2**31  # bytes that a program may touch: AddressSanitizer reserves more than a limit could allow
ASAN = "detect_leaks=0:redzone=2048:max_redzone=2048:detect_stack_use_after_return=0:handle_abort=1"
ASAN += ":quarantine_size_mb=1"
PROGRAMS = {"AS": None}  # limits


class Program(Shut):
    """
    A student's kernels, launched as often as is asked.

    Parameters
    ----------
    path : Path
        From `compiled`.
    steps : iterable of str
        What is tried to keep it apart.
    """

    def __init__(self, path: Path, steps=LEVEL):
        self.path, self.ended = path, threading.Event()
        self.heavy = False
        super().__init__(self._put, PROGRAMS, {"ASAN_OPTIONS": ASAN}, steps)

    def _put(self, room):
        (room / "program").write_bytes(self.path.read_bytes())
        (room / "program").chmod(0o555)
        return [room / "program"]

    def ready(self) -> list[str]:
        """Wait until it runs, and from then on watch how much memory it takes."""
        first = self.holds is None
        holds = super().ready()
        if first:
            threading.Thread(target=self._watch, args=(self._number(),), daemon=True).start()
        return holds

    def _number(self):
        """Return the number of the process, within namespaces or not."""
        if not self.apart:
            return self.process.pid
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return int(Path(children).read_text("ascii").split()[0])

    def _watch(self, number):
        while not self.ended.wait(0.05):
            try:
                pages = int(Path(f"/proc/{number}/statm").read_text("ascii").split()[1])
            except (OSError, IndexError):
                return
            if pages * os.sysconf("SC_PAGE_SIZE") > MEMORY:
                self.heavy = True
                self.kill()

    def launch(self, head: bytes, arguments, results, seconds: float) -> str:
        """
        Launch a kernel; `results`, arrays, are overwritten.

        Returns
        -------
        message : str
            Of the emulator, or empty.

        Raises
        ------
        Ended
            When the program is no more.
        """
        return self._within(seconds, lambda: self._launch(head, arguments, results))

    def _launch(self, head, arguments, results):
        self.process.stdin.write(b"".join([head, *arguments]))
        self.process.stdin.flush()
        (length,) = struct.unpack("q", self._exactly(8))
        if not 0 <= length <= 4096:
            raise ValueError(length)
        message = self._exactly(length).decode("utf-8", "replace")
        for x in [] if message else results:
            x.reshape(-1).view(np.uint8)[:] = np.frombuffer(self._exactly(x.nbytes), np.uint8)
        return message

    def _exactly(self, n):
        data = self.process.stdout.read(n)
        if len(data) != n:
            raise EOFError
        return data

    def end(self) -> str:
        """End it, and return what it has printed."""
        self.ended.set()
        return super().end()


class Remote(Kernel):
    """
    A kernel of a program, with the face of the emulator's.

    Parameters
    ----------
    name : str
    index : int
        Among the program's.
    program : Program
    seconds : float
        The deadline of a launch; its alarm comes before.
    """

    def __init__(self, name: str, index: int, program: Program, seconds: float):
        self.name, self._index, self._program, self._seconds = name, index, program, seconds
        self.timeout, self._shared_limit = None, None

    def run(self, grid: tuple, block: tuple, args: tuple, shared_mem: int) -> None:
        """Run the grid; EmulatorError with the emulator's message, Ended where the program is no more."""
        sent = [_argument(x) for x in args]
        sizes = struct.pack("q6I", self._index, *(*grid, 1, 1)[:3], *(*block, 1, 1)[:3])
        most = MOST_SHARED if self._shared_limit else FREE_SHARED
        milliseconds = int(1000 * alarm(self._seconds))
        head = sizes + struct.pack("6q", shared_mem, most, *chosen_order(), milliseconds, len(args))
        results = [x for x in args if isinstance(x, np.ndarray) and x.ndim and x.flags.writeable]
        if message := self._program.launch(head, sent, results, self._seconds):
            raise EmulatorError(message)


def alarm(seconds: float) -> float:
    """Return how many seconds of the processor a launch may take whose deadline this is."""
    return min(LAUNCH, 0.1 * seconds)


def _argument(x):
    """Return an argument as the server takes it: bytes, kind, and what lies there."""
    if x is None:
        return struct.pack("qq", -1, ARRAY)
    data = np.ascontiguousarray(x).tobytes()
    array = isinstance(x, np.ndarray) and x.ndim
    kind = (ARRAY if x.flags.writeable else READ_ONLY_ARRAY) if array else VALUE
    return struct.pack("qq", len(data), kind) + data
