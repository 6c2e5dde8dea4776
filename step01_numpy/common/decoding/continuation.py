"""
Continue rows of tokens step by step, over any model that names its next logits, by any way of choosing.

`step(tokens) -> logits` takes each row's newest token, (rows,), and returns (rows, vocab_size); the caller's
cache remembers the tokens before. What is fed first is the caller's: <bos>, the last token of a prompt, or
the token that starts a model's translations.
"""

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np

from step01_numpy.common.text.tokenizer import BOS, EOS

ENDED = -1  # what `follow` yields for a row that has ended


def follow(
    step: Callable, choose: Callable, n_rows: int, *, max_length, first=BOS, eos=EOS
) -> Iterator[np.ndarray]:
    """
    Yield the tokens of all rows step by step, as they come.

    Parameters
    ----------
    step : callable
    choose : callable
        Takes the logits, (rows, vocab_size), and returns each row's next token, (rows,).
    n_rows : int
    max_length : int, or integers (n_rows,)
        The most tokens of a row, its end included.
    first : int, or integers (n_rows,)
        The tokens fed first.
    eos : int, or sequence of int
        The tokens that end a row; () for none.

    Yields
    ------
    tokens : (n_rows,)
        `ENDED` from a row's end on.
    """
    limits = limits_of(max_length, n_rows)
    tokens, going = np.broadcast_to(first, n_rows), np.ones(n_rows, dtype=bool)
    for length in count(1):
        tokens = np.where(going, choose(telling(step(tokens))), tokens)
        going = going & ~np.isin(tokens, eos)
        yield np.where(going, tokens, ENDED)
        going &= length < limits
        if not going.any():
            return


def gather(steps: Iterator[np.ndarray], n_rows: int) -> list[list[int]]:
    """Return what `follow` yields row by row."""
    rows = [[] for _ in range(n_rows)]
    for tokens in steps:
        for row in np.flatnonzero(tokens != ENDED):
            rows[row].append(int(tokens[row]))
    return rows


def adjusted(choose: Callable, adjust: Callable | None, n_rows: int) -> Callable:
    """Return a way of choosing among adjusted logits; `adjust` takes them and all new tokens."""
    if adjust is None:
        return choose
    new = np.zeros((n_rows, 0), dtype=np.int64)

    def choose_of_adjusted(logits):
        nonlocal new
        tokens = choose(adjust(logits, new))
        new = np.concatenate([new, tokens[:, None]], axis=1)
        return tokens

    return choose_of_adjusted


def telling(logits: np.ndarray) -> np.ndarray:
    """
    Return a model's logits, as they are.

    Raises
    ------
    ValueError
        For a row that says nothing: with NaN or infinity in it, or -inf alone.
    """
    best = logits.max(axis=-1)
    if not np.isfinite(best).all():  # the maximum of what holds NaN is NaN
        raise ValueError(
            f"the model's logits are {best[~np.isfinite(best)][0]}; expected finite numbers: some weight is "
            "not finite, or what is computed from them grows beyond the dtype"
        )
    return logits


def limits_of(max_length, n_rows):
    """Return how many tokens each row may have, (n_rows,)."""
    limits = np.broadcast_to(np.asarray(max_length), (n_rows,))
    if n_rows < 1 or limits.min() < 1:
        raise ValueError(f"n_rows is {n_rows}, max_length {max_length}; expected both to be at least 1")
    return limits
