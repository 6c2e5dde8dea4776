"""What a translator says of what it has not learned: on standard error, and never in silence."""

import io

import numpy as np
import pytest

import step01_numpy
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.commands.context import SHIPPED, SHIPPED_RECURRENT
from step01_numpy.common.decoding.search import log_probabilities
from step01_numpy.common.inference.doubts import (
    UNSURE,
    not_learned,
    repeats_itself,
    token_log_probabilities,
    unsure,
)
from step01_numpy.common.inference.translation import Translator
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.text.seen import seen_in
from step01_numpy.common.text.tokenizer import BOS, EOS
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import load

SEEN = seen_in(["The cat sees the house."] * 30 + ["One zebra."] * 2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A translator after one update, with the list of what it was trained on."""
    folder = tmp_path_factory.mktemp("trained")
    path, config = folder / "model.safetensors", folder / "small.json"
    config.write_text(
        '{"model": {"d_model": 8, "n_heads": 2, "d_ff": 8, "n_layers": 1, "max_positions": 32}}'
    )
    options = ["--data", "embedded", "--config", str(config), "--steps", "1", "--slim", "--out", str(path)]
    assert main(step01_numpy, ["train", *options]) == 0
    return path


def test_each_kind_of_what_was_not_learned():
    assert not_learned(SEEN, "The house, the cat!") == []
    assert not_learned(SEEN, "A Hause, a zebra…") == [
        "never seen in training: A, Hause (house?), a",
        "hardly ever seen in training: zebra",
    ]
    assert not_learned(SEEN, "The cat sees the house: ☃") == [
        "never seen in training: ☃",
        "6 words, where hardly a sentence in training had more than 5",
    ]


@pytest.mark.parametrize("tokens", [[5, 5, 5], [1, 2, 7, 8, 7, 8, 7, 8], [9, *[1, 2, 3, 4] * 3, 5]])
def test_what_repeats_itself(tokens):
    assert repeats_itself(tokens)


@pytest.mark.parametrize("tokens", [[], [5, 5], [5, 5, 6, 5], [1, 2, 1, 2, 1], [1, 2, 3, 4, 5] * 3])
def test_what_does_not(tokens):
    assert not repeats_itself(tokens)


def test_a_trained_file_says_what_it_has_seen(trained):
    seen = load(trained).seen
    assert seen.count("agreement") > 0 == seen.count("xylophone")
    assert load_model(trained, Backend(step01_numpy)).seen == seen


def test_a_note_for_each_doubtful_line(trained, monkeypatch, capsys):
    answers = {"They arrived late.": [7, 8], "My xylophone.": [7, 8], "They arrived.": [7] * 4}
    sure = {(7, 8): np.log([0.9] * 3), (7,) * 4: np.log([0.9, 0.9, 0.9, 0.2, 0.9])}
    monkeypatch.setattr(Translator, "sureness", lambda self, _, found: [sure[(*x,)] for x in found])
    tokenizer = load(trained).tokenizer
    encode, (word, *_) = tokenizer.encode, tokenizer.decode([7] * 4).split()
    by_tokens = {(*encode(text), 2): found for text, found in answers.items()}
    monkeypatch.setattr(Translator, "search", lambda self, rows: [by_tokens[(*row,)] for row in rows])
    monkeypatch.setattr(
        "sys.stdin", io.StringIO("\n".join(["They arrived late.", "", *list(answers)[1:]]) + "\n")
    )
    assert main(step01_numpy, ["translate", "--model", str(trained)]) == 0
    out, err = capsys.readouterr()
    assert (out.count("\n"), out.split("\n")[1]) == (4, "")
    assert err == (
        "note: line 3 may be wrong: never seen in training: xylophone\n"
        f"note: line 4 may be wrong: the model is unsure, most of all of “{word}”: "
        "the mean probability of its tokens is under 0.78; "
        "the translation repeats itself\n"
    )


def test_the_probability_of_each_token():
    logits = np.log([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
    assert np.exp(token_log_probabilities(logits + 3, [0, 2])) == pytest.approx([0.5, 0.125], rel=1e-12)


def test_unsure_by_the_geometric_mean():
    """Of two probabilities, x² and 1, it is x; twice as many of the same change nothing."""
    least, said = UNSURE**2, ["un", "un"]
    assert unsure(np.log([least + 1e-9, 1.0]), said) == []
    assert unsure(np.log([least - 1e-9, 1.0]), said) != []
    assert unsure(np.log([least + 1e-9, 1.0] * 2), said * 2) == []
    assert unsure(np.log([least - 1e-9, 1.0] * 2), said * 2) != []


def test_the_least_probable_word_is_named():
    """A word of two tokens of 0.5 is less probable than one of 0.3; the end is the last word's."""
    said = ["un", "un ani", "un animal", "un animal rare", "un animal rare.", "un animal rare."]
    for log_p, word in (
        ([0.3, 0.5, 0.5, 0.9, 0.9, 0.9], "animal"),
        ([0.2, 0.5, 0.5, 0.9, 0.9, 0.9], "un"),
        ([0.9, 0.9, 0.9, 0.9, 0.5, 0.1], "rare."),
    ):
        assert unsure(np.log(log_p), said) == [
            f"the model is unsure, most of all of “{word}”: the mean probability of its tokens is under 0.78"
        ]


def test_unsure_of_a_translation_without_a_word():
    said = "the model is unsure: the mean probability of its tokens is under 0.78"
    assert unsure(np.log([0.1]), [""]) == [said]
    assert unsure(np.log([0.9, 0.1]), [" ", " "]) == [said]


@pytest.mark.parametrize("family", ["transformer", "recurrent"])
def test_how_sure_a_shipped_model_is_of_each_translation(family):
    """Each token's and the end's probability, step by step; a longer line beside it changes nothing."""
    backend, path = Backend(step01_numpy), SHIPPED if family == "transformer" else SHIPPED_RECURRENT
    pretrained = load_model(path, backend)
    work = Translator(backend, pretrained, beam=1)
    sources = [[*work.tokenizer.encode(x)] for x in ("They arrived late.", "Where is the old red house?")]
    found = work.search(sources)
    decoding, steps = backend.start(pretrained.model, np.array(sources[:1])), []
    for read, said in zip([BOS, *found[0]], [*found[0], EOS], strict=True):
        steps.append(log_probabilities(decoding.step(np.array([read])))[0, said])
    sure = work.sureness(sources, found)
    assert sure[0] == pytest.approx(steps, abs=1e-4)
    assert np.exp(sure[0].mean()) > UNSURE
    alone = [*work.sureness(sources[:1], found[:1]), *work.sureness(sources[1:], found[1:])]
    assert np.concatenate(sure) == pytest.approx(np.concatenate(alone), abs=1e-5)


def test_sureness_of_what_is_as_long_as_the_model_takes(trained):
    work = Translator(Backend(step01_numpy), load_model(trained, Backend(step01_numpy)))
    (found,) = work.sureness([work.tokenizer.encode("They arrived late.")], [[5] * work.max_positions])
    assert len(found) == work.max_positions
    assert 0 < np.exp(found.mean()) < UNSURE


def test_a_model_that_does_not_say_what_it_has_seen_is_not_asked(trained):
    work = Translator(Backend(step01_numpy), load_model(trained, Backend(step01_numpy)))
    work.seen = None
    assert work.sureness([[5]], [[7]]) == [None]


def test_a_translation_without_an_end(trained):
    work = Translator(Backend(step01_numpy), load_model(trained, Backend(step01_numpy)))
    source = work.tokenizer.encode("They arrived late.")
    limit = 2 * len(source) + 10
    assert work.doubts("They arrived late.", source, list(range(limit - 2))) == []
    assert work.doubts("They arrived late.", source, list(range(limit - 1))) == (
        ["the translation does not come to an end"]
    )
