"""What a translator says of what it has not learned: on standard error, and never in silence."""

import io

import numpy as np
import pytest

import step01_numpy
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.commands.context import SHIPPED, SHIPPED_RECURRENT
from step01_numpy.common.decoding.search import log_probabilities
from step01_numpy.common.inference.doubts import UNSURE, mean_probability, not_learned, repeats_itself
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
    sure = dict(zip(map(tuple, answers.values()), (UNSURE, UNSURE, UNSURE - 0.01), strict=False))
    monkeypatch.setattr(Translator, "sureness", lambda self, _, found: [sure[(*x,)] for x in found])
    encode = load(trained).tokenizer.encode
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
        "note: line 4 may be wrong: the model is unsure: the mean probability of its tokens is under 0.65; "
        "the translation repeats itself\n"
    )


def test_the_mean_probability_of_tokens():
    """Geometric: of 1/2 and 1/8 it is 1/4; twice as many of the same change nothing."""
    logits = np.log([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
    assert mean_probability(logits + 3, [0, 2]) == pytest.approx(0.25, rel=1e-12)
    assert mean_probability(np.concatenate([logits, logits]), [0, 2, 0, 2]) == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize("family", ["transformer", "recurrent"])
def test_how_sure_a_shipped_model_is_of_each_translation(family):
    """Each token's and the end's probability, step by step; a longer line beside it changes nothing."""
    backend, path = Backend(step01_numpy), SHIPPED if family == "transformer" else SHIPPED_RECURRENT
    pretrained = load_model(path, backend)
    work = Translator(backend, pretrained, beam=1)
    sources = [[*work.tokenizer.encode(x)] for x in ("I love you.", "Where is the old red house?")]
    found = work.search(sources)
    decoding, steps = backend.start(pretrained.model, np.array(sources[:1])), []
    for read, said in zip([BOS, *found[0]], [*found[0], EOS], strict=True):
        steps.append(log_probabilities(decoding.step(np.array([read])))[0, said])
    sure = work.sureness(sources, found)
    assert sure[0] == pytest.approx(np.exp(np.mean(steps)), rel=1e-4)
    assert sure[0] > UNSURE
    assert sure == pytest.approx(
        [*work.sureness(sources[:1], found[:1]), *work.sureness(sources[1:], found[1:])]
    )


def test_sureness_of_what_is_as_long_as_the_model_takes(trained):
    work = Translator(Backend(step01_numpy), load_model(trained, Backend(step01_numpy)))
    (found,) = work.sureness([work.tokenizer.encode("They arrived late.")], [[5] * work.max_positions])
    assert 0 < found < UNSURE


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
