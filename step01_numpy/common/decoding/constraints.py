"""What a model's authors forbid or force in its texts, as `generate` of the library transformers does it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from step01_numpy.common.decoding.continuation import limits_of
from step01_numpy.common.decoding.sampling import penalize_repetition
from step01_numpy.common.decoding.search import log_probabilities


@dataclass(frozen=True)
class Constraints:
    """
    Rules for the next token; they apply in the order in which they stand here.

    Attributes
    ----------
    repetition_penalty : float
        As of `penalize_repetition`.
    no_repeat_ngram : int
        No n tokens in a row come twice; 0 allows it.
    never_after : tuple of (tokens before, token)
        A token that does not follow others; no end among those that follow anything.
    min_length, min_new : int
        No end before a text has so many tokens, its beginning counted; or so many new ones.
    first, last : tuple of int
        What comes after a text of one token; what takes the last place where a row reaches its limit.
    never, never_first : tuple of int
        Tokens that are not chosen; that do not come first.
    renormalise : bool
        Whether what remains is a distribution of its own: to beams it makes a difference.
    """

    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    never_after: tuple[tuple[tuple[int, ...], int], ...] = ()
    min_length: int = 0
    min_new: int = 0
    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    never: tuple[int, ...] = ()
    never_first: tuple[int, ...] = ()
    renormalise: bool = False

    def over(self, texts: Sequence[Sequence[int]], *, max_length, eos=()) -> Callable | None:
        """
        Return the function that applies them to some rows, or None where there are none.

        Parameters
        ----------
        texts : sequence of sequence of int
            The tokens each row holds so far, the one fed first included.
        max_length : int, or integers (n_rows,)
            The most new tokens of a row, its end included.
        eos : int, or sequence of int

        Returns
        -------
        adjust : callable
            Takes scores, logits or their log softmax, (rows, vocab_size), and the new tokens, (rows, n); rows
            are as many as texts, or each of them as many times as there are beams. Returns scores.
        """
        if self in (Constraints(), Constraints(renormalise=True)):
            return None
        limits, ends = limits_of(max_length, len(texts)), list(np.atleast_1d(np.array(eos, dtype=int)))

        def adjust(scores, new):
            scores, beams = scores.astype(np.float64), len(scores) // len(texts)
            for i, (row, tokens) in enumerate(zip(scores, new.tolist(), strict=True)):
                text = [*texts[i // beams], *tokens]
                self._apply(row, text, len(tokens), ends, len(tokens) == limits[i // beams] - 1)
            return log_probabilities(scores) if self.renormalise else scores

        return adjust

    def _apply(self, row, text, n_new, ends, is_last):
        if self.repetition_penalty != 1:
            seen = [token for token in set(text) if token < len(row)]
            row[seen] = penalize_repetition(row[seen], True, self.repetition_penalty)
        row[[token for token in repeats(text, self.no_repeat_ngram) if token < len(row)]] = -np.inf
        row[[token for before, token in self.never_after if _ends_with(text, before)]] = -np.inf
        if len(text) < self.min_length or n_new < self.min_new:
            row[ends] = -np.inf
        if self.first and len(text) == 1:
            _only(row, self.first)
        if self.last and is_last:
            _only(row, self.last)
        row[list(self.never)] = -np.inf
        if n_new == (len(self.first) > 0 and len(text) - n_new == 1):  # what is forced is no choice
            row[list(self.never_first)] = -np.inf


def repeats(text: Sequence[int], size: int) -> list[int]:
    """Return the tokens that would make the last `size` tokens of a text come a second time."""
    if size < 1 or len(text) < size:
        return []
    newest = text[len(text) + 1 - size :]
    starts = range(len(text) - size + 1)
    return [text[i + size - 1] for i in starts if text[i : i + size - 1] == newest]


def _ends_with(text, tokens):
    return list(tokens) == text[len(text) - len(tokens) :]


def _only(row, tokens):
    """Leave nothing but some tokens, which are certain."""
    row[:] = -np.inf
    row[list(tokens)] = 0.0
