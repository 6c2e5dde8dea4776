"""
Search for the best continuation, greedily or with beams, over any model that names its next logits.

`step(tokens) -> logits` takes each row's newest token, (rows,), and returns (rows, vocab_size); the caller's
cache remembers the tokens before. `reorder(rows)` makes its row b continue what was row `rows[b]`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from step01_numpy.common import checks
from step01_numpy.common.tokenizer import BOS, EOS


class Hypothesis(NamedTuple):
    """A sequence found: its tokens without <bos> and <eos>, and its score."""

    tokens: list[int]
    score: float


def greedy(step: Callable, n_rows: int, *, max_length) -> list[list[int]]:
    """
    Take the most probable token at each step, the lowest id among equals.

    Parameters
    ----------
    step : callable
    n_rows : int
    max_length : int, or integers (n_rows,)
        The most tokens of a row, <eos> included.

    Returns
    -------
    list of list of int
        The tokens of each row without <bos> and <eos>.
    """
    limits = _limits(max_length, n_rows)
    rows, tokens = [[] for _ in range(n_rows)], np.full(n_rows, BOS)
    going = np.ones(n_rows, dtype=bool)
    for length in range(1, limits.max() + 1):
        tokens = np.where(going, step(tokens).argmax(axis=-1), EOS)
        going &= tokens != EOS
        for row in np.flatnonzero(going):
            rows[row].append(int(tokens[row]))
        going &= length < limits
        if not going.any():
            break
    return rows


def beam_search(
    step: Callable, reorder: Callable, n_rows: int, beam: int, *, max_length, length_penalty: float = 0.6
) -> list[Hypothesis]:
    """
    Follow the `beam` most probable beginnings of each row, and return the best of the sequences they become.

    Parameters
    ----------
    step, reorder : callable
        The first call of `step` has n_rows rows; `reorder` then makes them n_rows · beam.
    n_rows, beam : int
        A beginning that ends takes its place in the beam along; with one beam this is `greedy`.
    max_length : int, or integers (n_rows,)
        The most tokens of a row, <eos> included; a sequence of so many counts as ended.
    length_penalty : float
        α, at least 0; 0 compares bare log-probabilities, which favours short sequences.

    Returns
    -------
    list of Hypothesis
        The score is the log-probability (nats) / ((5 + length) / 6)^α; of equals, the one found first.

    References
    ----------
    Wu et al. 2016, equation 14, arXiv:1609.08144.
    """
    checks.positive("beam", beam)
    if not length_penalty >= 0:
        raise ValueError(f"length_penalty is {length_penalty!r}; expected a number of at least 0")
    beams = _Beams(n_rows, beam, _limits(max_length, n_rows), length_penalty)
    scores = log_probabilities(step(np.full(n_rows, BOS)))[:, None, :]  # (rows, 1 beam, vocab_size)
    reorder(np.repeat(np.arange(n_rows), beam))
    while True:
        parents = beams.extend(scores)
        if not beams.going:
            return beams.best
        reorder(parents)
        found = log_probabilities(step(beams.newest)).reshape(n_rows, beam, -1)
        scores = beams.scores[:, :, None] + found


class _Beams:
    """The beginnings of each row that still go on, and the best sequence that has ended."""

    def __init__(self, n_rows, beam, limits, length_penalty):
        self.limits, self.alpha, self.length = limits, length_penalty, 0
        self.scores = np.zeros((n_rows, beam))  # -inf: an empty place
        self.tokens = np.zeros((n_rows, beam, 0), dtype=np.int64)
        self.places = np.full(n_rows, beam)  # of each row, not yet taken by a sequence that ended
        self.best = [Hypothesis([], -np.inf)] * n_rows

    @property
    def going(self):
        """Whether any beginning still goes on."""
        return bool(np.isfinite(self.scores).any())

    @property
    def newest(self):
        """The last token of each beginning, (n_rows · beam)."""
        return self.tokens[:, :, -1].reshape(-1)

    def extend(self, candidates):
        """Choose among all next tokens, (rows, beams, vocab_size); return each new beam's parent row."""
        n_rows, beam = self.scores.shape
        vocab_size = candidates.shape[-1]
        self.length += 1
        self.scores, chosen = largest(candidates.reshape(n_rows, -1), beam)
        self.scores[np.arange(beam) >= self.places[:, None]] = -np.inf
        parents, newest = chosen // vocab_size, chosen % vocab_size
        kept = np.take_along_axis(self.tokens, parents[:, :, None], axis=1)
        self.tokens = np.concatenate([kept, newest[:, :, None]], axis=-1)
        self._end((newest == EOS) | (self.length >= self.limits[:, None]))
        return (parents + np.arange(n_rows)[:, None] * beam).reshape(-1)

    def _end(self, ended):
        ended &= np.isfinite(self.scores)
        for row, place in np.argwhere(ended):
            score = float(self.scores[row, place] / self._penalty(self.length))
            if score > self.best[row].score:
                tokens = self.tokens[row, place].tolist()
                self.best[row] = Hypothesis(tokens[:-1] if tokens[-1] == EOS else tokens, score)
        self.places -= ended.sum(axis=1)
        self.scores[ended] = -np.inf
        best = np.array([x.score for x in self.best])
        hopeless = self.scores / self._penalty(self.limits)[:, None] <= best[:, None]
        self.scores[hopeless] = -np.inf  # no longer sequence can do better

    def _penalty(self, length):
        return ((5 + length) / 6) ** self.alpha


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Return log softmax over the last axis, in float64."""
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def largest(x: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `count` largest of each row, (rows, count), and where; of equals the first. Changes x."""
    rows, values, places = np.arange(len(x)), [], []
    for _ in range(count):
        places.append(x.argmax(axis=-1))
        values.append(x[rows, places[-1]])
        x[rows, places[-1]] = -np.inf
    return np.stack(values, axis=1), np.stack(places, axis=1)


def _limits(max_length, n_rows):
    limits = np.broadcast_to(np.asarray(max_length), (n_rows,))
    if n_rows < 1 or limits.min() < 1:
        raise ValueError(f"n_rows is {n_rows}, max_length {max_length}; expected both to be at least 1")
    return limits
