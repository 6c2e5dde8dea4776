"""What this processor does well: the exponential NumPy has a vector loop for, and tiles to go with it."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np


class Plan(NamedTuple):
    """
    How flash attention goes to work.

    Parameters
    ----------
    exp : callable
        The exponential for scores that are bounded, `exp(x, out=)`.
    keys, rows : int
        Size of a tile: it stays in a cache.
    edge : int
        The keys of a tile at the edge of a band, at most as many: only the rows that see one are computed.
    keys_backward : int
        The same as `keys` for the backward, which has two tiles in hand.
    """

    exp: Callable
    keys: int
    rows: int = 1024
    edge: int = 128
    keys_backward: int = 192


def exp_by_exp2(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """
    Compute e^x as 2^(x · log2 e).

    The factor could go into q for nothing, but then every product q_i k_i would carry q_i's rounding: now and
    then a row of float32 was beyond twice PyTorch's error.
    """
    np.multiply(x, _LOG2_E, out=out)
    return np.exp2(out, out=out)


_LOG2_E = float(np.log2(np.e))
# With AVX-512 NumPy's exp2 is twice as fast as its exp; without, it is a scalar loop, four times as slow.
WITH_EXP2, WITH_EXP = Plan(exp_by_exp2, keys=384), Plan(np.exp, keys=704)


@cache
def plan() -> Plan:
    """Choose by what NumPy found in this processor: the same for the whole process, and for the next."""
    loops = np.lib.introspect.opt_func_info(func_name="^exp2$", signature="float32")
    vector = any(not loop["current"].startswith("baseline") for loop in loops.get("exp2", {}).values())
    return WITH_EXP2 if vector else WITH_EXP
