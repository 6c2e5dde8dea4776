"""What can be seen of wrong numbers that no known mistake explains: the simplest first."""

import re

import numpy as np

from tests.homework.judge import Account, equal, kind_of, number_like
from tests.homework.variants import Answers

DIGITS = 1e-5  # float32, after some sums
NUMBER = re.compile(r"\(?-?\d[\d.,e+-]*\)?(, |\))*")
GRADIENT = "gradient of "
OUT_OF_THE_GRAPH = "something takes a tensor out of autograd's graph, as detach, data, item and numpy do."
ORDER = ("first", "second", "third", "fourth")


def describe(account: Account, answers: Answers, wrong) -> list[tuple[str, list[str]]]:
    """Return sentences, each with the cases that it is about."""
    groups: dict[str, dict[str, str]] = {}  # sentences by case, those together that are alike but for numbers
    for name in wrong:
        text = sentence(account.answers[name].values, answers.expected[name].values)
        groups.setdefault(NUMBER.sub("#", text), {})[name] = text
    said = [(with_example(texts), list(texts)) for texts in groups.values()]
    if len(said) > 2:  # of many different ones the first is told
        rest = [name for _, names in said[1:] for name in names]
        return [said[0], ("Other numbers are wrong here.", [x for x in wrong if x in rest])]
    return said


def with_example(texts: dict[str, str]) -> str:
    """Return the one sentence of several cases; where its numbers differ, it says whose they are."""
    case, text = next(iter(texts.items()))
    return text if len(set(texts.values())) == 1 else f"{text[:-1]}, in case {case}."


def sentence(found: dict, expected: dict) -> str:
    """Say in a sentence what is wrong with the first value that is."""
    if all(x is None for x in found.values()):
        return "Your result is None: is something returned?"
    if found.keys() != expected.keys():
        return f"{count(found)} came back; expected {count(expected)}."
    name = next(x for x in expected if not equal(found[x], expected[x], 1e-10))
    if name.startswith(GRADIENT):
        return of_gradients(found, expected)
    what = f"Your {spoken(name)}" if len(expected) > 1 else "Your result"
    if found[name] is None:
        return f"{what} is None."
    if not number_like(found[name]) or not number_like(expected[name]):
        return f"{what} is of another kind than expected."
    x, y = np.asarray(found[name]), np.asarray(expected[name])
    return f"{what} {shape(x, y) or numbers(x.astype(float), y.astype(float))}"


def of_gradients(found: dict, expected: dict) -> str:
    """Say what is wrong with gradients, where all results are right."""
    wrong = [x for x in expected if not equal(found[x], expected[x], 1e-10)]
    lost = [f"`{x.removeprefix(GRADIENT).partition(' of call ')[0]}`" for x in wrong if found[x] is None]
    if lost:
        lost = list(dict.fromkeys(lost))
        names = ", ".join(lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
        return f"Your results are right, and no gradient gets back to {names}: {OUT_OF_THE_GRAPH}"
    x, y = (np.asarray(values[wrong[0]], float) for values in (found, expected))
    hint = "" if np.isnan(x).any() else "A part of your way may be a constant to autograd. "
    return f"{hint}Your results are right, and your {spoken(wrong[0])} {numbers(x, y)}"


def spoken(name: str) -> str:
    """Return the name of a value as it is said: "second result of call 3", or an attribute's own name."""
    if name.startswith(GRADIENT):
        of, _, call = name.removeprefix(GRADIENT).partition(" of call ")
        return f"{GRADIENT}`{of}`" + (f" of call {call}" if call else "")
    kind, *numbers = name.split(" ")
    if kind not in ("result", "call"):
        return f"`{name}`"
    call = f" of call {numbers.pop(0)}" if kind == "call" else ""
    order = [ORDER[int(x) - 1] if x in ("1", "2", "3", "4") else f"{x}th" for x in numbers]
    return " ".join([*order, "result"]) + call


def count(values: dict) -> str:
    """Return how many values there are, gradients aside, in words."""
    n = sum(not name.startswith(GRADIENT) for name in values)
    return "1 value" if n == 1 else f"{n} values"


def shape(x: np.ndarray, y: np.ndarray) -> str:
    """Say what is wrong with a shape or a dtype; nothing where they are right."""
    if x.shape != y.shape:
        swapped = sorted(x.shape) == sorted(y.shape)
        hint = ": two axes are exchanged" if swapped else ""
        return f"has shape {x.shape}; expected {y.shape}{hint}."
    if kind_of(x) != kind_of(y):
        return f"has dtype {x.dtype}; expected {y.dtype}."
    return ""


def numbers(x: np.ndarray, y: np.ndarray) -> str:
    """Say what is wrong with numbers."""
    known = np.isfinite(y)
    if (np.isnan(x) & ~np.isnan(y)).any():
        return "holds NaN where a number is expected."
    if (np.isinf(x) & known).any():
        return "holds an infinite number where a finite one is expected."
    if not x.any():
        return "is 0 throughout."
    if equal(x, y, DIGITS):
        return "is right to some seven digits: is part of it computed in float32?"
    factor = ratio(x[known], y[known])
    if factor is not None:
        return f"is {factor:.6g} times what is expected, throughout."
    return (
        rows(x, y) or f"is wrong in {(~close(x, y)).sum()} of {x.size} numbers, the first at {place(x, y)}."
    )


def ratio(x: np.ndarray, y: np.ndarray) -> float | None:
    """Return c where x = c·y throughout; None where there is no such number."""
    largest = np.abs(y).argmax() if y.size > 1 else None
    if largest is None or y[largest] == 0 or not np.isfinite(x).all():
        return None
    factor = float(x[largest] / y[largest])
    return factor if np.allclose(x, factor * y, rtol=1e-7, atol=1e-9) else None


def close(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return where the numbers are right."""
    return np.isclose(x, y, rtol=1e-9, atol=1e-10, equal_nan=True)


def place(x: np.ndarray, y: np.ndarray) -> str:
    """Return where the first wrong number stands, and what it is."""
    index = tuple(int(i) for i in np.argwhere(~close(x, y))[0])
    return f"{index}: {x[index]:.4g}" if index else f"{x[index]:.4g}"


def rows(x: np.ndarray, y: np.ndarray) -> str:
    """Say which rows, along the last axis but one, are right throughout, where that shows a pattern."""
    if x.ndim < 2 or x.shape[-2] < 2:
        return ""
    fine = close(x, y).all(axis=tuple(i for i in range(x.ndim) if i != x.ndim - 2))
    kept = [i for i in range(len(fine)) if fine[i]]
    if kept == [len(fine) - 1]:
        return "is right in the last row alone."
    if kept == [0]:
        return "is right in the first row alone."
    return f"is right in {len(kept)} of {len(fine)} rows: {', '.join(map(str, kept))}." if kept else ""
