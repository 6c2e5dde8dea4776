"""Say what happens to agreements and laws, put clauses into one another, and finish sentences.

The constructions here continue those of `constructions`; the table `CONSTRUCTIONS` names them all.
"""

from functools import cache
from typing import NamedTuple

from step01_numpy.common.text.grammar import constructions as everyday
from step01_numpy.common.text.grammar.clauses import (
    ANIMALS,
    NOTHING,
    PEOPLE,
    PLACES,
    Clause,
    date,
    doing,
    in_city,
    join,
    month_of,
    objects_of,
    quality,
    sometimes,
)
from step01_numpy.common.text.grammar.constructions import ACTS, ADULT, MEETINGS
from step01_numpy.common.text.grammar.lexicon import (
    LATE,
    MANY,
    MONTHS,
    NOUNS,
    PRONOUNS,
    THE,
    THIS,
    THREE,
    TIMES,
    TOPICS,
    TWO,
    VERBS,
    A,
)
from step01_numpy.common.text.grammar.phrases import (
    DEFINITE,
    Combination,
    Draw,
    Phrase,
    adjectives_for,
    noun_phrase,
    pronoun,
    someone,
    spell,
)
from step01_numpy.common.text.grammar.verb_phrases import passive, past, present
from step01_numpy.common.text.grammar.words import Pair, Verb, with_tag

DOCUMENTS, LEADERS = with_tag(NOUNS, "document"), with_tag(NOUNS, "leader")
TEXTS = tuple(noun for noun in NOUNS if noun.en in ("book", "letter", "report"))
OFFICIAL, DEBATES, OPINIONS = (with_tag(VERBS, tag) for tag in ("official", "debate", "opinion"))
WRITING = with_tag(VERBS, "text")
THE_OR_THIS = (THE, THE, THE, THIS)
LONGEST = 16  # words, in either language


class Sentence(NamedTuple):
    """A finished pair, the combinations of words in it and the construction it came from."""

    english: str
    french: str
    combinations: tuple[Combination, ...]
    construction: str


# ---- agreements, laws and their topics --------------------------------------------------------------------


def on(preposition: str, thing: Phrase, topic: Pair) -> Clause:
    """Return "on climate change" after a document, "about climate change" after a book."""
    return Clause(f"{preposition} {topic.en}", f"sur {topic.fr}", (("topic", thing.heads[0], topic.en),))


def signed(
    thing: Phrase, topic: Clause | Pair, verb: Verb, where: Pair, when: Pair, negative: bool = False
) -> Clause:
    """Say: The treaty was signed in May 1990. / Le traité a été signé en mai 1990."""
    also = thing.related("object", verb.en)
    return join(thing, topic, passive(verb, thing, negative), where, when, also=also)


def signing(draw: Draw) -> Clause:
    """Say: The laws on fishing rights were adopted. / Les lois sur les droits de pêche ont été adoptées."""
    thing = noun_phrase(draw, DOCUMENTS, THE_OR_THIS, described=5)
    topic = NOTHING if draw.one_in(4) else on("on", thing, draw(TOPICS))
    where = in_city(draw) if draw.one_in(3) else NOTHING
    when = NOTHING if where.en and draw.one_in(2) else date(draw)
    return signed(thing, topic, draw(OFFICIAL), where, when, draw.one_in(5))


def history(draw: Draw) -> Clause:
    """Say: In 1990, I signed the law on free trade. / En 1990, j'ai signé la loi sur le libre-échange."""
    subject, verb, when = someone(draw, LEADERS), draw(OFFICIAL), date(draw)
    thing = noun_phrase(draw, DOCUMENTS, THE_OR_THIS, described=5)
    topic, done = on("on", thing, draw(TOPICS)), past(verb, subject, draw.one_in(5))
    said = join(subject, done, thing, topic, also=doing(verb, subject, thing))
    return join(Pair(f"{when.en},", f"{when.fr},"), said) if draw.one_in(2) else join(said, when)


def debate(draw: Draw) -> Clause:
    """Say: They discussed human rights in Geneva. / Ils ont discuté des droits de l'homme à Genève."""
    subject, verb, topic = someone(draw, PEOPLE), draw(DEBATES), draw(TOPICS)
    where = in_city(draw) if draw.one_in(2) else NOTHING
    when = sometimes(draw, (date(draw), draw(TIMES)))
    also = (*doing(verb, subject), ("topic", verb.en, topic.en))
    matter = Pair(topic.en, f"de {topic.fr}")
    return join(subject, past(verb, subject, draw.one_in(5)), matter, where, when, also=also)


def reading(draw: Draw) -> Clause:
    """Say: She wrote two letters about public health. / Elle a écrit deux lettres sur la santé publique."""
    subject, verb, negative = someone(draw, PEOPLE), draw(WRITING), draw.one_in(5)
    thing = noun_phrase(draw, TEXTS, (A, A, THE, TWO, THREE, MANY), negative=negative, described=5)
    topic, done = on("about", thing, draw(TOPICS)), past(verb, subject, negative)
    return join(subject, done, thing, topic, sometimes(draw, TIMES), also=doing(verb, subject, thing))


def verdict(draw: Draw) -> Clause:
    """Say: The report on public health was long. / Le rapport sur la santé publique était long."""
    thing = noun_phrase(draw, DOCUMENTS, THE_OR_THIS, described=0)
    adjective = draw(adjectives_for(DOCUMENTS[0], "predicate"))
    state = quality(thing, adjective, draw.one_in(2), draw.one_in(4))
    return join(thing, on("on", thing, draw(TOPICS)), state)


def chronicle(draw: Draw) -> Clause:
    """Say: The old bridge was built in Rome in 1990. / Le vieux pont a été construit à Rome en 1990."""
    verb = draw([verb for verb in ACTS if verb.en != "read"])
    thing = noun_phrase(draw, with_tag(NOUNS, *verb.tags), DEFINITE)
    where, done = in_city(draw) if draw.one_in(3) else NOTHING, passive(verb, thing, draw.one_in(5))
    return join(thing, done, where, date(draw), also=thing.related("object", verb.en))


# ---- clauses in clauses -----------------------------------------------------------------------------------


def who_did(draw: Draw) -> Clause:
    """Say: The man who bought the castle is rich. / L'homme qui a acheté le château est riche."""
    noun = draw([noun for noun in PEOPLE if "kin" not in noun.tags])
    verb, negative = draw(ACTS + MEETINGS), draw.one_in(4)
    subject = noun_phrase(draw, (noun,), THE_OR_THIS, described=0)
    determiners = everyday.determiners_for(verb, negative)
    thing = noun_phrase(draw, objects_of(verb, subject), determiners, negative=negative, described=4)
    state = quality(subject, draw(adjectives_for(noun, "predicate")), draw.one_in(2), draw.one_in(5))
    done = past(verb, subject, negative)
    return join(subject, Pair("who", "qui"), done, thing, state, also=doing(verb, subject, thing))


def what_was_done(draw: Draw) -> Clause:
    """Say: The letters that she wrote were long. / Les lettres qu'elle a écrites étaient longues."""
    subject, verb = someone(draw, PEOPLE), draw(ACTS + MEETINGS)
    noun = draw([noun for noun in objects_of(verb, subject) if "kin" not in noun.tags])
    thing = noun_phrase(draw, (noun,), THE_OR_THIS, described=0)
    done = past(verb, subject, draw.one_in(4), before=thing)
    state = quality(thing, draw(adjectives_for(noun, "predicate")), draw.one_in(2), draw.one_in(5))
    return join(thing, Pair("that", "que"), subject, done, state, also=doing(verb, subject, thing))


def opinion(draw: Draw) -> Clause:
    """Say: I know that they were tired. / Je sais qu'ils étaient fatigués."""
    subject, verb = someone(draw, PEOPLE), draw(OPINIONS)
    # "The women know that they …" would ask for "elles", and "they" is always "ils" here.
    women = subject.gender == "f" and subject.many
    of_anyone = (everyday.movement, everyday.description, everyday.meeting, everyday.birth, signing)
    said = draw((signing, chronicle) if women else of_anyone)(draw)
    return join(subject, present(verb, subject), Pair("that", "que"), said, also=doing(verb, subject))


def reason(draw: Draw) -> Clause:
    """Say: She left early because she was tired. / Elle est partie tôt parce qu'elle était fatiguée."""
    effect = everyday.movement(draw)
    again = [word for word in PRONOUNS if word.en == effect.en.split()[0]]
    if again and not draw.one_in(4):
        cause = everyday.condition(draw, pronoun(again[0]), draw(ADULT), True)
    else:
        cause = everyday.noun_condition(draw, True, PEOPLE + ANIMALS + PLACES)
    return join(effect, Pair("because", "parce que"), cause)


# How many different sentences of each construction the corpus holds.
CONSTRUCTIONS = {
    everyday.movement: 1500,
    everyday.journey: 800,
    everyday.birth: 800,
    everyday.description: 1400,
    everyday.comparison: 700,
    everyday.meeting: 1800,
    everyday.transfer: 1200,
    everyday.action: 1600,
    everyday.habit: 1200,
    everyday.intention: 1800,
    everyday.whereabouts: 1200,
    everyday.activity: 900,
    signing: 2200,
    history: 1200,
    debate: 1000,
    reading: 900,
    verdict: 700,
    chronicle: 900,
    who_did: 1300,
    what_was_done: 2400,
    opinion: 1200,
    reason: 1000,
}


def finish(clause: Clause, construction: str) -> Sentence:
    """Spell a clause out as a sentence, with capital and full stop."""
    en, fr = (f"{text[0].upper()}{text[1:]}." for text in (clause.en, spell(clause.fr)))
    return Sentence(en, fr, clause.combinations, construction)


def shown() -> tuple[Sentence, Sentence]:
    """Return the two sentences whose attention maps the lessons show."""
    they = pronoun(next(word for word in PRONOUNS if word.en == "they"))
    arrive, sign = (next(verb for verb in VERBS if verb.en == name) for name in ("arrive", "sign"))
    agreement = Phrase("the agreement", "le accord", 1, "m", ("agreement",))
    area = on("on", agreement, next(topic for topic in TOPICS if topic.en == "the European Economic Area"))
    august = month_of(next(month for month in MONTHS if month.en == "August"), "1992")
    late = everyday.moved(they, arrive, NOTHING, next(when for when in LATE if when.en == "late"))
    return finish(late, "movement"), finish(signed(agreement, area, sign, NOTHING, august), "signing")


@cache
def sentences() -> tuple[Sentence, ...]:
    """Return the sentences of all constructions, each English sentence once.

    Returns
    -------
    tuple[Sentence, ...]
        The same in every process; none of the sentences has more than 16 words.
    """
    found = {sentence.english: sentence for sentence in shown()}
    for construction, wanted in CONSTRUCTIONS.items():
        draw, full = Draw(construction.__name__), len(found) + wanted
        while len(found) < full:
            sentence = finish(construction(draw), construction.__name__)
            if max(sentence.english.count(" "), sentence.french.count(" ")) < LONGEST:
                known = found.setdefault(sentence.english, sentence)
                assert known.french == sentence.french, (known, sentence)
    return tuple(found.values())
