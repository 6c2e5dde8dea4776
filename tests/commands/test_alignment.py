"""The alignment in the tour: the model's own, the same in every stage, beside the cross-attention."""

import dataclasses
import json
import re
from importlib import import_module

import numpy as np
import pytest

from step01_numpy.common.commands.command_line import main
from step01_numpy.common.commands.context import SHIPPED_RECURRENT
from step01_numpy.common.commands.tour import TEXT as SENTENCE
from step01_numpy.common.display.alignment import ALIGNMENT, alignment, with_alignment
from step01_numpy.common.display.heat_map import beside, heat_map
from step01_numpy.common.display.page import page
from step01_numpy.common.display.tour import CROSS, tour
from step01_numpy.common.text.tokenizer import BOS
from step01_numpy.common.training.checkpoints import load, save
from step03_gpu import arrays
from tests.commands.test_tour import BACKENDS, TEXT, Reader, few_cases  # noqa: F401
from tests.tiny import tiny_checkpoint, tiny_recurrent

SCORES = {
    "additive": "Additive attention of 2014: each French token asks the English ones",
    "dot": "Attention of 2015, score dot: each French token asks the English ones",
    "general": "Attention of 2015, score general: each French token asks the English ones",
    "none": "Without attention: each French token is given one vector of the sentence",
}
STAGES = {"below": ("step01_numpy", "step02_torch"), "models": import_module("step01_numpy")}


@pytest.fixture(scope="module")
def aligned():
    return {name: alignment(backend, tiny_recurrent(), TEXT) for name, backend in BACKENDS.items()}


@pytest.fixture(scope="module")
def plain():
    return tour(BACKENDS["step01_numpy"], tiny_checkpoint(), TEXT)


def with_the_same_tokens(found, other):
    """Relabel an alignment, as if its translation were that of the Transformer."""
    rows, columns = other.labels[CROSS]
    weights = np.resize(found.operations[0].weights, (1, len(rows), len(columns)))
    operation = dataclasses.replace(found.operations[0], weights=weights, rows=rows, columns=columns)
    return dataclasses.replace(found, operations=[operation])


# ---- what it holds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["step02_torch", "step03_gpu"])
def test_every_stage_gives_the_same_alignment(aligned, package):
    first, found = aligned["step01_numpy"], aligned[package]
    assert found.stage == package
    assert (found.translations, found.tokens) == (first.translations, first.tokens)
    (a,), (b,) = first.operations, found.operations
    assert (a.title, a.shapes, a.rows, a.columns) == (b.title, b.shapes, b.rows, b.columns)
    np.testing.assert_allclose(b.out, a.out, rtol=0, atol=1e-10)
    np.testing.assert_allclose(b.weights, a.weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("package", BACKENDS)
def test_it_is_what_the_models_decoder_saw_step_by_step(aligned, package):
    backend, checkpoint = BACKENDS[package], tiny_recurrent()
    (operation,) = aligned[package].operations
    model, tokenizer = backend.load(checkpoint).double(), checkpoint.tokenizer
    ids = {tokenizer.tokens([i])[0]: i for i in range(tokenizer.vocab_size)}
    source = np.array([[ids[x] for x in aligned[package].tokens]])
    decoding, model.maps, token, written = backend.start(model, source), [], BOS, []
    for _ in operation.rows:
        token = int(decoding.step(np.array([token]))[0].argmax())
        written.append(token)
    assert tokenizer.decode(written[:-1]) == next(iter(aligned[package].translations.values()))
    weights = np.concatenate(model.maps, axis=1)
    np.testing.assert_allclose(operation.weights, weights, rtol=0, atol=1e-12)
    contexts = weights @ backend.numpy(decoding.cache.memory.annotations)
    np.testing.assert_allclose(operation.out, contexts, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("cupy_double")
def test_a_gpus_arrays_reach_the_tour(aligned, monkeypatch):
    """On arrays that NumPy may not read: what is shown of them has been copied to the host."""
    monkeypatch.setattr(arrays, "default_device", lambda: "gpu")
    found = alignment(BACKENDS["step03_gpu"], tiny_recurrent(), TEXT)
    np.testing.assert_allclose(
        found.operations[0].weights, aligned["step01_numpy"].operations[0].weights, rtol=0, atol=1e-12
    )


def test_labels_and_weights(aligned):
    found = aligned["step01_numpy"]
    (operation,) = found.operations
    assert operation.rows[0].startswith("<bos> → ")
    assert operation.rows[-1].endswith(" → <eos>")
    assert operation.columns[-1] == "<eos>"
    assert found.labels == {ALIGNMENT: (operation.rows, operation.columns)}
    assert operation.weights.shape == (1, len(operation.rows), len(operation.columns))
    np.testing.assert_array_equal(found.maps[ALIGNMENT][0], operation.weights)
    np.testing.assert_allclose(operation.weights.sum(axis=-1), 1, atol=1e-12)
    assert f"annotations (1, {len(operation.columns)}, 6) -> weights (1, " in operation.shapes


@pytest.mark.parametrize("score", SCORES)
def test_each_score_has_its_title(score):
    (operation,) = alignment(BACKENDS["step01_numpy"], tiny_recurrent(score=score), TEXT).operations
    assert operation.title == SCORES[score]
    assert (operation.columns == ["sentence"]) == (score == "none")
    assert operation.weights.shape[-1] == len(operation.columns)


def test_local_attention():
    found = alignment(BACKENDS["step01_numpy"], tiny_recurrent(window=2), TEXT)
    assert found.operations[0].title.startswith("Attention of 2015, score additive, local: ")


@pytest.mark.parametrize("text", ["", "  ", "house " * 40])
def test_texts_that_cannot_be_aligned(text):
    with pytest.raises(ValueError, match=r"the text has .* tokens, <eos> included; expected 2 to 24"):
        alignment(BACKENDS["step01_numpy"], tiny_recurrent(), text)


def test_it_stands_behind_the_cross_attention(plain, aligned):
    found = aligned["step01_numpy"]
    both = with_alignment(plain, found)
    assert both.operations == [*plain.operations[:3], found.operations[0], plain.operations[3]]
    assert both.translations == plain.translations | found.translations
    assert list(both.maps) == list(both.labels) == [*plain.maps, ALIGNMENT]
    assert both.operations[3].beside is None  # the two translations are not the same
    same = with_alignment(plain, with_the_same_tokens(found, plain))
    assert same.operations[3].beside is plain.operations[2]


def test_each_doubt_is_told_once_and_the_second_models_own_as_its_own(plain, aligned):
    one = dataclasses.replace(plain, doubts=["seldom met: owl"])
    other = dataclasses.replace(aligned["step01_numpy"], doubts=["seldom met: owl", "unsure"])
    assert with_alignment(one, other).doubts == ["seldom met: owl", "of the recurrent translator: unsure"]


# ---- two maps beside each other ----------------------------------------------------------------------------


def test_maps_beside_each_other():
    maps, labels = [np.eye(2), np.full((2, 2), 0.3)], (["un", "chat"], ["a", "cat"])
    assert beside(maps, ["one", "two"], *labels, width=20).splitlines() == [
        "     one   two",
        "       c     c",
        "       a     a",
        "     a t   a t",
        "  un ██·   ▓▓▓▓",
        "chat · ██  ▓▓▓▓",
    ]
    assert len(beside(maps, ["one", "two"], *labels, width=15).splitlines()) == 6
    one, two = (heat_map(x, *labels) for x in maps)
    assert beside(maps, ["one", "two"], *labels, width=14) == f"one\n{one}\n\ntwo\n{two}"
    assert beside(maps, ["long title", "two"], *labels).splitlines()[1] == " " * 7 + "c" + " " * 11 + "c"
    assert beside(maps, ["one", "two"], *labels, colour=True).count("\x1b[48;5;") == 6
    with pytest.raises(ValueError, match="weights has shape"):
        beside([np.eye(2), np.eye(3)], ["one", "two"], *labels)


# ---- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path):
    save(tmp_path / "recurrent.safetensors", tiny_recurrent())
    return str(tmp_path / "recurrent.safetensors")


@pytest.mark.usefixtures("few_cases")
def test_tour_of_a_recurrent_model_alone(model, aligned, capsys, tmp_path):
    out_file = tmp_path / "tour.html"
    arguments = ["tour", TEXT, "--model", model, "--out", str(out_file)]
    assert main(import_module("step03_gpu"), arguments, **STAGES) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "model: recurrent.safetensors, recurrent, d_hidden 6, score additive"
    assert f"\n1. {SCORES['additive']}\n" in out
    assert "\n2. " not in out
    apart = [float(x) for x in re.findall(r"differs by (\S+)", out)]
    assert len(apart) == 3
    assert max(apart) < 1e-10
    for name, found in aligned.items():
        assert f"\n  {name:<14}{next(iter(found.translations.values()))}\n" in out
    data = json.loads(Reader(out_file.read_text(encoding="utf-8")).texts["script"][0])
    assert [(x["kind"], x["beside"]) for x in data] == [(ALIGNMENT, [])]


def test_tour_of_both_shipped_models(capsys):
    assert main(import_module("step02_torch"), ["tour"], below=("step01_numpy",)) == 0
    out = capsys.readouterr().out
    assert out.count("model: english_french") == 2
    assert len(re.findall(r"^\d\. ", out, re.M)) == 5
    part = out.partition(f"4. {SCORES['additive']}\n")[2].partition("5. ")[0]
    assert re.fullmatch(r" +of 2014, additive +of 2017, block 1, head 1", part.splitlines()[2])
    assert out.count("L'accord sur la zone économique européenne a été signé en août 1992.") == 4
    assert "\nTo write “" in out
    assert "Translation by the Transformer\n" in out
    assert "Translation by the recurrent translator\n" in out


def test_the_shipped_model_looks_at_the_words_that_it_translates():
    found = alignment(BACKENDS["step02_torch"], load(SHIPPED_RECURRENT), SENTENCE)
    (operation,) = found.operations
    for french, english in (
        ("-accord", "agreement"),
        ("signé", "signed"),
        ("août", "August"),
        ("1992", "1992"),
    ):
        (asking,) = (i for i, row in enumerate(operation.rows) if row.partition(" → ")[2].startswith(french))
        assert operation.columns[operation.weights[0, asking].argmax()] == english


# ---- the page ----------------------------------------------------------------------------------------------


def test_the_page_shows_it_beside_the_cross_attention(plain, aligned):
    both = with_alignment(plain, aligned["step01_numpy"])
    reader = Reader(page([both], []))
    data = json.loads(reader.texts["script"][0])
    assert [x["beside"] for x in data] == [[], [], [3], []]
    assert data[3]["kind"] == ALIGNMENT
    np.testing.assert_allclose(np.array(data[3]["blocks"]) / 1000, both.maps[ALIGNMENT], atol=0.0005)
    assert (data[3]["rows"], data[3]["columns"]) == both.labels[ALIGNMENT]
    assert reader.texts["dt"] == [
        "English",
        "French, by the Transformer",
        "French, by the recurrent translator",
    ]
    assert reader.texts["dd"] == [TEXT, *both.translations.values()]
    assert {"Translation by the recurrent translator", SCORES["additive"]} <= set(reader.texts["th"])
