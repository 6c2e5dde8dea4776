"""What this processor does well: which exponential NumPy has a vector loop for, and tiles that go with it."""

from collections.abc import Callable
from functools import cache
from math import log2
from typing import NamedTuple

import numpy as np


class Plan(NamedTuple):
    """
    How flash attention goes to work.

    Parameters
    ----------
    exp : callable
        The exponential for scores that are bounded.
    unit : float
        What such scores, in nats, are multiplied by for it.
    rows, keys : int
        Size of a tile: it stays in a core's cache.
    rows_of_band : int
        The rows where `causal` or a window leave a band of visible keys: at its edge fewer rows waste less.
    edge : int or None
        Width of the tiles at the edge of a band, of which only the rows that see a key are computed. None:
        the edge is in tiles as all others.
    rows_backward, keys_backward : int
        The same for the backward, which has two tiles in hand.
    """

    exp: Callable
    unit: float
    rows: int
    keys: int
    rows_of_band: int
    edge: int | None
    rows_backward: int
    keys_backward: int


# With AVX-512 NumPy's exp2 is twice as fast as its exp; without, it is a scalar loop, four times as slow.
WITH_EXP2 = Plan(np.exp2, log2(np.e), 512, 704, 192, None, 256, 352)
WITH_EXP = Plan(np.exp, 1.0, 512, 704, 512, 128, 1024, 256)


@cache
def plan() -> Plan:
    """Choose by what NumPy found in this processor: the same for the whole process, and for the next."""
    loops = np.lib.introspect.opt_func_info(func_name="^exp2$", signature="float32")
    vector = any(not loop["current"].startswith("baseline") for loop in loops.get("exp2", {}).values())
    return WITH_EXP2 if vector else WITH_EXP
