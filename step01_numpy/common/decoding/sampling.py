"""
Draw tokens from what a model says of the next one, the same text from the same seed in every stage.

Each rule takes and returns logits, (rows, vocab_size), -inf meaning never; they apply in the order in which
they stand here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from step01_numpy.common.decoding.continuation import adjusted, follow, gather
from step01_numpy.common.decoding.search import log_probabilities
from step01_numpy.common.support import checks
from step01_numpy.common.text.tokenizer import BOS, EOS


def penalize_repetition(logits: np.ndarray, seen: np.ndarray, penalty: float) -> np.ndarray:
    """
    Make tokens less probable that the text holds already.

    Parameters
    ----------
    logits : (rows, vocab_size)
    seen : (rows, vocab_size), bool
    penalty : float
        Divides positive logits and multiplies negative ones; 1 does nothing.

    References
    ----------
    Keskar et al. 2019, section 4.1, arXiv:1909.05858; there all logits are divided, which would favour
    tokens whose logits are negative.
    """
    return np.where(seen, np.where(logits < 0, logits * penalty, logits / penalty), logits)


def heat(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Divide by the temperature: below 1 the probable becomes more so, above 1 less."""
    return logits / temperature


def keep_top_k(logits: np.ndarray, k: int) -> np.ndarray:
    """Keep the k most probable tokens, and what equals the last of them."""
    k = min(k, logits.shape[-1])
    least = np.partition(logits, -k, axis=-1)[:, -k, None]
    return np.where(logits < least, -inf, logits)


def keep_top_p(logits: np.ndarray, p: float) -> np.ndarray:
    """
    Keep the nucleus: the fewest tokens, the most probable first, whose probabilities sum to at least p.

    What equals the last of them is kept too.

    References
    ----------
    Holtzman et al. 2019, equation 2, arXiv:1904.09751.
    """
    ordered = np.sort(logits, axis=-1)  # ascending
    up_to = np.exp(log_probabilities(ordered)).cumsum(axis=-1)  # the sum over a token and all less probable
    outside = np.minimum((up_to <= 1 - p).sum(axis=-1), logits.shape[-1] - 1)  # one token stays at least
    least = np.take_along_axis(ordered, outside[:, None], axis=-1)
    return np.where(logits < least, -inf, logits)


def draw(logits: np.ndarray, gumbels: np.ndarray) -> np.ndarray:
    """
    Return the token whose logit and Gumbel number together are largest: it comes as often as softmax says.

    Parameters
    ----------
    logits : (rows, vocab_size)
    gumbels : (rows, vocab_size)
        Numbers of the standard Gumbel distribution.

    Notes
    -----
    Logits of two stages differ by some δ, and their draws part only where the two largest sums are within 2δ
    of each other: in float32, some 1e-6, once in hundreds of thousands of draws. Along the cumulative
    distribution, all the borders between the tokens would move.

    References
    ----------
    Maddison et al. 2014, section 2, arXiv:1411.0030.
    """
    return (logits + gumbels).argmax(axis=-1)


@dataclass(frozen=True)
class Sampling:
    """
    How to choose the next token.

    Attributes
    ----------
    temperature : float
        0 takes the most probable token.
    top_k : int or None
    top_p : float or None
    repetition_penalty : float
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self):
        if not (checks.is_finite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature is {self.temperature!r}; expected a finite number of at least 0")
        if self.top_k is not None:
            checks.positive("top_k", self.top_k)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p!r}; expected a number above 0 and at most 1")
        if not (checks.is_finite(self.repetition_penalty) and self.repetition_penalty > 0):
            raise ValueError(
                f"repetition_penalty is {self.repetition_penalty!r}; expected a finite number above 0"
            )


class Sampler:
    """
    Chooses each row's next token, with numbers of the row's own generator.

    Parameters
    ----------
    rules : Sampling
    generators : sequence of numpy.random.Generator
        One for each row, so that no row's draws depend on its neighbours; unused at temperature 0.
    texts : sequence of sequence of int
        The tokens each row holds so far, the one fed first included.
    """

    def __init__(self, rules: Sampling, generators, texts: Sequence[Sequence[int]]):
        self.rules, self.generators = rules, generators
        self.texts, self.seen = texts, None

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Return the next tokens, (rows,), for logits (rows, vocab_size)."""
        if self.seen is None:
            self.seen = _seen(self.texts, logits.shape)
        tokens = self._choose(logits.astype(np.float64))
        self.seen[np.arange(len(tokens)), tokens] = True
        return tokens

    def _choose(self, logits):
        rules = self.rules
        logits = penalize_repetition(logits, self.seen, rules.repetition_penalty)
        if rules.temperature == 0:
            return logits.argmax(axis=-1)
        logits = heat(logits, rules.temperature)
        if rules.top_k is not None:
            logits = keep_top_k(logits, rules.top_k)
        if rules.top_p is not None:
            logits = keep_top_p(logits, rules.top_p)
        gumbels = [generator.gumbel(size=logits.shape[-1]) for generator in self.generators]
        return draw(logits, np.stack(gumbels))


def generators(seed: int, texts: Sequence[Sequence[int]]) -> list[np.random.Generator]:
    """
    Return a generator for each row that depends on the seed and the row's own tokens, not on its place.

    A text that comes again gets another one, so that asking twice gives two answers.
    """
    texts = [tuple(text) for text in texts]
    repeats = [texts[:row].count(text) for row, text in enumerate(texts)]
    return [np.random.default_rng([seed, n, *text]) for n, text in zip(repeats, texts, strict=True)]


def sample(
    step: Callable,
    n_rows: int,
    *,
    max_length,
    rules: Sampling,
    seed=0,
    first=BOS,
    eos=EOS,
    texts=None,
    adjust=None,
) -> list[list[int]]:
    """
    Continue each row by tokens drawn at random.

    Parameters
    ----------
    step, n_rows, max_length, first, eos
        As of `follow`.
    rules : Sampling
    seed : int
        At least 0.
    texts : sequence of sequence of int, optional
        The tokens each row holds so far, the one fed first included; `first` alone if there is none.
    adjust : callable, optional
        As `Constraints.over` returns it.

    Returns
    -------
    list of list of int
        The tokens of each row without the first and an end.
    """
    texts = np.broadcast_to(first, n_rows)[:, None].tolist() if texts is None else texts
    choose = adjusted(Sampler(rules, generators(seed, texts), texts), adjust, n_rows)
    return gather(follow(step, choose, n_rows, max_length=max_length, first=first, eos=eos), n_rows)


def _seen(texts, shape):
    seen = np.zeros(shape, dtype=bool)
    for row, text in zip(seen, texts, strict=True):
        row[[token for token in text if token < len(row)]] = True
    return seen
