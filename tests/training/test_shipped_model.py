"""The checkpoints in the package: small, good, and the same in every stage."""

import pytest

import step01_numpy
from step01_numpy.common.commands.context import SHIPPED, SHIPPED_RECURRENT
from step01_numpy.common.inference.translation import Translator
from step01_numpy.common.parity.stage import Stage
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.text.corpus import embedded_corpus
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import load
from step01_numpy.common.training.configuration import read_configuration
from tests.benchmarks import everyday

NAMED = {
    "They arrived late.": "Ils sont arrivés tard.",
    "The agreement on the European Economic Area was signed in August 1992.": (
        "L'accord sur la zone économique européenne a été signé en août 1992."
    ),
}


MAKERS = {SHIPPED: "step01_numpy", SHIPPED_RECURRENT: "step02_torch"}  # the stages that trained them
ALL = pytest.mark.parametrize("path", [SHIPPED, SHIPPED_RECURRENT], ids=lambda path: path.stem)
NOT_YET = pytest.mark.xfail(
    strict=True,  # a better one that is shipped has to take this mark away
    reason="the recurrent translator has seen its data five times only: 80.68 % exact",
)


def translator(stage, path, beam=1):
    models = None if hasattr(stage.package, "Transformer") else step01_numpy
    backend = Backend(stage.package, models)
    return Translator(backend, load_model(path, backend), beam=beam)


@ALL
def test_it_is_small_and_without_the_state_of_its_training(path):
    assert path.stat().st_size <= (8e6 if path == SHIPPED else 5e6)
    assert load(path).training is None


@ALL
def test_it_says_of_what_it_was_never_trained_on(path):
    backend = Backend(step01_numpy)
    doubts = Translator(backend, load_model(path, backend)).doubts
    assert doubts("The zyzzyva quoffled.", [0] * 9, [5]) != []
    assert doubts("Where is the station?", [0] * 9, [5]) == []
    assert all(doubts(english, [0] * 99, [5]) == [] for english, _ in embedded_corpus().held_out)


@ALL
def test_its_configuration_lies_beside_it(path):
    checkpoint, config = load(path), read_configuration(path.with_suffix(".json"), None)
    assert config.model_config(checkpoint.tokenizer.vocab_size) == checkpoint.config


def test_both_cut_texts_alike():
    assert load(SHIPPED).tokenizer.to_json() == load(SHIPPED_RECURRENT).tokenizer.to_json()


@pytest.mark.parametrize(
    ("path", "share"),
    [(SHIPPED, 0.97), (SHIPPED_RECURRENT, 0.75), pytest.param(SHIPPED_RECURRENT, 0.95, marks=NOT_YET)],
    ids=["transformer", "recurrent", "recurrent as before"],
)
@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.proof)])
def test_what_share_of_the_held_out_sentences_of_the_grammar_is_exact(path, share, every):
    english, french = zip(*embedded_corpus().held_out[::every], strict=True)
    assert len(english) > 100
    found = translator(Stage(MAKERS[path]), path).translate(english)
    assert sum(x == y for x, y in zip(found, french, strict=True)) >= share * len(french)


def test_everyday_sentences():
    english = list(everyday.read())
    found = translator(Stage("step01_numpy"), SHIPPED).translate(english)
    assert len(everyday.mistakes(dict(zip(english, found, strict=True)))) <= 10


def test_its_attribution_lies_beside_it():
    text = SHIPPED.with_name("ATTRIBUTION.md").read_text(encoding="utf-8")
    for name in (SHIPPED.name, SHIPPED_RECURRENT.name, "Tatoeba", "CC BY 2.0 FR", "manythings.org/anki"):
        assert name in text


@ALL
def test_the_two_named_sentences(stage, path):
    assert set(NAMED.items()) <= set(embedded_corpus().held_out)
    for beam in (1, 4):
        assert translator(stage, path, beam).translate(list(NAMED)) == list(NAMED.values())


@pytest.mark.grid
@ALL
def test_every_stage_translates_to_the_same_tokens(stage, path):
    english = [pair[0] for pair in embedded_corpus().held_out[::20]]
    assert translator(stage, path).translate(english) == translator(Stage("step01_numpy"), path).translate(
        english
    )
