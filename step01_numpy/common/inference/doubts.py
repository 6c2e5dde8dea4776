"""What a translator has not learned, said in words, so that no nonsense passes for a translation."""

from collections.abc import Sequence

import numpy as np

from step01_numpy.common.decoding.search import log_probabilities
from step01_numpy.common.text.seen import SELDOM, Seen, words_of

UNSURE = 0.65  # mean probability below which a translation is seven times as often bad (docs/translator.md)
TIMES, PERIOD = 3, 4  # so often the same, of so many tokens at most, is no sentence


def not_learned(seen: Seen, text: str) -> list[str]:
    """
    Say what in a text its translator has never or hardly ever met.

    Parameters
    ----------
    seen : Seen
        What it was trained on.
    text : str

    Returns
    -------
    list of str
        One phrase for unknown words, one for words met once or twice, one for a sentence that is too long;
        none where all is known.
    """
    words = words_of(text)
    counts = {word: seen.count(word) for word in words}
    unknown = [_with_nearest(word, seen) for word, n in counts.items() if n == 0]
    seldom = [word for word, n in counts.items() if 0 < n <= SELDOM]
    result = []
    if unknown:
        result.append(f"never seen in training: {', '.join(unknown)}")
    if seldom:
        result.append(f"hardly ever seen in training: {', '.join(seldom)}")
    if len(words) > seen.longest:
        result.append(f"{len(words)} words, where hardly a sentence in training had more than {seen.longest}")
    return result


def mean_probability(logits: np.ndarray, tokens: Sequence[int]) -> float:
    """
    Return the geometric mean of the probabilities that a model gives to tokens.

    Parameters
    ----------
    logits : (L, vocab_size) array
    tokens : L whole numbers
    """
    return float(np.exp(log_probabilities(logits)[np.arange(len(tokens)), list(tokens)].mean()))


def repeats_itself(tokens: Sequence[int]) -> bool:
    """Tell whether one to four tokens follow themselves twice over."""
    tokens = list(tokens)
    return any(
        tokens[start : start + period] * TIMES == tokens[start : start + TIMES * period]
        for period in range(1, PERIOD + 1)
        for start in range(len(tokens) - TIMES * period + 1)
    )


def _with_nearest(word, seen):
    nearest = seen.nearest(word)
    return f"{word} ({nearest}?)" if nearest else word
