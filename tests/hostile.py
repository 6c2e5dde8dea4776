"""What a user or a damaged file may hand to a program, and how to put it where something else belongs."""

import copy
import json
import os

DEEP = object()  # stands for JSON that is nested too deeply to be read
VALUES = [None, True, "", "x", "1", -1, 0, 1.5, 1e-320, float("nan"), float("inf"), 2**31, 2**63, 10**400]
VALUES += [[], {}, [1], [[]], ["x"], [None], {"x": 1}, "\0", "é" * 70, DEEP]
NUMBERS = ["", " ", "0", "-1", "1.5", "x", "nan", "inf", "-inf", "1e400", "9" * 400, "9" * 5000, "²", "\0"]
NUMBERS += ["1_0", "0x10", "é", "\udce9", "9223372036854775808", "١"]
NAMES = [
    "",
    "\0",
    "a\0b",
    ".",
    "/",
    "/dev/null",
    "/dev/full",
    "no/such",
    "\udce9",
    "x" * 5000,
    "a\nb",
    "~",
    "%s",
]
TEXTS = [
    "",
    " ",
    "\n",
    "\r",
    "\0",
    "\udce9",
    "\ud800",
    "\ufeff",
    "é",
    "e\u0301",
    "\u2028",
    "🙂",
    "a\tb",
    "{",
    "%",
]
TEXTS += ["<eos>", "<pad>", "[MASK]", "▁", ">>fra<<", "house " * 60, "x" * 3000, "\u0301" * 50, "\u202e", "'"]


def places(document, before=()):
    """Yield the way to each value in a JSON document, the whole of it first."""
    yield before
    inside = document.items() if isinstance(document, dict) else ()
    inside = enumerate(document[:2]) if isinstance(document, list) else inside
    for name, value in inside:
        yield from places(value, (*before, name))


def replaced(document, place, value):
    """Return the text of a JSON document with another value at a place."""
    document, value = copy.deepcopy({"": document}), "DEEP" if value is DEEP else value
    *way, last = "", *place
    inner = document
    for name in way:
        inner = inner[name]
    inner[last] = value
    return json.dumps(document[""]).replace('"DEEP"', "[" * 100_000 + "]" * 100_000)


def files(directory):
    """Make what is there but is no file to read or to write; return the paths."""
    (directory / "folder").mkdir()
    for name, target in (("loop", "loop"), ("nowhere", "none"), ("other", "ring"), ("ring", "other")):
        os.symlink(target, directory / name)
    (directory / "empty").write_bytes(b"")
    (directory / "bytes").write_bytes(bytes(range(256)) * 8)
    inside = str(directory / "empty" / "x")
    return [*(str(directory / x) for x in ("folder", "loop", "nowhere", "other", "empty", "bytes")), inside]
