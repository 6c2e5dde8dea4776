"""Signs of life from long work: how much of it is done, and that it still goes on."""

import sys
import threading
import time


class Progress:
    """
    Say how much is done.

    On a terminal one line is written again and again; elsewhere a new line now and then.

    Parameters
    ----------
    total : int
    what : str
        What is counted: "of 400 mutants".
    every : float
        Seconds between two lines where there is no terminal.
    """

    def __init__(self, total, what, every=20.0):
        self.total, self.what, self.every = total, what, every
        self.start = self.last = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def show(self, done, more=""):
        """Write the line, if it is time."""
        now = time.monotonic()
        if self.terminal or done == self.total or now - self.last > self.every:
            self.last = now
            line = f"{done:5} of {self.total} {self.what}, {now - self.start:.0f} s{more}"
            print(
                f"\r{line:78}" if self.terminal else line,
                end="" if self.terminal else "\n",
                file=sys.stderr,
                flush=True,
            )

    def clear(self):
        """Take the line away before something else is written."""
        if self.terminal:
            print(f"\r{'':78}\r", end="", file=sys.stderr, flush=True)


class Heartbeat:
    """
    A plugin of pytest that speaks when pytest is silent: while its workers collect, and behind the last dot.

    Parameters
    ----------
    reporter
        pytest's own, which writes the dots.
    every : float
        Seconds of silence.
    """

    def __init__(self, reporter, every=10.0):
        self.reporter, self.every, self.total, self.done = reporter, every, 0, 0
        self.start = self.last = time.monotonic()
        self.finished = threading.Event()
        self.thread = threading.Thread(target=self.beat, daemon=True)

    def pytest_sessionstart(self):
        self.thread.start()

    def pytest_xdist_node_collection_finished(self, ids):
        self.total = len(ids)

    def pytest_runtest_logreport(self, report):
        self.done += report.when == "teardown"
        self.last = time.monotonic()

    def pytest_sessionfinish(self):
        self.finished.set()
        self.thread.join()

    def beat(self):
        """Write a line after each silence, until the session is over."""
        while not self.finished.wait(self.every / 10):
            now = time.monotonic()
            if now - self.last >= self.every:
                self.last = now
                what = (
                    f"{self.done} of {self.total} tests are done" if self.total else "the tests are collected"
                )
                self.reporter.ensure_newline()
                self.reporter.write_line(f"{now - self.start:.0f} s: {what}")
