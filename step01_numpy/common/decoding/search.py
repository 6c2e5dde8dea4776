"""Search for the most probable continuation, greedily or with beams."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from step01_numpy.common.decoding.continuation import adjusted, follow, gather, limits_of, telling
from step01_numpy.common.support import checks
from step01_numpy.common.text.tokenizer import BOS, EOS


class Hypothesis(NamedTuple):
    """A sequence found: its tokens without the first and an end, and its score."""

    tokens: list[int]
    score: float


def greedy(
    step: Callable, n_rows: int, *, max_length, first=BOS, eos=EOS, adjust: Callable | None = None
) -> list[list[int]]:
    """
    Take the most probable token at each step, the lowest id among equals.

    Parameters
    ----------
    step, n_rows, max_length, first, eos
        As of `follow`.
    adjust : callable, optional
        As `Constraints.over` returns it.

    Returns
    -------
    list of list of int
        The tokens of each row without the first and an end.
    """
    choose = adjusted(lambda logits: logits.argmax(axis=-1), adjust, n_rows)
    return gather(follow(step, choose, n_rows, max_length=max_length, first=first, eos=eos), n_rows)


def beam_search(
    step: Callable,
    reorder: Callable,
    n_rows: int,
    beam: int,
    *,
    max_length,
    first=BOS,
    eos=EOS,
    adjust: Callable | None = None,
    length_penalty: float | Callable = 1.0,
    early_stopping: bool | str = False,
) -> list[Hypothesis]:
    """
    Follow the `beam` most probable beginnings of each row, and return the best of the sequences they become.

    Parameters
    ----------
    step, reorder : callable
        The first call of `step` has n_rows rows; `reorder` then makes them n_rows · beam.
    n_rows, beam : int
        An end among the `beam` most probable is kept aside; the beginnings that go on stay `beam`. With one
        beam this is `greedy`.
    max_length, first, eos
        As of `follow`; a sequence of max_length tokens counts as ended.
    adjust : callable, optional
        As `Constraints.over` returns it; it takes and returns log-probabilities.
    length_penalty : float, or callable
        A sequence's score is its log-probability (nats) over length ** length_penalty, its end counted; or
        over length_penalty(length), above 0 and monotonic. Scores of longer sequences rise with the power.
    early_stopping : bool or "never"
        A row stops with `beam` ends kept: True, at once; False, once no beginning, were it to end now, beats
        the worst of them; "never", not before it is certain that no longer one beats the best.

    Returns
    -------
    list of Hypothesis
        Of equals, the one found first.

    Notes
    -----
    The rules are those of `generate(num_beams=beam)` in the library transformers, whose tokens these are.
    """
    checks.positive("beam", beam)
    if early_stopping not in (True, False, "never"):
        raise ValueError(f"early_stopping is {early_stopping!r}; expected True, False or 'never'")
    beams = _Beams(n_rows, beam, limits_of(max_length, n_rows), eos, _penalty(length_penalty), early_stopping)
    tokens, scores = np.broadcast_to(first, n_rows), np.zeros((n_rows, 1))
    while True:
        steps = log_probabilities(telling(step(tokens)))
        if adjust is not None:
            steps = adjust(steps, beams.tokens[:, : scores.shape[1]].reshape(len(steps), -1))
        parents = beams.extend(scores[:, :, None] + steps.reshape(*scores.shape, -1))
        if not beams.going.any():
            return beams.best
        reorder(parents)
        tokens, scores = beams.tokens[:, :, -1].reshape(-1), beams.scores


class _Beams:
    """The beginnings of each row that still go on, what has ended, and the best of that."""

    def __init__(self, n_rows, beam, limits, eos, penalty, early_stopping):
        self.limits, self.eos, self.length = limits, np.atleast_1d(np.array(eos, dtype=int)), 0
        self.penalty, self.early_stopping = penalty, early_stopping
        self.going = np.ones(n_rows, dtype=bool)
        self.scores = np.zeros((n_rows, beam))  # log-probabilities, the best first; -inf: an empty place
        self.tokens = np.zeros((n_rows, beam, 0), dtype=np.int64)
        self.ended = np.full((n_rows, beam), -np.inf)  # penalised, the worst first; -inf: an empty place
        self.best = [Hypothesis([], -np.inf)] * n_rows

    def extend(self, candidates):
        """Choose among all next tokens, (rows, beams, vocab_size); return each new beginning's parent row."""
        (n_rows, parents_each, vocab_size), beam = candidates.shape, self.scores.shape[1]
        self.length += 1
        enough = (1 + max(1, len(self.eos))) * beam  # that `beam` of them go on
        scores, chosen = largest(candidates.reshape(n_rows, -1), enough)
        parents, newest = chosen // vocab_size, chosen % vocab_size
        tokens = np.take_along_axis(self.tokens, parents[:, :, None], axis=1)
        tokens = np.concatenate([tokens, newest[:, :, None]], axis=-1)
        ends = np.isin(newest, self.eos) | (self.length >= self.limits[:, None])
        self._end(np.where(ends, scores, -np.inf)[:, :beam], tokens)
        self.scores, places = largest(np.where(ends, -np.inf, scores), beam)
        self.tokens = np.take_along_axis(tokens, places[:, :, None], axis=1)
        self._stop()
        parents = np.take_along_axis(parents, places, axis=1)
        return (parents + np.arange(n_rows)[:, None] * parents_each).reshape(-1)

    def _end(self, scores, tokens):
        scores = np.where(self.going[:, None], scores / self.penalty(self.length), -np.inf)
        for row, place in zip(range(len(scores)), scores.argmax(axis=1), strict=True):
            if scores[row, place] > self.best[row].score:
                found = tokens[row, place].tolist()
                found = found[:-1] if found[-1] in self.eos else found
                self.best[row] = Hypothesis(found, float(scores[row, place]))
        kept = np.sort(np.concatenate([self.ended, scores], axis=1), axis=1)
        self.ended = kept[:, self.scores.shape[1] :]

    def _stop(self):
        most_probable, worst = self.scores[:, 0], self.ended[:, 0]
        divisor = np.array([max(self.penalty(self.length + 1), self.penalty(n)) for n in self.limits])
        stop = most_probable / divisor <= self.ended[:, -1]  # no longer sequence can be the best
        if self.early_stopping is True:
            stop |= np.isfinite(worst)
        elif self.early_stopping is False:
            stop |= np.isfinite(worst) & (most_probable / self.penalty(self.length) <= worst)
        self.going &= ~stop


def gnmt(alpha: float = 0.6) -> Callable:
    """
    Return the length penalty ((5 + length) / 6)^α; α = 0 favours short sequences.

    References
    ----------
    Wu et al. 2016, equation 14, arXiv:1609.08144.
    """
    if not alpha >= 0:
        raise ValueError(f"alpha is {alpha!r}; expected a number of at least 0")
    return lambda length: ((5 + length) / 6) ** alpha


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


def _penalty(length_penalty):
    if callable(length_penalty):
        return length_penalty
    if not checks.is_finite(length_penalty):
        raise ValueError(f"length_penalty is {length_penalty!r}; expected a finite number, or a function")
    return lambda length: float(length) ** length_penalty
