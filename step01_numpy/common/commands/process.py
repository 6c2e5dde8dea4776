"""What surrounds a command: the signals that end it, and its standard streams in whatever state they are."""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator

from step01_numpy.common.support.interrupt import INTERRUPTED, OURS, end

TERMINATED = 128 + signal.SIGTERM


class Output(io.FileIO):
    """Standard output, which says that it is at fault where it cannot be written."""

    failed = closed_before = False

    def write(self, data) -> int:
        """Write, or raise an OSError with the stream's name."""
        try:
            return io.FileIO.write(self, data)
        except OSError as error:
            self.failed = True
            raise OSError(error.errno, error.strerror, "standard output") from error


class Aside(io.FileIO):
    """Standard error: what is told beside the result, and lost where nobody listens. Work goes on."""

    def write(self, data) -> int:
        """Write, if that is possible."""
        with contextlib.suppress(OSError):
            return io.FileIO.write(self, data)
        return len(data)


class Terminated(KeyboardInterrupt):
    """SIGTERM came: as Ctrl-C, so that nothing stays half written, but with an exit code of its own."""


def open_streams() -> None:
    """
    Take the standard streams in hand, and write UTF-8 whatever the locale says.

    In place of a closed one stands a stream that fails when it is used: else its number would go to the next
    file that is opened, and whatever writes to the number would write into that file.
    """
    if sys.stdin is None:
        number = os.open(os.devnull, os.O_WRONLY)
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(number, closefd=False)))
    if sys.stdout is None:
        raw = Output(os.open(os.devnull, os.O_RDONLY), "w", closefd=False)
        raw.closed_before = True
        sys.stdout = _writer(io.BufferedWriter(raw))
    elif _is_file(sys.stdout, sys.__stdout__):
        sys.stdout.flush()
        sys.stdout = _writer(io.BufferedWriter(Output(sys.stdout.fileno(), "w", closefd=False)))
    if sys.stderr is None:
        sys.stderr = _writer(Aside(os.open(os.devnull, os.O_RDWR), "w", closefd=False), write_through=True)
    elif _is_file(sys.stderr, sys.__stderr__):
        sys.stderr = _writer(Aside(sys.stderr.fileno(), "w", closefd=False), write_through=True)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _is_file(stream, original):
    """Tell the stream that Python opened from what stands in its place, and from a console of Windows."""
    return stream is original and isinstance(getattr(stream.buffer, "raw", stream.buffer), io.FileIO)


def _writer(buffer, **options):
    return io.TextIOWrapper(buffer, encoding="utf-8", line_buffering=buffer.isatty(), **options)


def has_output() -> bool:
    """Tell whether there is a standard output: the caller may have closed it."""
    return not getattr(_raw_output(), "closed_before", False)


def _raw_output():
    return getattr(getattr(sys.stdout, "buffer", None), "raw", None)


def flush() -> None:
    """Write what was printed; an OSError if not all of it could be, now or before."""
    sys.stdout.flush()
    if getattr(_raw_output(), "failed", False):  # which argparse keeps to itself
        raise OSError("standard output could not be written")


def forget_output() -> None:
    """Flush what can be; if it cannot, Python shall not try again at its end, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):  # of a stream that is no file of the system
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM raise while a command is at work; before and after they just end the process."""
    changed = {}
    if OURS and signal.getsignal(signal.SIGINT) is end:
        changed[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    if OURS and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        changed[signal.SIGTERM] = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)


def code_of(stop: KeyboardInterrupt) -> int:
    """Return the exit code of a process that was stopped so."""
    return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


def _terminate(*_):
    raise Terminated
