"""Split the embedded English-French corpus into what is trained on and what is held out.

What is held out are combinations: `sentences` tags every sentence with the pairs of dictionary words that
stand in a grammatical relation in it, such as ``("subject", "they", "arrive")`` or
``("object", "house", "buy")``. The relations are

- ``subject``: who, verb (never I, we or you: their French verb forms would not be trained on at all)
- ``object``: noun or pronoun, verb (also of passives, relative clauses and "go to")
- ``quality``: noun or pronoun, adjective (beside the noun or after to be)
- ``owner``: owner, thing
- ``place``: place, preposition
- ``topic``: document or verb of debate, topic

Two combinations and a digest's choice of 45 in 1000 of the others are held out. Every sentence that holds
one of them, in whatever tense, number or construction, goes to ``held_out``; no other split contains any.
Each word of ``held_out``, in either language, stands in at least 20 sentences of ``train``. Of the other
sentences, 20 in 1000 are ``validation``: new sentences of combinations that are trained on.
"""

from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the grammar itself is imported when the corpus is written: it would slow every start
    from step01_numpy.common.text.grammar.phrases import Combination
    from step01_numpy.common.text.grammar.sentences import Sentence

# Held out whatever the digest says: of a sentence with each, the lessons show the attention map.
ALWAYS_HELD_OUT = (
    ("subject", "they", "arrive"),
    ("topic", "agreement", "the European Economic Area"),
)
HELD_OUT_PER_MILLE = 45
VALIDATION_PER_MILLE = 20


class Corpus(NamedTuple):
    """The three splits, each a list of ``(english, french)``.

    Parameters
    ----------
    train, validation, held_out : list[tuple[str, str]]
        Pairs in an order that mixes the constructions, so that the first thousand are a fair sample.
    """

    train: list[tuple[str, str]]
    validation: list[tuple[str, str]]
    held_out: list[tuple[str, str]]


def embedded_corpus() -> Corpus:
    """Return the corpus that the project writes itself, the same in every process.

    Returns
    -------
    Corpus
        Fresh lists, so that a caller may shuffle them.
    """
    return Corpus(**{name: list(pairs) for name, pairs in _splits().items()})


@cache
def _splits() -> dict[str, tuple[tuple[str, str], ...]]:
    from step01_numpy.common.text.grammar.sentences import sentences

    splits: dict[str, list[tuple[str, str]]] = {name: [] for name in Corpus._fields}
    for sentence in sorted(sentences(), key=lambda sentence: digest(sentence.english)):
        splits[split_of(sentence)].append((sentence.english, sentence.french))
    return {name: tuple(pairs) for name, pairs in splits.items()}


def digest(text: str) -> int:
    """Return a number of 64 bits that depends on the text alone."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def split_of(sentence: "Sentence") -> str:
    """Name the split of a sentence: "train", "validation" or "held_out"."""
    if any(map(is_held_out, sentence.combinations)):
        return "held_out"
    return "validation" if digest(sentence.english) % 1000 < VALIDATION_PER_MILLE else "train"


@cache
def is_held_out(combination: "Combination") -> bool:
    """Tell whether this combination of words is kept out of training and validation.

    Parameters
    ----------
    combination : tuple[str, str, str]
        A relation and two English dictionary words.

    Returns
    -------
    bool
        True for `ALWAYS_HELD_OUT` and for what the digest chooses.
    """
    relation, word, _ = combination
    if relation == "subject" and word in ("I", "we", "you"):
        return False
    return combination in ALWAYS_HELD_OUT or digest(" ".join(combination)) % 1000 < HELD_OUT_PER_MILLE
