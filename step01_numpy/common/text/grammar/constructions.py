"""Say one thing of everyday life in both languages: one function per construction of the corpus.

Each construction takes a `Draw` and returns a `Clause`, still without its capital and full stop, so that
clauses can be put into one another. Its docstring is an example of what it says.
"""

from step01_numpy.common.text.grammar.clauses import (
    ANIMALS,
    LIGHT,
    NOTHING,
    PEOPLE,
    SURFACES,
    UNDER,
    Clause,
    around_a_place,
    at,
    company,
    date,
    doing,
    in_city,
    join,
    objects_of,
    other_pronouns,
    others,
    quality,
    sometimes,
)
from step01_numpy.common.text.grammar.lexicon import (
    FREQUENCY,
    LATE,
    MANY,
    NOUNS,
    PRONOUNS,
    THREE,
    TIMES,
    TWO,
    VERBS,
    A,
)
from step01_numpy.common.text.grammar.phrases import (
    ANY,
    DEFINITE,
    SUBJECTS,
    Draw,
    Phrase,
    adjectives_for,
    agreeing,
    noun_phrase,
    owned,
    pronoun,
    someone,
)
from step01_numpy.common.text.grammar.verb_phrases import MODALS, being, modal, past, present
from step01_numpy.common.text.grammar.words import Adjective, Determiner, Noun, Pair, Verb, with_tag

MOVES, JOURNEYS, BIRTHS, ACTS = (with_tag(VERBS, tag) for tag in ("move", "journey", "birth", "act"))
MEETINGS, TRANSFERS, ACTIVITIES = (with_tag(VERBS, tag) for tag in ("meet", "transfer", "activity"))
FINDABLE, GOALS = with_tag(NOUNS, "findable"), with_tag(NOUNS, "goal")
ADULT = adjectives_for(next(noun for noun in NOUNS if "adult" in noun.tags), "predicate")


def determiners_for(verb: Verb, negative: bool) -> tuple[Determiner, ...]:
    """Return the determiners of an object; "pas de" after a verb of meeting somebody would sound odd."""
    return SUBJECTS if negative and verb in MEETINGS else ANY


def moved(subject: Phrase, verb: Verb, where: Pair, when: Pair, negative: bool = False) -> Clause:
    """Say: They arrived late. / Ils sont arrivés tard."""
    return join(subject, past(verb, subject, negative), where, when, also=doing(verb, subject))


def movement(draw: Draw) -> Clause:
    """Say: The girls left with me yesterday. / Les filles sont parties avec moi hier."""
    subject, verb, negative = someone(draw, PEOPLE), draw(MOVES), draw.one_in(4)
    if "late" in verb.tags and draw.one_in(2):
        return moved(subject, verb, NOTHING, draw(LATE + TIMES), negative)
    where = in_city(draw) if "in" in verb.tags and draw.one_in(2) else company(draw, subject)
    return moved(subject, verb, where, sometimes(draw, TIMES), negative)


def journey(draw: Draw) -> Clause:
    """Say: She went to the museum this morning. / Elle est allée au musée ce matin."""
    subject, verb = someone(draw, PEOPLE), draw(JOURNEYS)
    place = noun_phrase(draw, GOALS, DEFINITE, single=True)
    there = Pair(f"to {place.en}", f"à {place.fr}")
    done = past(verb, subject, draw.one_in(4))
    return join(subject, done, there, sometimes(draw, TIMES), also=doing(verb, subject, place))


def birth(draw: Draw) -> Clause:
    """Say: My sister was born in Rome in May 1990. / Ma sœur est née à Rome en mai 1990."""
    subject, verb = someone(draw, PEOPLE + ANIMALS), draw(BIRTHS)
    where = in_city(draw) if draw.one_in(2) else NOTHING
    return join(subject, past(verb, subject, draw.one_in(6)), where, date(draw), also=doing(verb, subject))


def condition(draw: Draw, subject: Phrase, adjective: Adjective, was: bool) -> Clause:
    """Say: She was not tired. / Elle n'était pas fatiguée."""
    return join(subject, quality(subject, adjective, was, draw.one_in(4)), also=subject.inside)


def noun_condition(draw: Draw, was: bool, nouns: tuple[Noun, ...] = NOUNS) -> Clause:
    """Say: The boy's dog is black. / Le chien du garçon est noir."""
    noun = draw(nouns)
    if noun.tags & {"thing", "animal"} and draw.one_in(2):
        subject = owned(draw, noun, PEOPLE)
    else:
        subject = noun_phrase(draw, (noun,), DEFINITE, described=0)
    return condition(draw, subject, draw(adjectives_for(noun, "predicate")), was)


def description(draw: Draw) -> Clause:
    """Say: We were ready yesterday. / Nous étions prêts hier."""
    was = draw.one_in(2)
    if not draw.one_in(3):
        return noun_condition(draw, was)
    adjective = draw(ADULT)
    when = sometimes(draw, TIMES) if was and "passing" in adjective.tags else NOTHING
    return join(condition(draw, pronoun(draw(PRONOUNS)), adjective, was), when)


def comparison(draw: Draw) -> Clause:
    """Say: The church is older than the bridge. / L'église est plus vieille que le pont."""
    noun = draw(NOUNS)
    adjective = draw([word for word in adjectives_for(noun, "predicate") if word.comparative != "-"])
    like = [other for other in NOUNS if other.en != noun.en and other.tags & noun.tags & adjective.tags]
    subject = noun_phrase(draw, (noun,), DEFINITE, described=0)
    than = noun_phrase(draw, like, DEFINITE, described=0)
    french = f"plus {agreeing(adjective, subject)} que {than.fr}"
    more = Pair(f"{adjective.comparative} than {than.en}", french)
    verb = being(subject, draw.one_in(3), draw.one_in(5))
    return join(subject, verb, more, also=(("quality", noun.en, adjective.en),))


def meeting(draw: Draw) -> Clause:
    """Say: They did not see her yesterday. / Ils ne l'ont pas vue hier."""
    subject, verb, negative = someone(draw, PEOPLE), draw(MEETINGS), draw.one_in(3)
    whom = draw(other_pronouns(subject))
    also = (*doing(verb, subject), ("object", whom.en, verb.en))
    if draw.one_in(2):
        done, when = past(verb, subject, negative, whom.direct, pronoun(whom)), sometimes(draw, TIMES)
    else:
        often = "" if negative else draw(("", "never", *FREQUENCY))
        done, when = present(verb, subject, negative, whom.direct, often), NOTHING
    return join(subject, done, Pair(whom.en_object, ""), when, also=also)


def transfer(draw: Draw) -> Clause:
    """Say: He gave her a book. / Il lui a donné un livre."""
    subject, verb, negative = someone(draw, PEOPLE), draw(TRANSFERS), draw.one_in(4)
    thing = noun_phrase(draw, FINDABLE, negative=negative, described=4)
    also = doing(verb, subject, thing)
    if draw.one_in(2):
        whom = draw(other_pronouns(subject))
        done = past(verb, subject, negative, whom.indirect)
        return join(subject, done, Pair(whom.en_object, ""), thing, also=also)
    whom = noun_phrase(draw, others(subject), DEFINITE, described=6)
    to = Pair(f"to {whom.en}", f"à {whom.fr}")
    return join(subject, past(verb, subject, negative), thing, to, also=also + whom.inside)


def action(draw: Draw) -> Clause:
    """Say: I did not buy a red car last week. / Je n'ai pas acheté de voiture rouge la semaine dernière."""
    subject, verb, negative = someone(draw, PEOPLE), draw(ACTS + MEETINGS), draw.one_in(4)
    thing = noun_phrase(draw, objects_of(verb, subject), determiners_for(verb, negative), negative=negative)
    done = past(verb, subject, negative)
    return join(subject, done, thing, sometimes(draw, TIMES), also=doing(verb, subject, thing))


def habit(draw: Draw) -> Clause:
    """Say: The doctor never calls the minister. / Le médecin n'appelle jamais le ministre."""
    subject, verb, negative = someone(draw, PEOPLE), draw(MEETINGS), draw.one_in(3)
    thing = noun_phrase(draw, objects_of(verb, subject), DEFINITE)
    often = "" if negative else draw(("", "never", *FREQUENCY))
    return join(
        subject, present(verb, subject, negative, often=often), thing, also=doing(verb, subject, thing)
    )


def intention(draw: Draw) -> Clause:
    """Say: She wants to see them. / Elle veut les voir."""
    verbs = tuple(verb for verb in ACTS if verb.en != "lose") + MEETINGS
    subject, verb, negative = someone(draw, PEOPLE), draw(verbs), draw.one_in(4)
    name = draw(tuple(MODALS))
    if verb in MEETINGS and draw.one_in(2):
        whom = draw(other_pronouns(subject))
        also = (*doing(verb, subject), ("object", whom.en, verb.en))
        return join(
            subject, modal(name, verb, subject, negative, whom.direct), Pair(whom.en_object, ""), also=also
        )
    thing = noun_phrase(draw, objects_of(verb, subject), determiners_for(verb, negative), negative=negative)
    return join(subject, modal(name, verb, subject, negative), thing, also=doing(verb, subject, thing))


def whereabouts(draw: Draw) -> Clause:
    """Say: The keys are under the table. / Les clés sont sous la table."""
    if draw.one_in(2):
        nouns, where = PEOPLE + ANIMALS, around_a_place(draw)
    else:
        nouns, preposition = LIGHT, draw(("on", "under"))
        places = SURFACES if preposition == "on" else UNDER
        where = at(preposition, noun_phrase(draw, places, DEFINITE, described=4, single=True))
    if draw.one_in(3):
        return existence(draw, nouns, where)
    subject = noun_phrase(draw, nouns, (*DEFINITE, TWO, THREE), described=4)
    return join(subject, being(subject, draw.one_in(2), draw.one_in(4)), where, also=subject.inside)


def existence(draw: Draw, nouns: tuple[Noun, ...], where: Clause) -> Clause:
    """Say: There are many birds near the castle. / Il y a beaucoup d'oiseaux près du château."""
    thing, was = noun_phrase(draw, nouns, (A, A, TWO, THREE, MANY), described=4), draw.one_in(2)
    there_is = Pair(f"there {being(thing, was).en}", "il y avait" if was else "il y a")
    return join(there_is, thing, where, also=thing.inside)


def activity(draw: Draw) -> Clause:
    """Say: My friends played behind the school. / Mes amis ont joué derrière l'école."""
    subject, verb = someone(draw, PEOPLE), draw(ACTIVITIES)
    done, where = past(verb, subject, draw.one_in(4)), around_a_place(draw)
    return join(subject, done, where, sometimes(draw, TIMES), also=doing(verb, subject))
