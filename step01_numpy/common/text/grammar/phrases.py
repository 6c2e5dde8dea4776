"""Build English and French noun phrases side by side, and spell French.

Whoever builds both languages at once knows the gender and number that French agrees with. The French
follows from the English alone: "I" is a man, "you" are several people, "they" are always "ils".
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import shake_256
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from step01_numpy.common.text.grammar.lexicon import ADJECTIVES, MANY, OWN, PRONOUNS, THE, THIS, THREE, TWO, A
from step01_numpy.common.text.grammar.words import Adjective, Determiner, Noun, Pronoun, plural, with_tag

# A grammatical relation between two dictionary words, ("object", "house", "buy"): what the split holds out.
Combination = tuple[str, str, str]

DEFINITE = (THE,) * 6 + (THIS, *OWN)
SUBJECTS = (*DEFINITE, TWO, THREE, MANY)
ANY = SUBJECTS + (A,) * 5
POSSESSIVES = frozenset(determiner.en for determiner in OWN)

ELISION = re.compile(r"\b(?:(l)[ea]|([djmn]|qu)e) (?=[aeiouhâéêôœ])", re.IGNORECASE)
CONTRACTION = re.compile(r"\b(?:de|à) les?\b")
CONTRACTED = {"de le": "du", "de les": "des", "à le": "au", "à les": "aux"}


class Draw:
    """Choose from sequences, the same way in every process and with every library version.

    Parameters
    ----------
    name : str
        Names the stream of choices; equal names choose alike.
    """

    def __init__(self, name: str) -> None:
        self._numbers = self._stream(name)

    @staticmethod
    def _stream(name: str) -> Iterator[int]:
        for block in count():
            digest = shake_256(f"{name} {block}".encode()).digest(4096)
            yield from np.frombuffer(digest, dtype="<u4").tolist()

    def __call__(self, options: Sequence[Any]) -> Any:
        """Return one of the options."""
        return options[next(self._numbers) % len(options)]

    def one_in(self, n: int) -> bool:
        """Return True once in n times."""
        return next(self._numbers) % n == 0


class Phrase(NamedTuple):
    """A subject or an object, and what a verb has to know of it.

    Parameters
    ----------
    en, fr : str
        The words.
    person : int
        0 je, 1 il, 2 nous, 3 vous, 4 ils.
    gender : str
        "m" or "f".
    heads : tuple[str, ...]
        The English dictionary words it is about.
    inside : tuple[Combination, ...]
        The combinations within it.
    """

    en: str
    fr: str
    person: int
    gender: str
    heads: tuple[str, ...]
    inside: tuple[Combination, ...] = ()

    @property
    def many(self) -> bool:
        """Whether French agrees with it in the plural."""
        return self.person >= 2

    def related(self, relation: str, word: str) -> tuple[Combination, ...]:
        """Return the combinations inside it and those of its heads with another word."""
        return self.inside + tuple((relation, head, word) for head in self.heads)


# ---- spelling and agreement -------------------------------------------------------------------------------


def spell(french: str) -> str:
    """Elide and contract: "de le accord" becomes "de l'accord", "à les écoles" becomes "aux écoles".

    Parameters
    ----------
    french : str
        Words in their full form. The clitics le and les may not follow de or à here.

    Returns
    -------
    str
        The words as they are written.
    """
    elided = ELISION.sub(r"\1\2'", french)
    return CONTRACTION.sub(lambda found: CONTRACTED[found[0]], elided)


def starts_with_vowel(french: str) -> bool:
    """Tell whether the word before this one elides; every h of the lexicon is mute."""
    return french[0] in "aeiouhâéêôœ"


def agree(masculine: str, feminine: str, gender: str, many: bool) -> str:
    """Return the form of an adjective or participle for this gender and number."""
    form = feminine if gender == "f" else masculine
    return plural(form) if many else form


def agreeing(adjective: Adjective, subject: Phrase) -> str:
    """Return the French adjective as it follows être."""
    return agree(adjective.fr, adjective.feminine, subject.gender, subject.many)


# ---- noun phrases -----------------------------------------------------------------------------------------


def pronoun(word: Pronoun) -> Phrase:
    """Return a pronoun as a subject."""
    return Phrase(word.en, word.fr, word.person, word.gender, (word.en,))


@cache
def adjectives_for(noun: Noun, position: str) -> tuple[Adjective, ...]:
    """Return the adjectives that suit a noun; `position` is "attribute" or "predicate"."""
    elsewhere = "predicate" if position == "attribute" else "attribute"
    return tuple(word for word in with_tag(ADJECTIVES, *noun.tags) if elsewhere not in word.tags)


def suited(draw: Draw, determiner: Determiner, noun: Noun) -> Determiner:
    """Return the determiner, or one that suits the noun better: "the minister", but "my sister"."""
    if determiner.en in POSSESSIVES and "own" not in noun.tags:
        return THE
    return draw(OWN) if determiner is THE and "kin" in noun.tags else determiner


def noun_phrase(
    draw: Draw,
    nouns: Sequence[Noun],
    determiners: Sequence[Determiner] = ANY,
    *,
    described: int = 3,
    negative: bool = False,
    single: bool = False,
) -> Phrase:
    """Build determiner, noun and sometimes an adjective.

    Parameters
    ----------
    draw : Draw
        The source of every choice.
    nouns, determiners : sequence
        What to choose from.
    described : int
        One phrase in so many has an adjective; 0 for none.
    negative : bool
        Whether it is the object of a negated verb, where un and une become de.
    single : bool
        Whether it must be in the singular.

    Returns
    -------
    Phrase
        The phrase, in the third person.
    """
    noun = draw(nouns)
    determiner = suited(draw, draw(determiners), noun)
    many = not determiner.en or (bool(determiner.en_plural) and not single and draw.one_in(2))
    adjective = draw(adjectives_for(noun, "attribute")) if described and draw.one_in(described) else None
    inside = (("quality", noun.en, adjective.en),) if adjective else ()
    en = english(determiner, adjective, noun, many)
    fr = french(determiner, adjective, noun, many, negative)
    return Phrase(en, fr, 4 if many else 1, noun.gender, (noun.en,), inside)


def english(determiner: Determiner, adjective: Adjective | None, noun: Noun, many: bool) -> str:
    """Return "the small dogs", "an old dog"."""
    words = [adjective.en] if adjective else []
    words.append(noun.en_plural if many else noun.en)
    first = determiner.en_plural if many else determiner.en
    return " ".join(["an" if first == "a" and words[0][0] in "aeio" else first, *words])


def french(
    determiner: Determiner, adjective: Adjective | None, noun: Noun, many: bool, negative: bool = False
) -> str:
    """Return "les petits chiens", "un vieil hôtel", "une voiture rouge"."""
    words = [noun.fr_plural if many else noun.fr]
    if adjective:
        before_vowel = adjective.before_noun and not many and starts_with_vowel(noun.fr)
        masculine = adjective.fr_vowel if before_vowel else adjective.fr
        form = agree(masculine, adjective.feminine, noun.gender, many)
        words.insert(0 if adjective.before_noun else 1, form)
    if negative and determiner is A:
        return " ".join(["de", *words])
    return " ".join([_determiner(determiner, noun.gender, many, starts_with_vowel(words[0])), *words])


def _determiner(determiner: Determiner, gender: str, many: bool, before_vowel: bool) -> str:
    if many:
        return determiner.plural
    if before_vowel and gender == "f" and determiner.feminine in ("ma", "sa"):
        return determiner.masculine
    if before_vowel and gender == "m" and determiner is THIS:
        return "cet"
    return determiner.masculine if gender == "m" else determiner.feminine


def owned(draw: Draw, thing: Noun, owners: Sequence[Noun]) -> Phrase:
    """Build "the boy's dog", "le chien du garçon": the languages name the two in opposite order."""
    owner, many = draw(owners), draw.one_in(2)
    whose = suited(draw, draw((THE, THE, *OWN)), owner)
    en = f"{english(whose, None, owner, False)}'s {thing.en_plural if many else thing.en}"
    fr = f"{french(THE, None, thing, many)} de {french(whose, None, owner, False)}"
    return Phrase(en, fr, 4 if many else 1, thing.gender, (thing.en,), (("owner", owner.en, thing.en),))


def both(first: Phrase, second: Phrase) -> Phrase:
    """Join two subjects by "and"; French takes the feminine only where both are feminine."""
    gender = "f" if first.gender == second.gender == "f" else "m"
    en, fr = f"{first.en} and {second.en}", f"{first.fr} et {second.fr}"
    return Phrase(en, fr, 4, gender, first.heads + second.heads, first.inside + second.inside)


def someone(draw: Draw, nouns: Sequence[Noun]) -> Phrase:
    """Return a subject: a pronoun, a noun phrase, or two joined by "and"."""
    if draw.one_in(2):
        return pronoun(draw(PRONOUNS))
    first = noun_phrase(draw, nouns, SUBJECTS, described=4)
    if not draw.one_in(6):
        return first
    others = [noun for noun in nouns if noun.en not in first.heads]
    return both(first, noun_phrase(draw, others, (THE, *OWN), described=0))
