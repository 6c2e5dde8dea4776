"""What a program that ended has printed, as the emulator says it: the thread, the line, and what it did."""

import re
import subprocess
from pathlib import Path

from step03_gpu.emulator.program import FRAME, KINDS, own_line

THREAD = re.compile(r"^THREAD (.*)$", re.MULTILINE)
LATE = re.compile(r"^LATE \(program\+0x([0-9a-f]+)\)$", re.MULTILINE)
ACCESS = re.compile(r"^ACCESS (.*)$", re.MULTILINE)
OFFSET = re.compile(r"^ +#\d+ 0x\w+ +\(.*/program\+0x([0-9a-f]+)\)", re.MULTILINE)


def last_words(report: str, path: Path, seconds: float, regions=()) -> str:
    """
    Return the emulator's message of what ended a program; empty where there is none.

    Parameters
    ----------
    report : str
        What it printed.
    path : Path
        Of the program.
    seconds : float
        After which a launch is stopped.
    regions : dict
        By the file's name, a student's regions by theirs: a line within them is named rather than another.
    """
    thread, access, late = (x.search(report) for x in (THREAD, ACCESS, LATE))
    if thread and late:
        line = nearest(frames_of([late[1]], path), regions)
        return f"{thread[1]}{line}: still runs after {seconds:g} s of the processor"
    if not (thread and access):
        return ""
    kind = next((words for mark, words in KINDS.items() if mark in report), access[1])
    frames = FRAME.findall(report) or frames_of(OFFSET.findall(report), path)
    return f"{thread[1]}{nearest(frames, regions)}: {kind}"


def nearest(frames, regions) -> str:
    """Return ", kernel.cu:12" for the innermost (file, line) that a student wrote, or is a kernel's."""
    for file, line in frames:
        name = Path(file).name
        for region in regions[name].values() if name in regions else ():
            if region.line <= int(line) < region.end:
                return f", {name}:{line}"
    return own_line(frames)


def frames_of(offsets, path: Path) -> list[tuple[str, str]]:
    """Return where instructions of a program come from, (file, line), those that were put in included."""
    command = ["addr2line", "-i", "-e", str(path), *(f"0x{x}" for x in offsets[:30])]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = [frame.split()[0].rsplit(":", 1) for frame in run.stdout.splitlines() if ":" in frame]
    return [(file, line) for file, line in found if line.isdigit()]
