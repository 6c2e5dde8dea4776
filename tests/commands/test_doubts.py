"""What a translator says of what it has not learned: on standard error, and never in silence."""

import io

import pytest

import step01_numpy
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.inference.doubts import not_learned, repeats_itself
from step01_numpy.common.inference.translation import Translator
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.text.seen import seen_in
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
        "note: line 4 may be wrong: the translation repeats itself\n"
    )


def test_a_translation_without_an_end(trained):
    work = Translator(Backend(step01_numpy), load_model(trained, Backend(step01_numpy)))
    source = work.tokenizer.encode("They arrived late.")
    limit = 2 * len(source) + 10
    assert work.doubts("They arrived late.", source, list(range(limit - 2))) == []
    assert work.doubts("They arrived late.", source, list(range(limit - 1))) == (
        ["the translation does not come to an end"]
    )
