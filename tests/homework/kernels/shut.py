"""A process that shuts itself in, and becomes a program: a compiler, or what that made of a kernel."""

import json
import os
from pathlib import Path

from tests.homework.sandbox import LEVEL, Child

NATIVE = Path(__file__).parent.parent / "child" / "native.py"


class Shut(Child):
    """
    A process that shuts itself in and becomes a program.

    Parameters
    ----------
    fill : callable
        From the process's room to the command; puts there what that needs.
    limits : dict
        Those that are not a submission's usual ones; None for none.
    environment : dict
        Of the program.
    steps : iterable of str
        What is tried to keep it apart.
    """

    def __init__(self, fill, limits: dict, environment: dict, steps=LEVEL):
        self.fill, self.settings = fill, {"limits": limits, "environment": environment}
        super().__init__(steps)

    def words(self, user: str, steps) -> list[str]:
        """Return what Python runs; what is written to belongs to the process's user."""
        command = self.fill(Path(self.room))
        made = Path(self.room) / "made"
        if made.is_dir() and "another user" in steps and os.geteuid() == 0:
            os.chown(made, int(user), -1)
        return [str(NATIVE), user, self.room, json.dumps(self.settings), *steps, "--", *map(str, command)]
