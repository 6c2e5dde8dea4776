"""
Attention's options as Python's own numbers, whatever kind of number a caller gives.

NumPy's integers wrap around where Python's grow: of `np.uint32(2)` the negative is 4294967294. So every
option becomes Python's number once, where it is checked, and one so far away that arrays of integers could
not hold it is moved to where it shows and hides the same keys. What is an array is refused, and one without
axes too: an option shapes the computation and is the same for all of it.
"""

from math import isfinite
from numbers import Integral, Real

FAR = 2**31  # positions: nearer ones, and sums of some of them, are far from the ends of 64 bits
DISTANT = 2**62  # the farthest position that is a number in an array
# Of the dtypes that attention computes in: the smallest normal number, and half of the first that is inf, for
# kernels that count in bits multiply by log2 e.
RANGES = {"float32": (2.0**-126, 2.0**127), "float64": (2.0**-1022, 2.0**1023)}


def band(n_queries, n_keys, window, offset) -> tuple:
    """
    Return window and offset, None where not given, that show and hide the same keys, and are near.

    Query i sees the keys from i + offset - left to i + offset + right. Each of these bounds, as seen from
    query 0, shows all keys or hides all from -L on downwards and from S on upwards, however far it is.
    """
    window, offset = positions(window, offset)
    left, right = sides(window)
    if not any(isinstance(x, int) and abs(x) >= FAR for x in (left, right, offset)):
        return window, offset
    n_queries, n_keys = lengths(n_queries, n_keys)
    own = n_keys - n_queries if offset is None else offset

    def near(position):
        return min(max(position, -n_queries), n_keys)

    left = None if left is None else near(own) - near(own - left)
    right = None if right is None else near(own + right) - near(own)
    return None if window is None else (left, right), None if offset is None else near(own)


def positions(window, offset) -> tuple:
    """Return window and offset as Python's numbers, None where not given, however far they are."""
    return None if window is None else sides(window), None if offset is None else integer("offset", offset)


def sides(window) -> tuple:
    """Return a window's (left, right), None where there is no bound; refuse what is no such pair."""
    if window is None:
        return None, None
    if not isinstance(window, tuple | list) or len(window) != 2:
        raise TypeError(f"window is {window!r}; expected (left, right) or None")
    for side, size in zip(("left", "right"), window, strict=True):
        if size is not None and not (is_integer(size) and size >= 0):
            raise ValueError(f"window's {side} side is {size!r}; expected an integer of at least 0, or None")
    return tuple(plain(size) for size in window)


def lengths(n_queries, n_keys) -> tuple:
    """Return L and S as Python's integers: as many keys as queries, where their number is not given."""
    return plain(n_queries), plain(n_queries if n_keys is None else n_keys)


def position(name, value):
    """Return Python's integer; refuse what is none, and one that an array of integers does not hold."""
    value = integer(name, value)
    if isinstance(value, int) and abs(value) > DISTANT:
        raise ValueError(f"{name} is {value}; expected an integer within ±2**62")
    return value


def integer(name, value):
    """Return Python's integer; refuse what is none."""
    if not is_integer(value):
        raise TypeError(f"{name} is {value!r}; expected an integer or None")
    return plain(value)


def scale(value, dtype):
    """Return the scale as a Python float, or None; refuse one that numbers of `dtype` cannot be scaled by."""
    if value is None:
        return None
    if not is_finite(value):
        raise ValueError(f"scale is {value!r}; expected a finite number or None")
    _, largest = _range(dtype)
    if abs(float(value)) >= largest:
        raise ValueError(f"scale is {value!r}; expected a finite number within ±{largest:.2g} for {dtype}")
    return float(value)


def softcap(value, dtype):
    """Return the soft cap as a Python float, or None; refuse one by which a score may become NaN."""
    if value is None:
        return None
    if not (is_number(value) and value > 0):
        raise ValueError(f"softcap is {value!r}; expected a number above 0 or None")
    smallest, largest = _range(dtype)
    if not (is_finite(value) and smallest <= float(value) < largest):
        raise ValueError(
            f"softcap is {value!r}; expected a number above 0, {smallest:.2g} to {largest:.2g} for {dtype},"
            " or None, which leaves the scores alone"
        )
    return float(value)


def plain(value):
    """Return Python's integer of any other, and what is none as it is."""
    return int(value) if isinstance(value, Integral) else value


def own(value):
    """Return Python's number for NumPy's, of a tuple for each of its numbers; what is none as it is."""
    if isinstance(value, tuple):
        return tuple(own(x) for x in value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return plain(value) if isinstance(value, Integral) else float(value)


def is_integer(x) -> bool:
    """Tell whether x is an integer: Python's, NumPy's, or one that PyTorch leaves open in an export."""
    return (isinstance(x, Integral) and not isinstance(x, bool)) or type(x).__name__ == "SymInt"


def is_number(x) -> bool:
    """Tell whether x is a real number."""
    return isinstance(x, Real) and not isinstance(x, bool)


def is_finite(x):
    """Tell whether x is a real number that a float can hold."""
    try:
        return is_number(x) and isfinite(x)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _range(dtype):
    return RANGES["float64" if dtype.itemsize == 8 else "float32"]
