"""How a part of the check tells what it finds: line by line into a file, which outlives the process."""

import json
from pathlib import Path

KINDS = ("say", "failed", "at", "lost", "named")


class Lost(Exception):
    """The device answers no more since somebody ran on it, whose name is the message: an error that stays."""


class Tell:
    """
    What a part says, each time a line of its file.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path):
        self.path = Path(path)

    def say(self, text: str) -> None:
        """Add to the report, in Markdown."""
        self._add("say", text)

    def failed(self, reason: str) -> None:
        """Say in one line what is wrong; the part goes on, and has failed."""
        self._add("failed", reason)

    def at(self, what: str) -> None:
        """Say what begins now: where the part stops in the midst of it, the report says where that was."""
        self._add("at", what)

    def named(self, card: str) -> None:
        """Name the device."""
        self._add("named", card)

    def lost(self, name: str) -> None:
        """Say who has left the device in a state in which nobody else can use it."""
        self._add("lost", name)

    def _add(self, kind, text):
        with self.path.open("a") as file:
            file.write(json.dumps({kind: text}) + "\n")


def reason(error: BaseException) -> str:
    """Tell an error in one line."""
    said = str(error).strip().splitlines()
    memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    kind = "out of memory" if memory else type(error).__name__
    return f"{kind}: {said[0]}" if said else kind
