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
        The same as `keys` for the backward, which has two tiles in hand, of the transposed scores.
    strip : int
        The rows of a product, `engine/flash_products.py`.
    area : int
        The scores of a tile where rows are few: it is wider then, since each of NumPy's calls takes its time.
    """

    exp: Callable
    keys: int
    rows: int = 1024
    edge: int = 128
    keys_backward: int = 192
    strip: int = 1 << 30
    area: int = 1 << 16

    def width(self, keys: int, n_rows: int) -> int:
        """Return the width of a tile of so many rows, which is `keys` where they are many."""
        return max(keys, self.area // n_rows)

    def n_scores(self, keys: int, *depths: int) -> int:
        """Return how much a buffer must hold for any tile and its products with matrices of such depths."""
        return max(self.area, self.rows * max(keys, *depths))


def exp_by_exp2(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """
    Compute e^x as 2^(x · log2 e).

    The factor could go into q for nothing, but sums of terms 1.44 times as large are rounded in other places:
    now and then a row of float32 was beyond twice PyTorch's error.
    """
    np.multiply(x, _LOG2_E, out=out)
    return np.exp2(out, out=out)


_LOG2_E = float(np.log2(np.e))
# With AVX-512 NumPy's exp2 is twice as fast as its exp; without, it is a scalar loop, four times as slow.
WITH_EXP2 = Plan(exp_by_exp2, keys=128, rows=2048, keys_backward=128, strip=64)
WITH_EXP = Plan(np.exp, keys=704)


@cache
def plan() -> Plan:
    """Choose by what NumPy found in this processor: the same for the whole process, and for the next."""
    loops = np.lib.introspect.opt_func_info(func_name="^exp2$", signature="float32")
    vector = any(not loop["current"].startswith("baseline") for loop in loops.get("exp2", {}).values())
    return WITH_EXP2 if vector else WITH_EXP
