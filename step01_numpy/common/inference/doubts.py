"""What a translator has not learned, said in words, so that no nonsense passes for a translation."""

from collections.abc import Sequence

import numpy as np

from step01_numpy.common.decoding.search import log_probabilities
from step01_numpy.common.text.seen import SELDOM, Seen, words_of

UNSURE = 0.78  # mean probability below which every second translation is wrong (docs/translator.md)
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


def token_log_probabilities(logits: np.ndarray, tokens: Sequence[int]) -> np.ndarray:
    """
    Return the logarithms of the probabilities that a model gives to tokens.

    Parameters
    ----------
    logits : (L, vocab_size) array
    tokens : L whole numbers

    Returns
    -------
    (L,) array
        In nats.
    """
    return log_probabilities(logits)[np.arange(len(tokens)), list(tokens)]


def unsure(log_p: np.ndarray, beginnings: Sequence[str]) -> list[str]:
    """
    Say that a model is unsure of its translation, and of which word most.

    Parameters
    ----------
    log_p : (L,) array
        Of the translation's tokens and of its end, in nats.
    beginnings : L strings
        The translation up to each of them; the last is the whole.

    Returns
    -------
    list of str
        One phrase where the geometric mean of the probabilities is under `UNSURE`, else none. It names the
        least probable word: what stands between blanks, with the product of its tokens' probabilities; the
        end counts with the last.
    """
    if np.exp(log_p.mean()) >= UNSURE:
        return []
    words = beginnings[-1].split()
    places = [max(0, len(beginning.split()) - 1) for beginning in beginnings]
    sums = np.bincount(places, weights=log_p)  # a word's
    least = f", most of all of “{words[sums.argmin()]}”" if words else ""
    return [f"the model is unsure{least}: the mean probability of its tokens is under {UNSURE}"]


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
