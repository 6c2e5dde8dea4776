"""Tokens and positions: every one that a table has no row for is refused."""

from contextlib import contextmanager
from contextvars import ContextVar

from step01_numpy.common.support import checks

_IN_RANGE = ContextVar("in_range", default=False)


def tokens(name, x, vocab_size):
    """Refuse token ids that are no integers or lie outside the vocabulary."""
    if "int" not in checks.dtype_name(x.dtype):
        raise TypeError(f"{name} has dtype {checks.dtype_name(x.dtype)}; expected integer token ids")
    if 0 in x.shape:
        raise ValueError(f"{name} is empty: shape {tuple(x.shape)}; expected at least one token")
    if _IN_RANGE.get():
        return
    low, high = int(x.min()), int(x.max())
    if low < 0 or high >= vocab_size:
        wrong = low if low < 0 else high
        raise ValueError(
            f"{name} holds token {wrong}; the vocabulary has {vocab_size} (0 to {vocab_size - 1})"
        )


def positions(x, limit):
    """Refuse positions beyond those that a model has."""
    if not _IN_RANGE.get():
        checks.at_most("sequence length", int(x.max()) + 1, "max_positions", limit)


@contextmanager
def in_range():
    """
    Take tokens and positions as being in range: the caller has seen to it.

    To look at those of a device, the host waits for all that the device has still to do.
    """
    token = _IN_RANGE.set(True)
    try:
        yield
    finally:
        _IN_RANGE.reset(token)
