"""Text as people type it: the characters of a keyboard; and in a hurry, without capitals or a full stop."""

from step01_numpy.common.text.corpus import digest
from step01_numpy.common.text.parallel import Pairs

# What typography has many of and a keyboard one.
PLAIN = {
    " ": "\u00a0\u2002\u2003\u2009\u200a\u202f",
    "'": "\u2018\u2019\u02bc",
    '"': "\u201c\u201d\u201e",
    "-": "\u2010\u2011\u2013\u2014",
    "...": "\u2026",
}
_TABLE = str.maketrans({character: plain for plain, found in PLAIN.items() for character in found})
END_MARKS = ".?!"


def plain(text: str) -> str:
    """Return a text with the spaces, apostrophes, quotation marks and dashes of a keyboard."""
    return text.translate(_TABLE)


def with_hurried(pairs: Pairs, percent: int) -> Pairs:
    """
    Add pairs whose source is typed in a hurry, so that a model learns to read such, and writes as always.

    Parameters
    ----------
    pairs : list of (source, target)
    percent : int
        How many of 100 pairs are repeated so; which ones depends on their texts alone.

    Returns
    -------
    list of (source, target)
        All pairs, each one chosen followed by its hurried form: in lower case, without its last mark, or
        both.
    """
    result = []
    for source, target in pairs:
        result.append((source, target))
        drawn = digest(f"{source}\t{target}")
        if drawn % 100 < percent:
            result.append((_hurried(source, drawn // 100 % 3), target))
    return result


def with_calm(pairs: Pairs) -> Pairs:
    """
    Add pairs whose source ends in a full stop instead of an exclamation mark: "Hello." beside "Hello!".

    Parameters
    ----------
    pairs : list of (source, target)

    Returns
    -------
    list of (source, target)
        All pairs, each exclamation followed by its calm form; what is said stays the same, and so does how
        it is translated.
    """
    result = []
    for source, target in pairs:
        result.append((source, target))
        calm = source.rstrip("!").rstrip()
        if calm != source and calm[-1:].isalnum():  # not "Well?!", which asks
            result.append((calm + ".", target))
    return result


def _hurried(sentence, kind):
    if kind < 2:
        sentence = sentence.lower()
    return sentence.rstrip(END_MARKS).rstrip() or sentence if kind > 0 else sentence
