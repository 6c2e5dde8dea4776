"""One process with PyTorch for all tests, where each submission would have its own."""

from contextlib import contextmanager
from unittest.mock import patch

from tests.homework import torch_sandbox


class Shared(torch_sandbox.Children):
    """Children of one process, whichever submission they are for."""

    def end(self) -> None:
        """Leave the process to the next submission."""


@contextmanager
def one_process():
    """Let all submissions that are graded meanwhile have their children from one process a level."""
    kept: dict = {}

    def children(steps):
        if tuple(steps) not in kept:
            kept[tuple(steps)] = Shared(steps)
        return kept[tuple(steps)]

    with patch.object(torch_sandbox, "Children", children):
        yield
    for shared in kept.values():
        super(Shared, shared).end()
