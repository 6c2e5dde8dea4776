"""A checked kernel: a process of its own, watched by AddressSanitizer; its arrays travel through files."""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from step03_gpu.emulator.compiler import INCLUDE, EmulatorError
from step03_gpu.emulator.launches import Launch
from step03_gpu.emulator.tensor_map import TensorMap

FRAME = re.compile(r"^ +#\d+ 0x\w+ in .* (\S+?):(\d+)(?::\d+)?$", re.MULTILINE)
KINDS = {  # of faults that are no access outside, and what stops.cuh says of them
    "AddressSanitizer: FPE": "divides an integer by zero, or the smallest one by -1",
    "AddressSanitizer: ABRT": "calls abort, as a failed assert does",
    "AddressSanitizer: stack-overflow": "has a stack of 256 KiB, and needs more: recursion without end, "
    "or large local arrays",
    "address points to the zero page": "uses the null pointer",
}


def run_program(path: Path, kernel: str, index: int, launch: Launch, arrays: tuple, timeout: float | None):
    """
    Run a checked kernel.

    Raises
    ------
    EmulatorError
        For the first access outside of what belongs to the kernel, and as otherwise.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, results = Path(folder) / "given", Path(folder) / "results"
        with given.open("wb") as file:
            file.write(ctypes.c_long(index))
            file.write(launch)
            for x, a in zip(arrays, launch.arguments[: launch.n_arguments], strict=True):
                file.write(a)
                file.write(b"" if x is None else x.tobytes())
                file.write(x.array.tobytes() if isinstance(x, TensorMap) else b"")
        _run((path, given, results, str(os.getpid())), kernel, timeout)
        with results.open("rb") as file:
            for x in arrays:
                if x is not None and x.ndim and x.flags.writeable:
                    x.reshape(-1).view(np.uint8)[:] = np.frombuffer(file.read(x.nbytes), np.uint8)


def _run(command, kernel, timeout):
    options = "detect_leaks=0:redzone=2048:max_redzone=2048:detect_stack_use_after_return=0:handle_abort=1"
    environment = _symbolizer() | os.environ | {"ASAN_OPTIONS": options}
    try:
        run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    except OSError as error:
        raise EmulatorError(f"{kernel}: the compiled program cannot be run ({error})") from error
    with run:
        try:
            _, report = run.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise EmulatorError(f"{kernel}: {late(timeout)}") from None
        finally:
            run.kill()  # when it is late, or Ctrl-C came; else it has ended
            run.wait()
    if run.returncode:
        raise EmulatorError(_message(report.decode(errors="replace")) or f"{kernel}: was stopped")


def late(seconds: float) -> str:
    """Say that a kernel took longer than it may."""
    return f"still runs after timeout={seconds:g} s"


def _symbolizer():
    """Name the program that turns addresses into lines: clang's AddressSanitizer cannot do without."""
    found = shutil.which("llvm-symbolizer") or shutil.which("addr2line")
    return {"ASAN_SYMBOLIZER_PATH": found} if found else {}


def _message(report):
    """Return one line that names thread, source line and access, out of AddressSanitizer's report."""
    thread, access = (re.search(f"^{word} (.*)$", report, re.MULTILINE) for word in ("THREAD", "ACCESS"))
    if not (thread and access):
        return report.strip()
    kind = next((words for mark, words in KINDS.items() if mark in report), access[1])
    return f"{thread[1]}{own_line(FRAME.findall(report))}: {kind}"


def own_line(frames) -> str:
    """Return ", kernel.cu:12" for the innermost of some (file, line) that is the kernel's, or nothing."""
    emulators = {header.name for header in INCLUDE.iterdir()}
    for file, line in frames:
        if Path(file).name not in emulators and Path(file).suffix in (".cu", ".cuh"):
            return f", {Path(file).name}:{line}"
    return ""
