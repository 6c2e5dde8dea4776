"""What a translator was trained on, so far as it tells what it has not learned: its words, counted."""

import base64
import binascii
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from step01_numpy.common.text.as_typed import plain

SELDOM = 2  # a word met no more often than this has not been learned
MOST = 2**24  # bytes of a file's list, unpacked
AS_LONG = 20  # so many sentences at least were as long as the longest that counts as learned


def words_of(text: str) -> list[str]:
    """Return the words, numbers and uncommon characters of a text, as they are written."""
    return re.findall(r"\w+|[^\w\s!-~]", plain(text))


@dataclass(frozen=True)
class Seen:
    """
    The source side of a training.

    Attributes
    ----------
    counts : str
        " word count word count … ", in alphabetical order and without case.
    longest : int
        Words of a long sentence: at least 20 in training had as many.
    """

    counts: str
    longest: int

    @cached_property
    def table(self) -> dict[str, int]:
        """The counts by word."""
        found = self.counts.split()
        return dict(zip(found[::2], map(int, found[1::2]), strict=True))

    def count(self, word: str) -> int:
        """Return how often a word was met, in whatever case."""
        return self.table.get(word.casefold(), 0)

    def nearest(self, word: str) -> str | None:
        """Return the learned word whose spelling is nearest to this one, or None where all are far."""
        first = word.casefold()[0]
        learned = [known for known, n in self.table.items() if n > SELDOM and known[0] == first]
        return next(iter(get_close_matches(word.casefold(), learned, n=1, cutoff=0.75)), None)

    def joined(self, earlier: "Seen") -> "Seen":
        """Return what two trainings of one model have seen: of a word, the larger of its two counts."""
        counts = Counter(earlier.table) | Counter(self.table)  # | takes the larger
        return Seen(_as_text(counts), max(self.longest, earlier.longest))

    def to_dict(self) -> dict:
        """Return what `from_dict` takes, for a JSON file."""
        packed = base64.b64encode(zlib.compress(self.counts.encode(), 9)).decode()
        return {"longest": self.longest, "words": packed}

    @classmethod
    def from_dict(cls, values: dict) -> "Seen":
        """
        Build from what `to_dict` returned.

        Raises
        ------
        ValueError
            For anything else.
        """
        try:
            packed = base64.b64decode(values["words"], validate=True)
            return cls(zlib.decompressobj().decompress(packed, MOST).decode(), int(values["longest"]))
        except (TypeError, KeyError, ValueError, zlib.error, binascii.Error) as error:
            raise ValueError(f"seen is no list of counted words: {error}") from error


def seen_in(sentences: Iterable[str]) -> Seen:
    """Count the words of the sentences that are trained on."""
    words = [words_of(sentence.casefold()) for sentence in sentences]
    counts = Counter(word for sentence in words for word in sentence)
    lengths = sorted(map(len, words), reverse=True)
    return Seen(
        _as_text(counts),
        lengths[min(AS_LONG, len(lengths)) - 1] if lengths else 0,
    )


def _as_text(counts):
    return " ".join(["", *(f"{word} {n}" for word, n in sorted(counts.items())), ""])
