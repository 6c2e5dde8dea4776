"""Put words and phrases in a row, in both languages: clauses and the parts many of them share."""

from functools import cache
from typing import NamedTuple

from step01_numpy.common.text.grammar.lexicon import (
    CITIES,
    MONTHS,
    NOUNS,
    OWN,
    PREPOSITIONS,
    PRONOUNS,
    THE,
    YEARS,
)
from step01_numpy.common.text.grammar.phrases import (
    DEFINITE,
    Combination,
    Draw,
    Phrase,
    agreeing,
    noun_phrase,
)
from step01_numpy.common.text.grammar.verb_phrases import being
from step01_numpy.common.text.grammar.words import Adjective, Noun, Pair, Pronoun, Verb, with_tag

PEOPLE, ANIMALS, PLACES = (with_tag(NOUNS, tag) for tag in ("person", "animal", "place"))
INSIDE, UNDER, SURFACES, LIGHT = (with_tag(NOUNS, tag) for tag in ("inside", "under", "surface", "light"))
NOTHING = Pair("", "")


class Clause(NamedTuple):
    """A clause in both languages and the combinations of words in it."""

    en: str
    fr: str
    combinations: tuple[Combination, ...]


def join(*parts: Pair | Phrase | Clause, also: tuple[Combination, ...] = ()) -> Clause:
    """Put parts in a row, in both languages; of clauses among them, keep the combinations."""
    en = " ".join(part.en for part in parts if part.en)
    fr = " ".join(part.fr for part in parts if part.fr)
    return Clause(en, fr, sum((part.combinations for part in parts if isinstance(part, Clause)), also))


def doing(verb: Verb, subject: Phrase, thing: Phrase | None = None) -> tuple[Combination, ...]:
    """Return the combinations of a verb with its subject and its object."""
    return subject.related("subject", verb.en) + (thing.related("object", verb.en) if thing else ())


def objects_of(verb: Verb, subject: Phrase) -> tuple[Noun, ...]:
    """Return what the subject can do this to; nobody meets his like."""
    return tuple(noun for noun in _objects(verb) if noun.en not in subject.heads)


@cache
def _objects(verb: Verb) -> tuple[Noun, ...]:
    return with_tag(NOUNS, *verb.tags)


def others(subject: Phrase) -> tuple[Noun, ...]:
    """Return the people who are not in the subject."""
    return tuple(noun for noun in PEOPLE if noun.en not in subject.heads)


def other_pronouns(subject: Phrase) -> tuple[Pronoun, ...]:
    """Return the pronouns that can be an object of this subject: "we see me" is no sentence."""
    same = {"I": ("I", "we"), "we": ("I", "we"), "you": ("you",)}.get(subject.heads[0], ())
    return tuple(word for word in PRONOUNS if word.en not in same)


def sometimes(draw: Draw, options: tuple[Pair, ...]) -> Pair:
    """Return nothing or, as often, one of the options."""
    return NOTHING if draw.one_in(2) else draw(options)


def in_city(draw: Draw) -> Pair:
    """Return "in Brussels", "à Bruxelles"."""
    city = draw(CITIES)
    return Pair(f"in {city.en}", f"à {city.fr}")


def date(draw: Draw) -> Pair:
    """Return "in August 1992" or, once in four times, "in 1992"."""
    month, year = draw(MONTHS), draw(YEARS)
    return Pair(f"in {year}", f"en {year}") if draw.one_in(4) else month_of(month, year)


def month_of(month: Pair, year: str) -> Pair:
    """Return "in August 1992", "en août 1992"."""
    return Pair(f"in {month.en} {year}", f"en {month.fr} {year}")


def company(draw: Draw, subject: Phrase) -> Pair:
    """Return "with her", "avec elle", or the same with a noun."""
    if draw.one_in(2):
        word = draw(other_pronouns(subject))
        return Pair(f"with {word.en_object}", f"avec {word.stressed}")
    other = noun_phrase(draw, others(subject), (THE, *OWN), described=0)
    return Pair(f"with {other.en}", f"avec {other.fr}")


def at(preposition: str, place: Phrase) -> Clause:
    """Return "in front of the church", "devant l'église"."""
    french = f"{PREPOSITIONS[preposition]} {place.fr}"
    return Clause(f"{preposition} {place.en}", french, place.related("place", preposition))


def around_a_place(draw: Draw) -> Clause:
    """Return where people and animals may be."""
    preposition = draw(("in", "in", "behind", "near", "in front of", "next to"))
    nouns = INSIDE if preposition == "in" else PLACES
    return at(preposition, noun_phrase(draw, nouns, DEFINITE, described=4, single=True))


def quality(subject: Phrase, adjective: Adjective, was: bool, negative: bool) -> Clause:
    """Return "was not tired" in agreement with the subject."""
    also = tuple(("quality", head, adjective.en) for head in subject.heads)
    french = agreeing(adjective, subject)
    return join(being(subject, was, negative), Pair(adjective.en, french), also=also)
