"""Say what a dictionary knows of a word, and read such words from tables.

The columns of a table are separated by two spaces or more.
"""

import re
from typing import Any, NamedTuple


class Noun(NamedTuple):
    """A noun in both numbers; `tags` say what can be said of it and done to it."""

    en: str
    en_plural: str
    fr: str
    fr_plural: str
    gender: str
    tags: frozenset[str]


class Adjective(NamedTuple):
    """An adjective; `fr_vowel` is the masculine before a vowel (le bel arbre), `tags` whom it suits."""

    en: str
    comparative: str
    fr: str
    fr_vowel: str
    feminine: str
    before_noun: bool
    tags: frozenset[str]


class Verb(NamedTuple):
    """A verb; `present` runs je, il, nous, vous, ils and is empty where the corpus needs no present."""

    en: str
    past: str
    en_participle: str
    infinitive: str
    participle: str
    present: tuple[str, ...]
    with_be: bool
    tags: frozenset[str]


class Pronoun(NamedTuple):
    """A personal pronoun; `person` counts 0 je, 1 il, 2 nous, 3 vous, 4 ils."""

    en: str
    en_object: str
    fr: str
    direct: str
    indirect: str
    stressed: str
    person: int
    gender: str


class Determiner(NamedTuple):
    """A determiner; an empty English form means that this number does not exist."""

    en: str
    en_plural: str
    masculine: str
    feminine: str
    plural: str


class Pair(NamedTuple):
    """The same words in both languages."""

    en: str
    fr: str


def rows(table: str) -> list[list[str]]:
    """Split a table into its lines and columns."""
    return [re.split(r" {2,}", line.strip()) for line in table.strip().splitlines()]


def with_tag(words: tuple[Any, ...], *tags: str) -> tuple[Any, ...]:
    """Return the words that carry at least one of the tags."""
    return tuple(word for word in words if word.tags.intersection(tags))


def plural(french: str) -> str:
    """Return the regular French plural of a noun, adjective or participle."""
    if french[-1] in "sx":
        return french
    return french + ("x" if french.endswith("eau") else "s")


def add_s(english: str) -> str:
    """Add the s of the plural or of the third person to the first word: churches, waits for."""
    first, *rest = english.split()
    return " ".join([first + ("es" if first.endswith(("s", "sh", "ch", "x", "o")) else "s"), *rest])


def noun(english: str, french: str, gender: str, tags: str) -> Noun:
    """Read a noun; ``man/men`` gives an irregular plural."""
    en, _, en_plural = english.partition("/")
    fr, _, fr_plural = french.partition("/")
    tagged = frozenset(tags.split())
    return Noun(en, en_plural or add_s(en), fr, fr_plural or plural(fr), gender, tagged)


def adjective(en: str, comparative: str, french: str, feminine: str, place: str, tags: str) -> Adjective:
    """Read an adjective; ``beau/bel`` gives the form before a vowel."""
    fr, _, vowel = french.partition("/")
    return Adjective(en, comparative, fr, vowel or fr, feminine, place == "before", frozenset(tags.split()))


def verb(english: str, french: str, present: str, tags: str) -> Verb:
    """Read a verb from ``write/wrote/written``, ``écrire/écrit`` and its present: forms, "-er" or "-"."""
    en, past, *participle = english.split("/")
    infinitive, fr_participle = french.split("/")
    stem, forms = infinitive.removesuffix("er"), tuple(present.split())
    regular = tuple(stem + ending for ending in ("e", "e", "ons", "ez", "ent"))
    tagged = frozenset(tags.split())
    return Verb(
        en=en,
        past=past,
        en_participle=participle[0] if participle else past,
        infinitive=infinitive,
        participle=fr_participle,
        present=regular if present == "-er" else () if present == "-" else forms,
        with_be="être" in tagged,
        tags=tagged,
    )
