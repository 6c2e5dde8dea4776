"""
The child: shut in, put a student's functions into the starter, answer the grader's cases with arrays.

Started as `python -I -S -X utf8 main.py FOLDER USER STEP …`: where NumPy lies, and what `confine` takes.
Frames go through what were standard input and output; what a student prints goes elsewhere. No message says
anything about points.
"""

# ruff: noqa: E402  (what is beside this file can be imported once the path is set)

import os
import sys
import time

BEGUN = time.monotonic()

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # last: nothing here hides the standard library

import standins

standins.install(sys.argv[1])

import wire
from confine import NUMPY, confine
from loading import Starter
from splice import Unfit

PRINTED = 2**15  # characters


class Voice:
    """What a student prints, up to a limit; the rest is lost, and no error."""

    def __init__(self, file):
        self.file, self.left = file, PRINTED

    def write(self, text):
        """Keep what there is room for."""
        text = str(text)
        self.file.write(text[: self.left])
        self.left = max(0, self.left - len(text))
        return len(text)

    def __getattr__(self, name):
        return getattr(self.file, name)


def channel():
    """Return the two files of frames, and leave nothing of them where a student's code prints or reads."""
    asked, answered = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    out = open(1, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)  # noqa: SIM115
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stderr = Voice(out)
    return asked, answered


def main(folder, user, steps, kind=Starter, packages=NUMPY, begun=BEGUN):
    """Shut this process in, and answer until the grader asks no more; `kind` says how a case is answered."""
    asked, answered = channel()
    holds = confine(folder, user, steps, packages)
    wire.write(answered, {"kind": "ready", "holds": holds, "seconds": time.monotonic() - begun})

    def ask(message):
        wire.write(answered, message)
        return wire.read(asked, trusted=True)

    starter = kind(ask)
    message = wire.read(asked, trusted=True)
    del message["kind"]
    try:
        reply = {"kind": "loaded", "notes": starter.load(**message)[:20]}
    except Unfit as error:
        reply = {"kind": "unfit", "text": str(error)[:500]}
    except BaseException as error:
        reply = {"kind": "unfit", "text": starter.import_failed(error)}
    while True:
        try:
            frame = wire.encode(reply)
        except BaseException as error:
            frame = wire.encode(starter.failure(reply["case"], error))
        answered.write(frame)
        answered.flush()
        try:
            reply = starter.answer(**wire.read(asked, trusted=True))
        except EOFError:
            return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
