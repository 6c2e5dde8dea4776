"""The tour: heat maps show the weights, stages give the same numbers, the page stands alone."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from importlib import import_module

import numpy as np
import pytest

from step01_numpy.common.commands.command_line import main
from step01_numpy.common.display.alignment import alignment
from step01_numpy.common.display.heat_map import cell, heat_map, legend, readable, shorten, side_by_side
from step01_numpy.common.display.page import HIDDEN, embedded_json, page
from step01_numpy.common.display.tour import CROSS, MASKED, NAME, SELF, in_words, read_and_written, tour
from step01_numpy.common.inference.translation import Translator
from step01_numpy.common.parity import comparison as parity
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import save
from tests.tiny import tiny_checkpoint, tiny_recurrent

TEXT = "She sees the house."
BACKENDS = {
    "step01_numpy": Backend(import_module("step01_numpy")),
    "step02_torch": Backend(import_module("step02_torch")),
    "step03_gpu": Backend(import_module("step03_gpu"), import_module("step01_numpy")),
}


@pytest.fixture(scope="module")
def tours():
    return {name: tour(backend, tiny_checkpoint(), TEXT) for name, backend in BACKENDS.items()}


# ---- heat maps ---------------------------------------------------------------------------------------------


def test_shades_grow_with_the_weight():
    weights = np.array([[0.0, 0.019, 0.02, 0.1, 0.25, 0.5, 1.0]])
    row = heat_map(weights, ["q"], list("abcdefg")).splitlines()[-1]
    assert row == "q ·   ░░▒▒▓▓████"  # what is hidden is a dot, what is tiny a blank


def test_rows_and_columns_are_labelled():
    lines = heat_map(np.eye(3), ["un", "chat", "noir"], ["a", "black", "cat"]).splitlines()
    assert lines == [
        "       b",
        "       l",
        "       a c",
        "       c a",
        "     a k t",
        "  un ██· ·",
        "chat · ██·",
        "noir · · ██",
    ]


def test_wide_maps_stand_in_bands_and_lose_nothing():
    weights = np.random.default_rng(0).dirichlet(np.ones(90), size=2)
    drawn = heat_map(weights, ["a", "b"], ["x"] * 90, width=80).split("\n\n")
    assert max(len(line) for band in drawn for line in band.splitlines()) <= 80
    assert [band.splitlines()[0].count("x") for band in drawn] == [39, 39, 12]
    whole = heat_map(weights, ["a", "b"], ["x"] * 90, width=200).splitlines()
    for row in (1, 2):
        joined = "".join(
            band.splitlines()[row][2:].ljust(2 * n) for band, n in zip(drawn, (39, 39, 12), strict=True)
        )
        assert joined.rstrip() == whole[row][2:].rstrip()


def test_wide_heads_stand_in_bands_too():
    drawn = side_by_side([np.ones((1, 20))], ["head"], ["a"], width=12).split("\n\n")
    assert [band.splitlines()[1] for band in drawn] == ["a " + "█" * 10] * 2


def test_colours():
    assert cell(0.6, 2, True) == "\x1b[48;5;229m  \x1b[0m"
    drawn = heat_map(np.array([[0.0, 1e-9, 1.0]]), ["q"], ["a", "b", "c"], colour=True)
    assert drawn.count("\x1b[48;5;") == 2
    assert drawn.count("\x1b[2m· \x1b[0m") == 1
    assert drawn.count("\x1b[0m") == 3
    assert "█" not in drawn + legend(colour=True)


def test_side_by_side():
    drawn = side_by_side([np.eye(2), np.ones((2, 2)) / 2], ["head 1", "head 2"], ["a", "b"], width=30)
    assert drawn.splitlines() == ["  head 1  head 2", "a █·      ██", "b ·█      ██"]
    bands = side_by_side([np.eye(2)] * 3, ["h 1", "h 2", "h 3"], ["a", "b"], width=14).split("\n\n")
    assert [band.splitlines()[0] for band in bands] == ["  h 1  h 2", "  h 3"]


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (0, 2)])
def test_labels_that_do_not_fit(shape):
    with pytest.raises(ValueError, match="weights has shape"):
        heat_map(np.zeros(shape), ["a", "b"], ["a", "b"])


def test_labels_are_harmless_and_short():
    assert shorten("\x1b[31mred\n", 20) == "·[31mred·"
    assert shorten("abcdefgh", 4) == "abc…"
    assert shorten("", 4) == "·"
    assert readable(["▁The", "s", ".", "▁", "<eos>"]) == ["The", "-s", ".", "▁", "<eos>"]


# ---- what a tour holds -------------------------------------------------------------------------------------


def test_shapes_and_labels(tours):
    found = tours["step01_numpy"]
    n_source, n_target = len(found.tokens), len(found.labels[MASKED][0])
    assert found.tokens[-1] == "<eos>"
    assert found.labels[CROSS] == (found.labels[MASKED][0], found.labels[SELF][0])
    steps, read = found.labels[MASKED]
    assert steps == [f"{a} → {b}" for a, b in zip(read, [*read[1:], "<eos>"], strict=True)]
    assert read[0] == "<bos>"
    assert found.maps[SELF].shape == (2, 2, n_source, n_source)
    assert found.maps[MASKED].shape == (2, 2, n_target, n_target)
    assert found.maps[CROSS].shape == (2, 2, n_target, n_source)
    for weights in found.maps.values():
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-12)


def test_masked_attention_looks_back_only(tours):
    weights = tours["step01_numpy"].maps[MASKED]
    assert (weights == np.tril(weights)).all()
    assert tours["step01_numpy"].maps[SELF][0, 0, 0, 1:].any()


def test_one_head_is_the_models_own_first_head(tours):
    for found in tours.values():
        for operation, kind in zip(found.operations, (SELF, MASKED, CROSS), strict=False):
            np.testing.assert_allclose(operation.weights[0], found.maps[kind][0, 0], rtol=0, atol=1e-14)
        np.testing.assert_array_equal(found.operations[3].weights, found.maps[CROSS][-1])


@pytest.mark.parametrize("package", ["step02_torch", "step03_gpu"])
def test_every_stage_gives_the_same_numbers(tours, package):
    first, found = tours["step01_numpy"], tours[package]
    assert found.stage == package
    assert (found.translations, found.tokens) == (first.translations, first.tokens)
    for a, b in zip(first.operations, found.operations, strict=True):
        assert (a.title, a.shapes, a.rows, a.columns) == (b.title, b.shapes, b.rows, b.columns)
        np.testing.assert_allclose(b.out, a.out, rtol=0, atol=1e-10)
    for kind, weights in first.maps.items():
        np.testing.assert_allclose(found.maps[kind], weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n_kv_heads", "positions"), [(1, "learned"), (None, "rotary")])
def test_other_models(n_kv_heads, positions):
    checkpoint = tiny_checkpoint(n_kv_heads=n_kv_heads, positions=positions, norm_first=False, n_layers=1)
    found = tour(BACKENDS["step01_numpy"], checkpoint, TEXT)
    assert found.maps[CROSS].shape[:2] == (1, 2)


@pytest.mark.parametrize("text", ["", "  ", "house " * 40])
def test_texts_that_cannot_be_shown(text):
    with pytest.raises(ValueError, match=r"the text has .* tokens, <eos> included; expected 2 to 24"):
        tour(BACKENDS["step01_numpy"], tiny_checkpoint(), text)


# ---- in words ----------------------------------------------------------------------------------------------

ROWS = read_and_written(["<bos>", "La", "maison", "rouge", "'", "-tte", "est", "."])
COLUMNS = ["The", "red", "house", "is", ".", "<eos>"]


def test_a_decoders_rows_say_what_is_read_and_written():
    rows = read_and_written(["<bos>", "La", "maison"])
    assert rows == ["<bos> → La", "La → maison", "maison → <eos>"]


def test_the_finding_names_the_clearest_words_in_order():
    weights = np.full((8, 6), 0.02)
    for row, (column, weight) in enumerate(
        [(0, 0.6), (2, 0.9), (1, 0.8), (0, 0.4), (1, 0.95), (3, 0.7), (4, 0.99), (5, 0.9)]
    ):
        weights[row, column] = weight
    assert in_words(weights, ROWS, COLUMNS) == (
        "To write “maison” it looked at “house” (90%); to write “rouge” it looked at “red” (80%); "
        "to write “est” it looked at “is” (70%)."
    )  # not at marks, not to write part of a word, and no word twice
    assert in_words(np.full((8, 6), 1 / 6), ROWS, COLUMNS) == ""


def test_the_finding_names_no_piece_of_a_word():
    weights = np.eye(3)
    rows = read_and_written(["<bos>", "mai", "-son"])
    assert in_words(weights, rows, ["ho", "-use", "."]) == ""
    assert in_words(weights, rows, ["house", ".", "."]) == ""
    assert in_words(weights, read_and_written(["<bos>", "maison", "."]), ["ho", "-use", "."]) == ""
    assert in_words(weights, read_and_written(["<bos>", "maison", "."]), ["house", ".", "."]) != ""


def test_the_finding_and_the_doubts_stand_first(model, capsys, monkeypatch):
    monkeypatch.setattr(Translator, "doubts", lambda self, *_: ["never seen in training: house"])
    monkeypatch.setattr(
        "step01_numpy.common.display.tour.in_words", lambda *_: "To write “rouge” it looked at “red” (80%)."
    )
    assert main(import_module("step01_numpy"), ["tour", TEXT, "--model", model]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"text: {TEXT}"
    assert lines[2].startswith("French: ")
    assert lines[3:5] == [
        "To write “rouge” it looked at “red” (80%).",
        "note: this may be wrong: never seen in training: house",
    ]


# ---- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def few_cases(monkeypatch):
    """What is compared is the matter of test_parity; here it is the table."""
    chosen = [case for case in parity.CASES if case.operation in ("softmax", "self-attention")]
    monkeypatch.setattr(parity, "CASES", chosen)


@pytest.fixture
def model(tmp_path):
    save(tmp_path / "tiny.safetensors", tiny_checkpoint())
    return str(tmp_path / "tiny.safetensors")


@pytest.mark.parametrize("package", ["step01_numpy", "step02_torch"])
def test_tour_of_one_stage(package, model, tours, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(import_module(package), ["tour", TEXT, "--model", model], below=("step01_numpy",)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"text: {TEXT}" in out
    for number in "1234":
        assert f"\n{number}. " in out
    assert out.splitlines()[-3] == f"  {package:<14}{tours[package].translations[NAME]}"
    assert out.splitlines()[-1] == f"To move attention by hand: python -m {package} explore"
    assert [x.name for x in tmp_path.iterdir()] == ["tiny.safetensors"]  # it writes no page unasked


@pytest.mark.usefixtures("few_cases")
def test_tour_of_all_stages(model, tours, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stages = {"below": ("step01_numpy", "step02_torch"), "models": import_module("step01_numpy")}
    assert main(import_module("step03_gpu"), ["tour", TEXT, "--model", model], **stages) == 0
    out = capsys.readouterr().out
    apart = [float(x) for x in re.findall(r"differs by (\S+)", out)]
    assert len(apart) == 12
    assert max(apart) < 1e-10
    assert out.count(tours["step01_numpy"].translations[NAME]) == 4  # in the first lines, and of each stage
    assert "all 6 comparisons are within tolerance; the table is on the page" in out
    assert "all 6 comparisons are within tolerance" in out
    assert (tmp_path / "build" / "tour.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_no_place_for_the_page(model, capsys, tmp_path):
    arguments = ["tour", TEXT, "--model", model, "--out", str(tmp_path / "tiny.safetensors" / "tour.html")]
    assert main(import_module("step01_numpy"), arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err


# ---- the page ----------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects the tags, and the text of each."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = [], [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def test_the_page_stands_alone(tours):
    text = page(list(tours.values()), parity.check("step02_torch"))
    reader = Reader(text)
    assert reader.open == []  # every element is closed
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(reader.tags)
    assert not {"src", "href", "srcset", "action"} & {name for name, _ in reader.attributes}
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttp", text)


def test_the_page_holds_every_map(tours):
    found = tours["step01_numpy"]
    reader = Reader(page([found], []))
    data = json.loads(reader.texts["script"][0])
    assert [x["kind"] for x in data] == [SELF, MASKED, CROSS]
    for entry in data:
        weights, given = np.array(entry["blocks"]), found.maps[entry["kind"]]
        np.testing.assert_array_equal(weights == HIDDEN, given == 0)
        assert (given == 0).any() == (entry["kind"] == MASKED)
        np.testing.assert_allclose(np.maximum(weights, 0) / 1000, given, atol=0.0005)
        assert (entry["rows"], entry["columns"]) == found.labels[entry["kind"]]


def test_no_text_breaks_out_of_the_page(tours):
    evil = "</script ></script><script>alert(1)</script><b onclick='x'>&amp;$stage ${data}"
    found = tours["step01_numpy"]
    labels = {kind: ([evil] * len(rows), columns) for kind, (rows, columns) in found.labels.items()}
    fields = {**vars(found), "labels": labels, "text": evil, "translations": {evil: evil}, "stage": evil}
    plain = Reader(page([found], []))
    reader = Reader(page([type(found)(**fields)], []))
    assert reader.tags == plain.tags
    assert "onclick" not in {name for name, _ in reader.attributes}
    assert json.loads(reader.texts["script"][0])[0]["rows"][0] == evil
    assert evil in "".join(reader.texts["dd"])
    assert not set("<>&") & set(embedded_json(evil))
    assert json.loads(embedded_json(evil)) == evil


def test_the_page_shows_the_parity(tours):
    rows = parity.check("step02_torch")
    cells = Reader(page(list(tours.values()), rows)).texts
    assert {row.operation for row in rows} <= set(cells["th"])
    assert f"{rows[0].gradient.difference:.1e}" in cells["td"]
    assert re.fullmatch(
        r"3 stages, one result: they differ by \d\.\de-\d+ at most on this sentence; "
        r"on random inputs, forward and backward, all \d+ comparisons are within tolerance\.",
        "".join(cells["summary"]),
    )


def test_the_tables_are_folded_and_doubts_stand_above_the_maps(tours):
    found = dataclasses.replace(tours["step01_numpy"], doubts=["never seen: <b>"], finding="To write “x” …")
    text = page([found], [])
    folded = text[text.index("<details>") : text.index("</details>")]
    assert text.count("<table") == folded.count("<table") == 1
    assert "<summary>The numbers of step01_numpy alone" in folded
    doubt, finding = (text.index(x) for x in ("may be wrong: never seen: &lt;b&gt;.", "To write “x” …"))
    assert doubt < finding < text.index('id="maps"')
    assert '<p class="doubt">' not in page([dataclasses.replace(found, doubts=[])], [])


def test_the_page_opens_on_what_its_text_explains(tours):
    assert "cross-attention in the last block" in page([tours["step01_numpy"]], [])
    assert "cross-attention in the last" not in page(
        [alignment(BACKENDS["step01_numpy"], tiny_recurrent(), TEXT)], []
    )
