"""Build English and French verb phrases side by side: tenses, negation, clitics, participles in agreement."""

from step01_numpy.common.text.grammar.lexicon import FREQUENCY
from step01_numpy.common.text.grammar.phrases import Phrase, agree
from step01_numpy.common.text.grammar.words import Pair, Verb, add_s

BE = ("suis", "est", "sommes", "êtes", "sont")
WAS = ("étais", "était", "étions", "étiez", "étaient")
HAVE = ("ai", "a", "avons", "avez", "ont")
MODALS = {
    "want": ("veux", "veut", "voulons", "voulez", "veulent"),
    "be going": ("vais", "va", "allons", "allez", "vont"),
    "can": ("peux", "peut", "pouvons", "pouvez", "peuvent"),
    "must": ("dois", "doit", "devons", "devez", "doivent"),
}


def around(finite: str, rest: str = "", *, negative: bool = False, clitic: str = "", no: str = "pas") -> str:
    """Put the clitic before the finite French verb, and ne … pas around both."""
    words = ["ne" if negative else "", clitic, finite, no if negative else "", rest]
    return " ".join(word for word in words if word)


def participle(verb: Verb, governor: Phrase | None) -> str:
    """Return the past participle in agreement with its governor, if it has one."""
    if governor is None:
        return verb.participle
    return agree(verb.participle, verb.participle + "e", governor.gender, governor.many)


def past(
    verb: Verb, subject: Phrase, negative: bool = False, clitic: str = "", before: Phrase | None = None
) -> Pair:
    """Return the verb in the English simple past and the French passé composé.

    Parameters
    ----------
    verb : Verb
        The verb; the participle of an être verb agrees with the subject.
    subject : Phrase
        Who did it.
    negative : bool
        Whether it was not done.
    clitic : str
        A French object pronoun to put before the auxiliary.
    before : Phrase or None
        The direct object, where it precedes an avoir verb: the participle then agrees with it.

    Returns
    -------
    Pair
        Both verb phrases, without the subject.
    """
    en = f"did not {verb.en}" if negative else verb.past
    if verb.en.startswith("be "):
        en = f"{be(subject, True, negative)} {verb.en.removeprefix('be ')}"
    auxiliary = (BE if verb.with_be else HAVE)[subject.person]
    done = participle(verb, subject if verb.with_be else before)
    return Pair(en, around(auxiliary, done, negative=negative, clitic=clitic))


def present(verb: Verb, subject: Phrase, negative: bool = False, clitic: str = "", often: str = "") -> Pair:
    """Return the verb in the present.

    Parameters
    ----------
    verb, subject, negative, clitic
        As in `past`.
    often : str
        "never" or an adverb of `FREQUENCY`; not together with `negative`.

    Returns
    -------
    Pair
        Both verb phrases, without the subject.
    """
    third, finite = subject.person == 1, verb.present[subject.person]
    en = add_s(verb.en) if third else verb.en
    if negative:
        return Pair(f"{_do_not(third)} {verb.en}", around(finite, negative=True, clitic=clitic))
    if often == "never":
        return Pair(f"never {en}", around(finite, negative=True, clitic=clitic, no="jamais"))
    return Pair(f"{often} {en}".strip(), around(finite, FREQUENCY.get(often, ""), clitic=clitic))


def _do_not(third: bool) -> str:
    return "does not" if third else "do not"


def modal(name: str, verb: Verb, subject: Phrase, negative: bool = False, clitic: str = "") -> Pair:
    """Return a modal and an infinitive: "wants to see", with the clitic between them, "veut la voir"."""
    third = subject.person == 1
    want = f"{_do_not(third)} want to" if negative else "wants to" if third else "want to"
    english = {
        "want": want,
        "be going": f"{be(subject, False, negative)} going to",
        "can": "cannot" if negative else "can",
        "must": "must not" if negative else "must",
    }
    rest = f"{clitic} {verb.infinitive}".strip()
    return Pair(f"{english[name]} {verb.en}", around(MODALS[name][subject.person], rest, negative=negative))


def be(subject: Phrase, was: bool, negative: bool = False) -> str:
    """Return the English form of to be."""
    if was:
        form = "was" if subject.person < 2 else "were"
    else:
        form = ("am", "is", "are", "are", "are")[subject.person]
    return f"{form} not" if negative else form


def being(subject: Phrase, was: bool, negative: bool = False) -> Pair:
    """Return to be before an adjective or a place; the French past is the imparfait."""
    finite = (WAS if was else BE)[subject.person]
    return Pair(be(subject, was, negative), around(finite, negative=negative))


def passive(verb: Verb, subject: Phrase, negative: bool = False) -> Pair:
    """Return the passive in the past: "was signed", "a été signé"."""
    en = f"{be(subject, True, negative)} {verb.en_participle}"
    return Pair(en, around(HAVE[subject.person], f"été {participle(verb, subject)}", negative=negative))
