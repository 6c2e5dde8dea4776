"""
A student's kernels as a program that is shut in: compiled, kept, and asked to launch them.

The program is native code: it can do whatever the process may that it is in. What counts is the arrays that
come back, each of the size that was sent.
"""

import json
import os
import re
import struct
import subprocess
import tempfile
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from step03_gpu.emulator import compiler
from step03_gpu.emulator.cache import cache_folder, digest, keep, kept
from step03_gpu.emulator.launches import ARRAY, READ_ONLY_ARRAY, VALUE, chosen_order
from step03_gpu.emulator.program import FRAME, KINDS, own_line
from step03_gpu.emulator.raw_module import MOST_SHARED, Kernel
from tests.homework.sandbox import LEVEL, Child, Ended

NATIVE = Path(__file__).parent.parent / "child" / "native.py"
SERVE = Path(__file__).parent / "serve.cuh"
COMPILING = 90.0  # s, on a busy machine
LAUNCH = 3.0  # s that a launch may take
MEMORY = 2**31  # bytes that a program may touch: AddressSanitizer reserves more than a limit could allow
ASAN = "detect_leaks=0:redzone=2048:max_redzone=2048:detect_stack_use_after_return=0:handle_abort=1"
ASAN += ":quarantine_size_mb=1"
COMPILERS = {"NPROC": None, "FSIZE": 2**26}  # limits: a compiler starts an assembler and a linker, and writes what they make
PROGRAMS = {"AS": None}


class Unfit(Exception):
    """A text that does not compile; the message says why."""


class Shut(Child):
    """
    A process that shuts itself in and becomes a program.

    Parameters
    ----------
    fill : callable
        From the process's room to the command; puts there what that needs.
    limits : dict
        Those that are not a submission's usual ones; None for none.
    environment : dict
        Of the program.
    steps : iterable of str
        What is tried to keep it apart.
    """

    def __init__(self, fill, limits: dict, environment: dict, steps=LEVEL):
        self.fill, self.settings = fill, {"limits": limits, "environment": environment}
        super().__init__(steps)

    def program(self, user: str, steps) -> list[str]:
        """Return what Python runs; what is written to belongs to the process's user."""
        command = self.fill(Path(self.room))
        made = Path(self.room) / "made"
        if made.is_dir() and "another user" in steps and os.geteuid() == 0:
            os.chown(made, int(user), -1)
        return [str(NATIVE), user, self.room, json.dumps(self.settings), *steps, "--", *map(str, command)]


def compiled(text: str, names: tuple[str, ...], steps=LEVEL) -> Path:
    """
    Compile kernels, or find what was made of the same text.

    Parameters
    ----------
    text : str
        CUDA C++; it is whoever's.
    names : tuple of str
        Of the kernels, as expressions.
    steps : iterable of str
        What is tried to keep the compiler apart.

    Returns
    -------
    path : Path
        A program that does what `serve.cuh` says.

    Raises
    ------
    Unfit
        With what the compiler says, where the text does not compile.
    """
    path, version = compiler.compiler(os.environ.get("CXX"))
    whole = source(text, names)
    flags = [x for x in (*compiler.FLAGS, *compiler.PROGRAM) if not x.startswith("-I")]
    key = digest(whole, *headers().values(), version, *flags)
    return kept(key) or _compile(path, flags, whole, key, steps)


def source(text: str, names) -> str:
    """Return what is compiled: the kernels behind the emulator's headers, the server behind the kernels."""
    entries = " ".join(f"EMULATOR_KERNEL({name})" for name in names)
    return (
        f'#define EMULATOR_ALIGNMENT 16\n#include "cuda.cuh"\n{compiler.translate(text)}\n'
        f'#line 1 "entries"\n#include "serve.cuh"\nstatic const emulator::Entry entries[] = {{{entries}}};\n'
        "int main() { return emulator::serve(entries); }\n"
    )


@cache
def headers() -> dict[str, bytes]:
    """Return the emulator's headers and the server's by their names."""
    return {x.name: x.read_bytes() for x in (*sorted(compiler.INCLUDE.iterdir()), SERVE) if x.is_file()}


def _compile(path, flags, text, key, steps):
    def fill(room):
        for name in ("include", "made"):
            (room / name).mkdir()
        for name, data in headers().items():
            (room / "include" / name).write_bytes(data)
        return [path, *flags, f"-I{room}/include", "-x", "c++", "-", "-o", f"{room}/made/program"]

    child = Shut(fill, COMPILERS, {}, steps)
    try:
        child.ready()
        found = child._within(COMPILING, lambda: _translate(child, text))
    except Ended as end:
        raise Unfit(f"the compiler {'takes too long' if end.reason == 'deadline' else 'ended'}") from None
    finally:
        words = child.end()
    if found is None:
        raise Unfit(words)
    return _kept(found, key)


def _translate(child, text):
    """Let the compiler have the text; return the program, or None where it did not make one."""
    with suppress(BrokenPipeError):
        child.process.stdin.write(text.encode())
        child.process.stdin.close()
    child.process.stdout.read()
    made = Path(child.room) / "made" / "program"
    return made.read_bytes() if child.process.wait() == 0 and made.is_file() else None


def _kept(data, key):
    """Keep a program where the emulator keeps its own."""
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="building-") as folder:
        made = Path(folder) / "compiled"
        made.write_bytes(data)
        made.chmod(0o700)
        return keep(key, made)


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
        most = MOST_SHARED if self._shared_limit else 48 * 1024
        alarm = int(1000 * min(LAUNCH, 0.6 * self._seconds))
        head = sizes + struct.pack("6q", shared_mem, most, *chosen_order(), alarm, len(args))
        results = [x for x in args if isinstance(x, np.ndarray) and x.ndim and x.flags.writeable]
        if message := self._program.launch(head, sent, results, self._seconds):
            raise compiler.EmulatorError(message)


def _argument(x):
    """Return an argument as the server takes it: bytes, kind, and what lies there."""
    if x is None:
        return struct.pack("qq", -1, ARRAY)
    data = np.ascontiguousarray(x).tobytes()
    array = isinstance(x, np.ndarray) and x.ndim
    kind = (ARRAY if x.flags.writeable else READ_ONLY_ARRAY) if array else VALUE
    return struct.pack("qq", len(data), kind) + data


THREAD = re.compile(r"^THREAD (.*)$", re.MULTILINE)
LATE = re.compile(r"^LATE \(program\+0x([0-9a-f]+)\)$", re.MULTILINE)
ACCESS = re.compile(r"^ACCESS (.*)$", re.MULTILINE)
OFFSET = re.compile(r"^ +#\d+ 0x\w+ +\(.*/program\+0x([0-9a-f]+)\)", re.MULTILINE)


def last_words(report: str, path: Path) -> str:
    """Return the emulator's message of what ended a program, out of what it printed; empty where there is none."""
    thread, access, late = (x.search(report) for x in (THREAD, ACCESS, LATE))
    if thread and late:
        return f"{thread[1]}{line_of([late[1]], path)}: still runs after {LAUNCH:g} s"
    if not (thread and access):
        return ""
    kind = next((words for mark, words in KINDS.items() if mark in report), access[1])
    line = own_line(FRAME.findall(report)) or line_of(OFFSET.findall(report), path)
    return f"{thread[1]}{line}: {kind}"


def line_of(offsets, path: Path) -> str:
    """Return ", kernel.cu:12", where instructions of a program come from, the innermost that is a kernel's."""
    command = ["addr2line", "-i", "-e", str(path), *(f"0x{x}" for x in offsets[:30])]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    frames = [frame.split()[0] for frame in run.stdout.splitlines() if ":" in frame]
    return own_line(frame.rsplit(":", 1) for frame in frames)
