"""A sign of life from long work: how much is done, on a line that is written again where that can be."""

import sys
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
