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
        The rows of a product of `engine/flash_products.py`.
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

    def buffer(self, dtype: np.dtype, *widths: int) -> np.ndarray:
        """Return memory for any tile of such widths."""
        return np.empty(max(self.area, self.rows * max(widths)), dtype)


def exp_by_exp2(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """
    Compute e^x as 2^(x · log2 e).

    The factor could go into q for nothing, but sums of terms 1.44 times as large are rounded in other places:
    now and then a row of float32 was beyond twice PyTorch's error.
    """
    np.multiply(x, _LOG2_E, out=out)
    return np.exp2(out, out=out)


_LOG2_E = float(np.log2(np.e))
_SHORT = 256  # bytes of a key: 64 numbers of float32
# With AVX-512 NumPy's exp2 is twice as fast as its exp; without, it is a scalar loop, four times as slow.
WITH_EXP, WITH_EXP2 = Plan(np.exp, keys=704), Plan(exp_by_exp2, keys=384)
IN_STRIPS = Plan(exp_by_exp2, keys=128, rows=2048, keys_backward=128, strip=64)


def plan(k: np.ndarray) -> Plan:
    """Choose by what NumPy finds in this processor, and whether a tile of keys stays in its first cache."""
    if not has_vector_exp2():
        return WITH_EXP
    return IN_STRIPS if k.shape[-1] * k.itemsize <= _SHORT else WITH_EXP2


@cache
def has_vector_exp2() -> bool:
    """Whether NumPy has AVX-512 here, or the like: the same for the whole process, and for the next."""
    loops = np.lib.introspect.opt_func_info(func_name="^exp2$", signature="float32")
    return any(not loop["current"].startswith("baseline") for loop in loops.get("exp2", {}).values())
