"""Whether arrays are those that were expected; if not, which number is farthest off, or what came instead."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from step01_numpy.common.parity.signatures import Missing, NotOffered

TOLERANCE = 1e-10  # float64, times max(1, largest reference value)
EQUAL, DIFFERS, RAISED, MISSING, NOT_OFFERED = "equal", "differs", "raised", "missing", "not offered"


@dataclass(frozen=True)
class Verdict:
    """
    What was found of an operation's results, or of its gradients.

    Attributes
    ----------
    status : str
        "equal" (within tolerance), "differs", "raised", "missing" (the package has no such name) or
        "not offered" (the function has no such option).
    difference : float or None
        The largest absolute difference; infinite for NaN, a wrong shape or dtype; None where nothing came.
    array : str or None
        The array in which it was found.
    index : tuple of int or None
        Where in that array.
    came, expected : float or None
        The two numbers there.
    text : str
        One line: the same in words, or what is missing, or the exception.
    """

    status: str
    difference: float | None = None
    array: str | None = None
    index: tuple[int, ...] | None = None
    came: float | None = None
    expected: float | None = None
    text: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong: the numbers are equal, or none were promised."""
        return self.status in (EQUAL, NOT_OFFERED)


@dataclass(frozen=True)
class Row:
    """One operation of a stage against a reference: its results and its gradients, judged apart."""

    operation: str
    stage: str
    reference: str
    forward: Verdict
    gradient: Verdict

    @property
    def passed(self) -> bool:
        """Whether neither is wrong."""
        return self.forward.passed and self.gradient.passed


def judge(
    answer: Callable[[], Mapping], expected: Mapping[str, np.ndarray], tolerance: float = TOLERANCE
) -> Verdict:
    """
    Ask for arrays by name and compare them; whatever is raised is the verdict.

    Parameters
    ----------
    answer : callable
        Gives at least the arrays that are expected.
    expected : mapping
    tolerance : float
        Times max(1, largest finite |expected|).

    Returns
    -------
    verdict : Verdict
        Of the worst array.
    """
    try:
        found = answer()
    except NotOffered as error:
        return Verdict(MISSING if isinstance(error, Missing) else NOT_OFFERED, text=one_line(error))
    except Exception as error:
        return Verdict(RAISED, text=f"raised {type(error).__name__}: {one_line(error)}".rstrip(": "))
    verdicts = [compare_array(name, found.get(name), x, tolerance) for name, x in expected.items()]
    return max(verdicts, key=lambda v: (not v.passed, np.inf if v.difference is None else v.difference))


def compare_array(name: str, came, expected: np.ndarray, tolerance: float) -> Verdict:
    """Compare one array, whatever came in its place."""
    if came is None:
        return Verdict(DIFFERS, array=name, text=f"no {name} came")
    x = plain(came)
    unfit = None
    if x is None:
        unfit = f"{name} came as {type(came).__name__}; expected an array"
    elif x.dtype != expected.dtype:
        unfit = f"{name} has dtype {x.dtype}; expected {expected.dtype}"
    elif x.shape != expected.shape:
        unfit = f"{name} has shape {x.shape}; expected {expected.shape}"
    if unfit:
        return Verdict(DIFFERS, np.inf, name, text=unfit)
    if not x.size:
        return Verdict(EQUAL, 0.0, name)
    apart = differences(x, expected)
    index = tuple(int(i) for i in np.unravel_index(np.argmax(apart), apart.shape))
    status = EQUAL if agrees(x, expected, tolerance) else DIFFERS
    place, numbers = f"{name}[{', '.join(map(str, index))}]" if index else name, (x[index], expected[index])
    text = f"{place} is {numbers[0]:.8g}; expected {numbers[1]:.8g}" if status == DIFFERS else ""
    return Verdict(status, float(apart[index]), name, index, *map(float, numbers), text)


def plain(came) -> np.ndarray | None:
    """
    Copy what came into an ndarray that is nothing else: a subclass could call itself equal to anything.

    Returns
    -------
    x : np.ndarray or None
        In the dtype that it came in; None for what is no array.
    """
    if not issubclass(type(came), np.ndarray | np.generic | float):  # `isinstance` believes what it is told
        return None
    return np.array(came, copy=True, subok=False)


def differences(x: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return |x - expected| of arrays of one shape; infinite for NaN, 0 for equal infinities."""
    equal = x == expected
    apart = np.abs(np.where(equal, 0, x) - np.where(equal, 0, expected))
    return np.where(np.isnan(apart), np.inf, apart)


def difference(x: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest absolute difference; NaN or a wrong shape counts as infinite."""
    return np.inf if x.shape != expected.shape else float(differences(x, expected).max(initial=0))


def agrees(x: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Tell whether x is within tolerance · max(1, largest finite |expected|) of what was expected."""
    finite = np.abs(expected[np.isfinite(expected)])
    return difference(x, expected) <= tolerance * max(1.0, float(finite.max(initial=0)))


def one_line(error: BaseException) -> str:
    """Return an exception's message in one line."""
    return " ".join(str(error).split())
