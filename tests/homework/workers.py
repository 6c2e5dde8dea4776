"""Processes that grade side by side: a submission that ends or hangs one costs its own grade alone."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import wait

from tests.homework.formats import as_json
from tests.homework.submissions import Submission, gathered

START = 120.0  # seconds for a process to start, on a busy machine
READY = b"ready"
SPAWN = get_context("spawn")  # a fork would copy the threads of whatever is loaded


class Worker:
    """A process that grades one submission after another, and what it is at."""

    def __init__(self, grade: Callable):
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=serve, args=(theirs, grade), daemon=False)
        self.process.start()
        theirs.close()
        self.at, self.since, self.started = None, 0.0, False

    def take(self, one: Submission) -> None:
        """Begin with a submission."""
        self.at, self.since = one, time.monotonic() + (0 if self.started else START)
        self.pipe.send(one)

    def outcome(self) -> dict | None:
        """Return what came of the submission, or None where the process only says that it is ready."""
        try:
            said = self.pipe.recv_bytes()
            if said != READY:
                return json.loads(said)
            self.started, self.since = True, time.monotonic()
            return None
        except (EOFError, OSError):
            self.process.join()
            return failed(f"the grader ended with {self.process.exitcode}")

    def end(self) -> None:
        """Kill the process, and what it has started."""
        if self.process.is_alive():
            if hasattr(os, "killpg") and os.getpgid(self.process.pid) == self.process.pid:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
        self.process.join()
        self.pipe.close()


def serve(pipe, grade: Callable) -> None:
    """Grade what comes through a pipe, until it is closed."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # a key pressed in the terminal is the parent's business
    pipe.send_bytes(READY)
    while True:
        try:
            one = pipe.recv()
        except EOFError:
            return
        pipe.send_bytes(json.dumps(graded(one, grade)).encode())


def graded(one: Submission, grade: Callable) -> dict:
    """Return what comes of a submission: its result, or what went wrong in the grader."""
    try:
        with gathered(one) as path:
            return {"outcome": "graded", "error": "", "result": as_json(grade(path))}
    except Exception as error:
        return failed(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def failed(why: str) -> dict:
    """Return the outcome of a submission that got no grade."""
    return {"outcome": "not graded", "error": why, "result": None}


def outcomes(
    todo: Iterable[Submission], grade: Callable, *, jobs: int, limit: float
) -> Iterator[tuple[Submission, dict]]:
    """
    Yield what comes of each submission, as it is known.

    Parameters
    ----------
    todo : iterable of Submission
    grade : callable
        From a path to a `Result`; a function of a module, so that another process finds it.
    jobs : int
        Processes side by side.
    limit : float
        Seconds after which a submission is given up; the grader's own deadlines come first.
    """
    todo, busy, idle = iter(todo), [], []
    try:
        while True:
            while len(busy) < jobs and (one := next(todo, None)) is not None:
                worker = idle.pop() if idle else Worker(grade)
                busy.append(worker)
                worker.take(one)
            if not busy:
                return
            ready = wait([x.pipe for x in busy], timeout=0.5)
            for worker in [x for x in busy if x.pipe in ready or time.monotonic() - x.since > limit]:
                late = worker.pipe not in ready
                found = failed(f"it took longer than {limit:g} s") if late else worker.outcome()
                if found is None:
                    continue
                busy.remove(worker)
                if late or not worker.process.is_alive():
                    worker.end()
                else:
                    idle.append(worker)
                yield worker.at, found
    finally:
        for worker in [*busy, *idle]:
            worker.end()
