"""A compiled kernel in this process: loaded, run, and stopped where it faults or does not end."""

import contextlib
import ctypes
import shutil
import subprocess
import tempfile
from _signal import SIGINT, SIGURG, default_int_handler, getsignal  # `signal` makes an enum of each: 3 µs
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread

from step03_gpu.emulator.compiler import EmulatorError
from step03_gpu.emulator.launches import Launch
from step03_gpu.emulator.program import late, own_line

_ONE_AT_A_TIME = Lock()  # a library's threads, blocks and shared memory are its global variables
_STACKS = ctypes.c_void_p()  # of the threads of all of them, made by the first launch
AGAIN = 0.02  # s after which a kernel that has not stopped is told once more


@cache
def load(path: Path) -> ctypes.CDLL:
    """
    Load a compiled kernel, once.

    A copy is loaded that no name leads to: what becomes of the file does not change what runs.

    Raises
    ------
    EmulatorError
        Where the system does not load it.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="loading-") as folder:
        copy = shutil.copy(path, folder)
        try:
            library = ctypes.CDLL(copy)
        except OSError as error:
            raise EmulatorError(
                f"the compiled kernel cannot be loaded ({error}); name a folder from which programs may run "
                "in ATTENTION_STEP_BY_STEP_CACHE"
            ) from error
    library.emulator_launch.restype = ctypes.c_char_p
    if hasattr(library, "emulator_counts"):
        library.emulator_counts.restype = ctypes.c_char_p
    return library


def run_library(path: Path, index: int, launch: Launch, timeout: float | None) -> str:
    """
    Run a kernel here.

    Returns
    -------
    counts : str
        Of a library that counts: a line each, name and number. Else empty.

    Raises
    ------
    EmulatorError
        For a fault, naming the thread and the line; and where it still runs after `timeout` seconds.
    KeyboardInterrupt
        Where Ctrl-C stopped it.
    """
    library = load(path)
    # A program with a handler of its own for Ctrl-C may want the kernel to end: the second time stops it.
    launch.interrupts = 1 if getsignal(SIGINT) is default_int_handler else 2
    watchdog = _watchdog(library.emulator_stop, timeout) if timeout else contextlib.nullcontext()
    with _ONE_AT_A_TIME, watchdog:
        launch.stacks = _STACKS.value
        message = library.emulator_launch(index, ctypes.byref(launch))
        _STACKS.value = launch.stacks
        message = message and message.decode()
        counts = library.emulator_counts().decode() if hasattr(library, "emulator_counts") else ""
    if not launch.signal:
        if message:
            raise EmulatorError(message)
        return counts
    who, what = message.split("\n")
    who += _line(path, launch.stopped_at)
    if launch.interrupts <= 0:
        raise KeyboardInterrupt(f"{who}: {what}")
    if launch.signal == SIGURG:
        raise EmulatorError(f"{who}: {late(timeout)}")
    raise EmulatorError(f"{who}: {what}; run with checked=True to have every access watched")


@contextlib.contextmanager
def _watchdog(stop, seconds):
    """Stop a launch after some seconds, again and again: it may just be beginning."""
    ended = Event()

    def watch():
        patience = seconds
        while not ended.wait(patience):
            stop()
            patience = AGAIN

    watching = Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()


def _line(path, offset):
    """Return ", kernel.cu:12", where an instruction of the file comes from, if that can be found out."""
    tool = shutil.which("addr2line")
    if not (offset and tool):
        return ""
    command = [tool, "-i", "-e", path, hex(offset)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    frames = [frame.split()[0] for frame in run.stdout.splitlines() if ":" in frame]
    return own_line(frame.rsplit(":", 1) for frame in frames)
