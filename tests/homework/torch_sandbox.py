"""A process that imports PyTorch once for a submission, and a child forked from it for each task."""

import os
import select
import shutil
import signal
import socket
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

from tests.homework import sandbox
from tests.homework.sandbox import LEVEL, NUMPY, START, USERS, Child, namespaces, program, room

MAIN = sandbox.MAIN.with_name("torch_main.py")
FORKS = hasattr(os, "pidfd_open")  # Linux; elsewhere a fork of what has loaded so much is not safe
PATIENCE = 10.0  # s for the process to answer, which does nothing but fork
MISSING = (
    "PyTorch is not installed, and tasks of stage 2 are written in it: name others by --tasks or --course"
)


def folder() -> str:
    """Return the folder in which PyTorch lies, without importing it; ValueError where there is none."""
    found = find_spec("torch")
    if found is None or found.origin is None:
        raise ValueError(MISSING)
    return str(Path(found.origin).parent.parent)


class Alone(Child):
    """A child with PyTorch, where processes cannot be forked: it imports it by itself."""

    def words(self, user: str, steps) -> list[str]:
        """Return what Python runs, and its arguments."""
        return [str(MAIN), NUMPY, folder(), user, *steps]


class Nursery:
    """
    The process that has imported PyTorch; it is started when made.

    Parameters
    ----------
    steps : iterable of str
        What is tried to keep children apart, some of LEVEL.
    """

    def __init__(self, steps=LEVEL):
        words = [str(MAIN), NUMPY, folder(), *(x for x in steps if x != "namespaces")]
        self.steps, self.room = steps, room()
        self.apart = namespaces() if "namespaces" in steps else ()
        self.says = open(Path(self.room) / "said", "w+b")  # noqa: SIM115
        self.control, theirs = socket.socketpair()
        with theirs:
            self.process = program(self.apart, words, self.room, self.says, stdin=theirs)
        self.waiting, self.children = True, 0

    def ready(self) -> None:
        """Wait until PyTorch is imported; OSError where that fails."""
        if self.waiting:
            self.control.settimeout(START)
            if self.heard() != b"ready":
                self.says.seek(0)
                said = self.says.read().decode("utf-8", "replace").strip().splitlines()
                self.end()
                raise OSError(f"no process for submissions could be started: {' '.join(said[-1:])}")
            self.control.settimeout(PATIENCE)
            self.waiting = False

    def heard(self) -> bytes:
        """Return what the process says, nothing where it has ended or is silent."""
        with suppress(OSError):
            return self.control.recv(64)
        return b""

    def fork(self, files) -> tuple[int, int]:
        """Start a child with these standard files; return its number and a handle of its process."""
        self.ready()
        with suppress(OSError):
            socket.send_fds(self.control, [str(next(USERS)).encode()], files)
        said = self.heard()
        if not said.isdigit():
            raise OSError("the process that starts children has ended")
        number = self.outside(int(said))
        return number, os.pidfd_open(number)

    def outside(self, number: int) -> int:
        """Return a child's number as this process has it, where it has another in its namespace."""
        if not self.apart:
            return number
        (own,) = children(self.process.pid)
        for child in children(own):
            status = Path(f"/proc/{child}/status").read_text("ascii", "replace")
            if status.partition("\nNSpid:")[2].split("\n")[0].split()[-1:] == [str(number)]:
                return child
        raise OSError(f"child {number} has ended")

    def sweep(self) -> bool:
        """Let what children have left be killed; tell whether the process is in order."""
        with suppress(OSError):
            self.control.send(b"sweep")
        return self.heard() == b"swept"

    def end(self) -> None:
        """End the process, and all that it has started."""
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.control.close()
        self.says.close()
        shutil.rmtree(self.room, ignore_errors=True)


def children(number: int) -> list[int]:
    """Return the numbers of a process's children."""
    return [int(x) for x in Path(f"/proc/{number}/task/{number}/children").read_text("ascii").split()]


class Fork(Child):
    """
    A child that a nursery has forked.

    Parameters
    ----------
    nursery : Nursery
    """

    def __init__(self, nursery: Nursery):
        self.nursery, self.apart, self.room = nursery, nursery.apart, nursery.room
        nursery.children += 1
        self.says = open(Path(self.room) / f"printed-{nursery.children}", "w+b")  # noqa: SIM115
        asked, ask = os.pipe()
        answer, answered = os.pipe()
        self.process = SimpleNamespace(stdin=os.fdopen(ask, "wb"), stdout=os.fdopen(answer, "rb"))
        self.late, self.holds, self.started = False, None, 0.0
        try:
            self.number, self.inner = nursery.fork([asked, answered, self.says.fileno()])
        finally:
            os.close(asked)
            os.close(answered)

    def _inner(self):
        """Return the handle of the process."""
        return self.inner

    def kill(self) -> None:
        """Kill the child and its group; `end` kills what has left that, where there is a namespace."""
        if self.inner is not None:
            with suppress(OSError):
                if not select.select([self.inner], [], [], 0)[0]:  # alive, so the number is its own
                    os.killpg(self.number, signal.SIGKILL)
                signal.pidfd_send_signal(self.inner, signal.SIGKILL)

    def end(self) -> str:
        """End the child, leave nothing of it, and return the end of what it has printed."""
        if self.says.closed:
            return ""
        self.kill()
        select.select([self.inner], [], [], 5.0)
        os.close(self.inner)
        self.inner = None
        if not self.nursery.sweep():
            self.nursery.end()
        self._drain()
        for file in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                file.close()
        self.says.seek(0)
        printed = self.says.read(2**16).decode("utf-8", "replace")
        self.says.close()
        return printed


class Children:
    """
    The children of one submission, one after the other; where one leaves no nursery, there is a new one.

    Parameters
    ----------
    steps : iterable of str
    """

    def __init__(self, steps=LEVEL):
        self.steps, _ = tuple(steps), folder()
        self.nursery: Nursery | None = Nursery(self.steps) if FORKS else None

    def __call__(self) -> Child:
        """Return a new child."""
        if self.nursery is None:
            return Alone(self.steps)
        if self.nursery.control.fileno() < 0:
            self.nursery = Nursery(self.steps)
        return Fork(self.nursery)

    def end(self) -> None:
        """End the process that forks."""
        if self.nursery is not None and self.nursery.control.fileno() >= 0:
            self.nursery.end()
