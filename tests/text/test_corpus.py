"""The embedded corpus: correct French, the two sentences shown, and what is held out of training."""

import re
import subprocess
import sys
from collections import Counter
from functools import cache
from hashlib import blake2b

import pytest

from step01_numpy.common.text.corpus import ALWAYS_HELD_OUT, embedded_corpus, is_held_out, split_of
from step01_numpy.common.text.grammar.lexicon import (
    ADJECTIVES,
    MANY,
    NOUNS,
    OWN,
    PRONOUNS,
    THE,
    THIS,
    VERBS,
    A,
)
from step01_numpy.common.text.grammar.phrases import Draw, both, english, french, noun_phrase, pronoun, spell
from step01_numpy.common.text.grammar.sentences import CONSTRUCTIONS, LONGEST, sentences
from step01_numpy.common.text.grammar.verb_phrases import modal, passive, past, present

VOWEL = "[aeiouhâéêôœ]"


def word(table, en):
    return next(entry for entry in table if entry.en == en)


def subject(en):
    return pronoun(word(PRONOUNS, en))


def the(en):
    return noun_phrase(Draw("any"), [word(NOUNS, en)], [THE], described=0, single=True)


@cache
def tagged():
    return [(split_of(sentence), sentence) for sentence in sentences()]


@cache
def all_french():
    return [pair[1] for split in embedded_corpus() for pair in split]


def words(text):
    return re.findall(r"[\w-]+", text.lower())


# ---- the whole --------------------------------------------------------------------------------------------


def test_enough_pairs_and_each_english_sentence_once():
    corpus = embedded_corpus()
    assert len(corpus.train) >= 22_000
    assert 400 <= len(corpus.validation) <= 600
    assert 1_000 <= len(corpus.held_out) <= 2_500
    everything = [english for split in corpus for english, _ in split]
    assert len(set(everything)) == len(everything) >= 24_000


def test_the_sentences_shown_are_held_out():
    held_out = dict(embedded_corpus().held_out)
    assert held_out["They arrived late."] == "Ils sont arrivés tard."
    assert (
        held_out["The agreement on the European Economic Area was signed in August 1992."]
        == "L'accord sur la zone économique européenne a été signé en août 1992."
    )


def test_a_caller_may_shuffle_what_he_gets():
    first = embedded_corpus()
    expected = list(first.train)
    first.train.clear()
    assert embedded_corpus().train == expected


def test_another_process_builds_the_same():
    script = (
        "from hashlib import blake2b; from step01_numpy.common.text.corpus import embedded_corpus; "
        "print(blake2b(repr(embedded_corpus()).encode()).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == blake2b(repr(embedded_corpus()).encode()).hexdigest()


def test_words_are_few_and_sentences_of_moderate_length():
    for side in range(2):
        texts = [pair[side] for split in embedded_corpus() for pair in split]
        assert 250 <= len({word for text in texts for word in words(text)}) <= 450
        lengths = [len(text.split()) for text in texts]
        assert min(lengths) <= 3
        assert 12 < max(lengths) <= LONGEST


# ---- what is held out -------------------------------------------------------------------------------------


def test_corpus_splits_as_split_of_says():
    corpus = embedded_corpus()._asdict()
    counts = Counter(split for split, _ in tagged())
    assert counts == {name: len(pairs) for name, pairs in corpus.items()}
    members = {name: {english for english, _ in pairs} for name, pairs in corpus.items()}
    assert all(sentence.english in members[split] for split, sentence in tagged())


def test_held_out_combinations_are_never_trained_on():
    seen = {
        combination
        for split, sentence in tagged()
        for combination in sentence.combinations
        if split in ("train", "validation")
    }
    held = {c for split, sentence in tagged() if split == "held_out" for c in sentence.combinations} - seen
    assert not any(map(is_held_out, seen))
    assert set(ALWAYS_HELD_OUT) <= held
    assert len(held) >= 30
    assert {relation for relation, *_ in held} == {relation for relation, *_ in seen}


def test_held_out_combinations_are_absent_from_the_text_of_train():
    train = [english for english, _ in embedded_corpus().train]
    assert not [text for text in train if re.search(r"\b[Tt]hey (arrived|did not arrive)\b", text)]
    assert not [text for text in train if re.search(r"[Aa]greements? on the European Economic Area", text)]


def test_train_holds_the_siblings_of_the_sentences_shown():
    train = [english for english, _ in embedded_corpus().train]
    siblings = {
        r"arrived late": 10,
        r"\b[Tt]hey (left|came back|went|stayed)": 50,
        r"agreements? on ": 100,
        r"treat(y|ies) on the European Economic Area": 10,
        r"the European Economic Area.* in \w+ [0-9]{4}": 50,
        r"was signed in ": 50,
        r"in August 1992": 10,
        r" 1992": 200,
    }
    assert [
        p for p, least in siblings.items() if sum(bool(re.search(p, text)) for text in train) < least
    ] == []


@pytest.mark.parametrize("side", [0, 1], ids=["english", "french"])
def test_every_word_is_trained_on(side):
    corpus = embedded_corpus()
    trained = Counter(word for pair in corpus.train for word in set(words(pair[side])))
    others = {word for pair in corpus.held_out + corpus.validation for word in words(pair[side])}
    assert [word for word in others if trained[word] < 20] == []


def test_every_construction_is_trained_on():
    counts = Counter(sentence.construction for split, sentence in tagged() if split == "train")
    assert set(counts) == {construction.__name__ for construction in CONSTRUCTIONS}
    assert min(counts.values()) >= 500


# ---- French -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("full", "written"),
    [
        ("le accord", "l'accord"),
        ("la Union", "l'Union"),
        ("de le homme", "de l'homme"),
        ("je ai", "j'ai"),
        ("je ne ai pas", "je n'ai pas"),
        ("ils ne les ont pas vus", "ils ne les ont pas vus"),
        ("elle me a vu", "elle m'a vu"),
        ("parce que elle est", "parce qu'elle est"),
        ("de le musée", "du musée"),
        ("de les droits de le homme", "des droits de l'homme"),
        ("à le vieux roi", "au vieux roi"),
        ("à les écoles", "aux écoles"),
        ("beaucoup de oiseaux", "beaucoup d'oiseaux"),
        ("une école", "une école"),
    ],
)
def test_elision_and_contraction(full, written):
    assert spell(full) == written


@pytest.mark.parametrize(
    ("determiner", "adjective", "noun", "many", "expected"),
    [
        (THE, "small", "dog", True, ("the small dogs", "les petits chiens")),
        (A, "old", "hotel", False, ("an old hotel", "un vieil hôtel")),
        (A, "new", "agreement", False, ("a new agreement", "un nouvel accord")),
        (THIS, "beautiful", "tree", False, ("this beautiful tree", "ce bel arbre")),
        (THIS, None, "tree", False, ("this tree", "cet arbre")),
        (THIS, "old", "friend", True, ("these old friends", "ces vieux amis")),
        (THE, "new", "school", False, ("the new school", "la nouvelle école")),
        (OWN[0], None, "nurse", False, ("my nurse", "mon infirmière")),
        (OWN[0], "old", "nurse", False, ("my old nurse", "ma vieille infirmière")),
        (OWN[5], "French", "sister", True, ("their French sisters", "leurs sœurs françaises")),
        (MANY, "white", "horse", True, ("many white horses", "beaucoup de chevaux blancs")),
        (A, "red", "car", False, ("a red car", "une voiture rouge")),
        (THE, "happy", "woman", True, ("the happy women", "les femmes heureuses")),
    ],
)
def test_noun_phrases_agree(determiner, adjective, noun, many, expected):
    adjective, noun = adjective and word(ADJECTIVES, adjective), word(NOUNS, noun)
    assert (english(determiner, adjective, noun, many), french(determiner, adjective, noun, many)) == expected


def test_an_indefinite_object_of_a_negated_verb_takes_de():
    assert french(A, word(ADJECTIVES, "red"), word(NOUNS, "car"), False, negative=True) == "de voiture rouge"
    assert french(THE, None, word(NOUNS, "car"), False, negative=True) == "la voiture"


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (lambda: past(word(VERBS, "arrive"), subject("they")), ("arrived", "sont arrivés")),
        (lambda: past(word(VERBS, "go out"), the("actress"), True), ("did not go out", "ne est pas sortie")),
        (lambda: past(word(VERBS, "be born"), subject("she")), ("was born", "est née")),
        (lambda: past(word(VERBS, "be born"), subject("we"), True), ("were not born", "ne sommes pas nés")),
        (
            lambda: past(word(VERBS, "see"), subject("they"), True, "la", subject("she")),
            ("did not see", "ne la ont pas vue"),
        ),
        (
            lambda: past(word(VERBS, "see"), subject("she"), False, "les", subject("they")),
            ("saw", "les a vus"),
        ),
        (lambda: past(word(VERBS, "give"), subject("he"), False, "lui"), ("gave", "lui a donné")),
        (lambda: present(word(VERBS, "wait for"), subject("she"), clitic="le"), ("waits for", "le attend")),
        (lambda: present(word(VERBS, "help"), subject("you"), True), ("do not help", "ne aidez pas")),
        (
            lambda: present(word(VERBS, "call"), subject("he"), clitic="nous", often="never"),
            ("never calls", "ne nous appelle jamais"),
        ),
        (lambda: present(word(VERBS, "see"), subject("we"), often="often"), ("often see", "voyons souvent")),
        (
            lambda: modal("want", word(VERBS, "see"), subject("she"), True, "les"),
            ("does not want to see", "ne veut pas les voir"),
        ),
        (
            lambda: modal("be going", word(VERBS, "sell"), subject("I")),
            ("am going to sell", "vais vendre"),
        ),
        (lambda: passive(word(VERBS, "sign"), the("law")), ("was signed", "a été signée")),
        (lambda: passive(word(VERBS, "write"), the("book"), True), ("was not written", "ne a pas été écrit")),
    ],
)
def test_verbs_agree_and_clitics_stand_in_place(built, expected):
    assert built() == expected


def test_two_subjects_are_feminine_only_together():
    arrive = word(VERBS, "arrive")
    assert past(arrive, both(the("woman"), the("girl"))).fr == "sont arrivées"
    assert past(arrive, both(the("woman"), the("boy"))).fr == "sont arrivés"


@pytest.mark.parametrize(
    "wrong",
    [
        rf"\b(le|la|de|je|me|ne|que) {VOWEL}",
        r"\b(de|à) les?\b",
        rf"\b(ce|beau|nouveau|ma|sa) {VOWEL}",
        r"\b(aux|ces|mes|ses|nos|vos|leurs|deux|trois) \w+[^sx\W]\b",
        r"^(Les|Ces) \w+[^sx\W]\b",
        r"\b[Ee]lle (est|n'est pas|était|n'était pas) \w+[^e\W]\b",
        r"\b[Nn]ous (sommes|ne sommes pas|étions|n'étions pas) \w+[^sx\W]\b",
        r"\b(il|elle|ils|elles|je|nous|vous) (il|elle|ils|elles|je)\b",
        r"  | \.|^[a-z]|[^.]$",
    ],
)
def test_no_sentence_shows_a_known_mistake(wrong):
    assert [text for text in all_french() if re.search(wrong, text)] == []


def test_both_languages_deny_alike():
    for split in embedded_corpus():
        for source, target in split:
            assert len(re.findall(r"\b(?:not|never|cannot)\b", source)) == len(
                re.findall("pas|jamais", target)
            )
            assert len(re.findall(r"\b(?:ne |n')", target, re.I)) == len(re.findall("pas|jamais", target))
