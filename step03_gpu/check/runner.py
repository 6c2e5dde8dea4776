"""Parts of the check, one after another, each a process with a time limit: none takes the others with it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from step03_gpu.check.telling import KINDS

POLL = 0.1  # s between two looks at what a part has said
PATIENCE = 10  # s for a process that was killed to be gone
LAST_WORDS = 3  # lines of what a process that failed without a reason had printed


class Part(NamedTuple):
    """
    A part of the check.

    Attributes
    ----------
    name, title : str
        What `--part` takes, and the heading in the report.
    seconds : float
        After which it is stopped.
    target : str
        "module:function", called in its own process as (tell, **options): see `worker`.
    options : dict
        Of JSON's types.
    """

    name: str
    title: str
    seconds: float
    target: str
    options: dict = {}  # noqa: RUF012


class Outcome(NamedTuple):
    """What became of a part: its text in Markdown, what failed in it, the device's name if it said one."""

    text: str
    failed: list[str]
    card: str | None = None


class Said:
    """What a process has told so far, by kind; `new` looks for more."""

    def __init__(self, path: Path):
        self.path, self.place = path, 0
        self.lines = {kind: [] for kind in KINDS}

    def new(self) -> list[str]:
        """Return what is new of the report's text."""
        if not self.path.exists():
            return []
        found = []
        with self.path.open() as file:
            file.seek(self.place)
            while (line := file.readline()).endswith("\n"):
                self.place = file.tell()
                ((kind, text),) = json.loads(line).items()
                self.lines[kind].append(text)
                found += [text] if kind == "say" else []
        return found


def run_part(part: Part, seconds: float, show: Callable = print) -> Outcome:
    """
    Run a part, and once more without whoever lost the device for it.

    Parameters
    ----------
    part : Part
    seconds : float
        For all of it, its own limit aside.
    show : callable
        Gets the text piece by piece, as it comes.
    """
    start, texts, failed, without, card = time.monotonic(), [], [], [], None
    limit, again = min(seconds, part.seconds), True
    while again:
        left = limit - (time.monotonic() - start)
        options = part.options | ({"without": without} if without else {})
        said, ending = _process(part.target, options, left, show)
        texts, card = said.lines["say"], next(iter(said.lines["named"]), None)
        lost = [name for name in said.lines["lost"] if name not in without]
        without = without + lost
        failed += said.lines["failed"] + [
            f"{name}: the device was lost; once more without it" for name in lost
        ]
        again = bool(lost) and time.monotonic() - start < limit
    if ending and not said.lines["lost"]:
        failed.append(ending)
    lines = [f"- **failed**: {line}" for line in dict.fromkeys(failed)]
    took = f"{'passed' if not failed else '**failed**'} in {time.monotonic() - start:.0f} s"
    text = "\n\n".join([f"## {part.title}", took, *texts, *(["\n".join(lines)] if lines else [])])
    show("\n".join([took, *lines]))
    return Outcome(text, failed, card)


def _process(target, options, seconds, show) -> tuple[Said, str | None]:
    """Run a part's process to its end, or to ours; return what it said, and what was wrong with its end."""
    with tempfile.TemporaryDirectory() as folder:
        said, log = Said(Path(folder) / "said"), Path(folder) / "log"
        task = json.dumps({"target": target, "options": options})
        command = [sys.executable, "-m", "step03_gpu.check.worker", str(said.path), task]
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        deadline, code = time.monotonic() + seconds, None
        while code is None and time.monotonic() < deadline:
            time.sleep(POLL)
            code = process.poll()
            for text in said.new():
                show(text)
        ending = _stop(process, seconds, said) if code is None else _ending(code, said, log)
        for text in said.new():
            show(text)
        return said, ending


def _stop(process, seconds, said):
    """Kill a process that takes too long, with all that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    where = f", in the midst of {said.lines['at'][-1]}" if said.lines["at"] else ""
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        where += "; it could not be killed, which a GPU's driver does to processes that wait for it"
    return f"not finished within {seconds:.0f} s{where}"


def _ending(code, said, log):
    """Say what was wrong with the end of a process, or None."""
    if code == 0 or (code > 0 and (said.lines["failed"] or said.lines["lost"])):
        return None
    where = f" in the midst of {said.lines['at'][-1]}" if said.lines["at"] else ""
    if code < 0:
        name = signal.Signals(-code).name
        cause = ", which the system does where memory runs out" if name == "SIGKILL" else ""
        return f"killed by {name}{where}{cause}"
    words = " / ".join(log.read_text(errors="replace").strip().splitlines()[-LAST_WORDS:])
    return f"ended with exit code {code}{where}: {words or 'no word'}"
