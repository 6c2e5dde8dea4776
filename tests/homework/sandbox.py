"""A child process for a submission: started apart, asked with a deadline, killed with all that it started."""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from subprocess import PIPE
from threading import Timer

import numpy as np

from tests.homework.child import wire

MAIN = Path(__file__).parent / "child" / "main.py"
NUMPY = str(Path(np.__file__).parent.parent)
ALONE = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # threads
ALONE["CUDA_VISIBLE_DEVICES"] = ""  # a task is asked of the processor alone
START = 60.0  # s for Python and NumPy to start, on a busy machine
LEVEL = ("namespaces", "another user", "limits", "Landlock")
FIRST_USER = 2**30 + os.getpid() % 2**14 * 2**16  # far above any account's number
USERS = count(FIRST_USER)
APART = ("--net", "--pid", "--ipc", "--mount", "--fork", "--kill-child")


class Ended(Exception):
    """The child is no more; `reason` is "deadline", "ended" or "frame"."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@cache
def namespaces() -> tuple[str, ...]:
    """Return the command that gives a process namespaces of its own; nothing where that is not allowed."""
    program = shutil.which("unshare") if sys.platform == "linux" else None
    if program is None:
        return ()
    user = () if os.geteuid() == 0 else ("--user", "--map-current-user")
    command = (program, *user, *APART)
    tried = subprocess.run([*command, sys.executable, "-I", "-S", "-c", ""], capture_output=True, check=False)
    return command if tried.returncode == 0 else ()


def room() -> str:
    """Make a folder for a child: what it prints lies in it, and the empty folder where it works."""
    made = tempfile.mkdtemp(prefix="homework-")
    work = Path(made) / "empty"
    work.mkdir()
    work.chmod(0o555)
    Path(made).chmod(0o711)
    return made


def program(apart, words, room: str, says, **pipes) -> subprocess.Popen:
    """Start a Python that knows nothing of what surrounds it: `words` are a file and its arguments."""
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8", **ALONE}
    if sys.platform == "win32":
        environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    command = [*apart, sys.executable, "-I", "-S", "-B", "-X", "utf8", *words]
    work = Path(room) / "empty"
    return subprocess.Popen(command, stderr=says, cwd=work, env=environment, start_new_session=True, **pipes)


class Child:
    """
    A process without the reference; it is started when made, and `ask` waits until it is ready.

    Parameters
    ----------
    steps : iterable of str
        What is tried to keep it apart, some of LEVEL.
    """

    def __init__(self, steps=LEVEL):
        self.room = room()
        self.apart = namespaces() if "namespaces" in steps else ()
        self.says = open(Path(self.room) / "printed", "w+b")  # noqa: SIM115
        self.process = self.begin(steps)
        self.late = False
        self.inner = None
        self.holds: list[str] | None = None
        self.started = 0.0  # s that it took

    def begin(self, steps) -> subprocess.Popen:
        """Start the process."""
        words = self.words(str(next(USERS)), steps)
        return program(self.apart, words, self.room, self.says, stdin=PIPE, stdout=PIPE)

    def words(self, user: str, steps) -> list[str]:
        """Return what Python runs, and its arguments."""
        return [str(MAIN), NUMPY, user, *steps]

    def ready(self) -> list[str]:
        """Wait until the child has shut itself in; return what holds. OSError where it does not start."""
        if self.holds is None:
            try:
                said = self._within(START, lambda: wire.read(self.process.stdout))
            except Ended:
                words = self.end().strip().splitlines()
                raise OSError(
                    f"no process for submissions could be started: {' '.join(words[-1:])}"
                ) from None
            self.holds = [*(["namespaces"] if self.apart else []), *said["holds"]]
            self.inner, self.started = self._inner(), min(said["seconds"], START)
        return self.holds

    def ask(self, message: dict, seconds: float, serve=None) -> dict:
        """
        Send a message and return what the child answers.

        Parameters
        ----------
        message : dict
        seconds : float
            The deadline, for the whole exchange.
        serve : callable, optional
            Answers the child's calls of other tasks, from a message to a message.

        Raises
        ------
        Ended
            When the deadline has passed, the child has ended, or has said what it may not; it is killed then.
        """
        return self._within(seconds, lambda: self._exchange(message, serve))

    def _exchange(self, message, serve):
        while True:
            wire.write(self.process.stdin, message)
            said = wire.read(self.process.stdout)
            if said["kind"] != "call" or serve is None:
                return said
            message = serve(said)

    def _within(self, seconds, action):
        timer = Timer(seconds, self._too_late)
        timer.daemon = True
        timer.start()
        try:
            return action()
        except (EOFError, OSError, ValueError):
            self.kill()
            raise Ended("deadline" if self.late else "ended") from None
        except wire.WireError:
            self.kill()
            raise Ended("deadline" if self.late else "frame") from None
        finally:
            timer.cancel()

    def _inner(self):
        """Return a handle of the process within the namespaces, which could leave its group."""
        if not self.apart:
            return None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii")
        return os.pidfd_open(int(children.split()[0]))

    def _too_late(self):
        self.late = True
        self.kill()

    def kill(self) -> None:
        """Kill the child and all that it has started."""
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        if self.inner is not None:
            with suppress(OSError):
                signal.pidfd_send_signal(self.inner, signal.SIGKILL)

    def _drain(self):
        """Wait until nobody holds the other end of the pipe: then all have ended."""
        if hasattr(os, "killpg"):
            with suppress(OSError, ValueError):
                pipe = self.process.stdout.fileno()
                while select.select([pipe], [], [], 5.0)[0] and os.read(pipe, 2**16):
                    pass

    def end(self) -> str:
        """End the child, leave nothing of it, and return the end of what it has printed."""
        if self.says.closed:
            return ""
        self.kill()
        self.process.wait()
        self._drain()
        if self.inner is not None:
            select.select([self.inner], [], [], 5.0)  # readable once it has ended, whatever it has closed
            os.close(self.inner)
            self.inner = None
        for file in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                file.close()
        self.says.seek(0)
        printed = self.says.read(2**16).decode("utf-8", "replace")
        self.says.close()
        shutil.rmtree(self.room, ignore_errors=True)
        return printed


def in_words(holds: list[str]) -> str:
    """Say in a sentence what keeps a submission apart, and what hostile code could do all the same."""
    apart = {"Landlock", "another user"} & set(holds)
    files = (
        [] if "Landlock" in holds else ["read what everybody may" if apart else "read and write your files"]
    )
    could = [
        *([] if apart else ["reach the grader's memory"]),
        *files,
        *([] if "namespaces" in holds else ["use the network"]),
        *([] if "limits" in holds else ["use up the machine's memory"]),
    ]
    rest = f"; hostile code could {', '.join(could)}" if could else ""
    return "; ".join(["a process without the reference", *([", ".join(holds)] if holds else [])]) + rest
