"""The checkpoint in the package: small, good, and the same in every stage."""

import step01_numpy
from step01_numpy.common.backend import Backend
from step01_numpy.common.checkpoints import load
from step01_numpy.common.commands.context import SHIPPED
from step01_numpy.common.corpus import embedded_corpus
from step01_numpy.common.pretrained import load_model
from step01_numpy.common.stage import Stage
from step01_numpy.common.translation import Translator

NAMED = {
    "They arrived late.": "Ils sont arrivés tard.",
    "The agreement on the European Economic Area was signed in August 1992.": (
        "L'accord sur la zone économique européenne a été signé en août 1992."
    ),
}


def translator(stage, beam=1):
    models = None if hasattr(stage.package, "Transformer") else step01_numpy
    backend = Backend(stage.package, models)
    return Translator(backend, load_model(SHIPPED, backend), beam=beam)


def test_at_most_four_megabytes_and_without_the_state_of_its_training():
    assert SHIPPED.stat().st_size <= 4e6
    assert load(SHIPPED).training is None


def test_95_percent_of_the_held_out_sentences_are_exact():
    english, french = zip(*embedded_corpus().held_out, strict=True)
    found = translator(Stage("step01_numpy")).translate(english)
    assert sum(x == y for x, y in zip(found, french, strict=True)) >= 0.95 * len(french)


def test_the_two_named_sentences(stage):
    assert set(NAMED.items()) <= set(embedded_corpus().held_out)
    for beam in (1, 4):
        assert translator(stage, beam).translate(list(NAMED)) == list(NAMED.values())


def test_every_stage_translates_to_the_same_tokens(stage):
    english = [pair[0] for pair in embedded_corpus().held_out[::20]]
    assert translator(stage).translate(english) == translator(Stage("step01_numpy")).translate(english)
