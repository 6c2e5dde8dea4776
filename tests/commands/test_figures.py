"""What a run leaves to look at: `tour --svg`, `parity --html`, `describe --compare`."""

import json
import re
import sys
import warnings
from html.parser import HTMLParser
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

import step01_numpy
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.display.map_figures import draw, names
from step01_numpy.common.display.parity_page import parity_page
from step01_numpy.common.parity.comparison import check
from step01_numpy.common.parity.table import Rows
from step01_numpy.common.scale.costs import groups, total
from step01_numpy.common.scale.known_models import KNOWN_MODELS
from step01_numpy.common.training.checkpoints import save
from tests.tiny import tiny_checkpoint

TEXT = "They arrived late."


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run a command of step01 in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = main(step01_numpy, [str(x) for x in words])
        return code, *capsys.readouterr()

    return call


def texts(svg):
    return [x.text for x in ElementTree.fromstring(svg).iter() if x.tag.endswith("text")]


def cells(svg):
    """Return the colours of the cells of all maps, in the order in which they are drawn."""
    return re.findall(r"fill: (#[0-9a-f]{6}); stroke: #ffffff", svg.decode())


# ---- tour --svg -------------------------------------------------------------------------------------------


def test_a_figure_for_each_kind_and_block(run, tmp_path):
    pytest.importorskip("matplotlib", reason="figures are drawn by matplotlib")
    save(tmp_path / "tiny.safetensors", tiny_checkpoint())
    code, out, err = run("tour", TEXT, "--model", "tiny.safetensors", "--svg", "new/maps")
    assert code == 0, err
    kinds = ["encoder_self_attention", "decoder_masked_self_attention", "decoder_cross_attention"]
    wanted = names(kinds, [2] * 3)
    assert sorted(x.name for x in (tmp_path / "new/maps").iterdir()) == sorted(wanted)
    assert "Figures of them: 6 in new/maps" in out
    found = texts((tmp_path / "new/maps" / wanted[-1]).read_bytes())
    assert "decoder cross-attention, block 2" in found
    assert "<eos>" in found


def test_a_cells_colour_is_its_weight_and_hidden_ones_have_none():
    pytest.importorskip("matplotlib", reason="figures are drawn by matplotlib")
    weights = np.array([[[1.0, 0.0], [0.25, 0.75]]])
    svg = draw(weights, ["$a$", "b"], ["c$", "☃日"], "title")
    found = cells(svg)
    assert len(found) == 3  # the hidden one is not drawn
    darkness = [sum(int(x[i : i + 2], 16) for i in (1, 3, 5)) for x in found]
    assert darkness[0] < darkness[2] < darkness[1]  # 1, then 0.25, then 0.75
    assert {"title", "$a$", "b", "c$", "☃日", "weight"} <= set(texts(svg))
    assert draw(weights, ["$a$", "b"], ["c$", "☃日"], "title") == svg


def test_the_first_row_stands_on_top():
    pytest.importorskip("matplotlib", reason="figures are drawn by matplotlib")
    svg = draw(np.eye(2)[None], ["first", "second"], ["x", "y"], "title").decode()
    places = {text: float(y) for y, text in re.findall(r'y="([0-9.]+)"[^>]*>(first|second)<', svg)}
    assert places["first"] < places["second"]  # y grows downwards


def test_heads_stand_beside_each_other_without_warnings():
    pytest.importorskip("matplotlib", reason="figures are drawn by matplotlib")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = texts(draw(np.full((5, 1, 2), 0.5), ["日"], ["x", "y"], "five"))
    assert [x for x in found if x and x.startswith("head")] == [f"head {i}" for i in range(1, 6)]
    assert found.count("日") == 2  # rows are labelled once a line of heads


def test_no_place_for_figures(run, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="figures are drawn by matplotlib")
    save(tmp_path / "tiny.safetensors", tiny_checkpoint())
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("step01_numpy.common.commands.tour.look", None)  # must not be reached
    code, out, err = run("tour", TEXT, "--model", "tiny.safetensors", "--svg", "file")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "file" in err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = run("tour", TEXT, "--model", "tiny.safetensors", "--svg", "maps")
    assert code == 2
    assert "attention-step-by-step[viz]" in err


# ---- parity --html ----------------------------------------------------------------------------------------


class Cells(HTMLParser):
    """The texts of a page's table, a list for each row."""

    def __init__(self, text):
        HTMLParser.__init__(self)
        self.rows, self.inside = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        self.inside = tag in ("td", "th")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1].append(data)


def test_the_page_of_a_comparison(run, tmp_path):
    code, out, err = run("parity", "--only", "softmax", "--html", "parity.html")
    assert (code, err) == (0, "")
    page = (tmp_path / "parity.html").read_text()
    head, *rows = Cells(page).rows
    assert head[0] == "Operation"
    assert len(head) == len(rows[0]) == 3
    for row in rows:
        assert " ".join(row) in " ".join(out.split()).replace("  ", " ")
    assert "all" in page
    assert "are within tolerance" in page
    assert 'class="verdict passed"' in page
    assert "http" not in page.replace("http-equiv", "")


def test_what_is_wrong_stands_on_the_page():
    stage = SimpleNamespace(__name__="<b>mine", softmax=lambda scores: scores)
    rows = Rows(check(stage, "step01_numpy", only=["softmax"]))
    page = parity_page(rows)
    assert 'class="verdict failed"' in page
    assert "<li>softmax (&lt;b&gt;mine), forward: " in page
    assert "<b>" not in page
    assert any(x.endswith(" !") for row in Cells(page).rows for x in row)
    assert 'class="verdict failed"' in parity_page(Rows())


def test_no_place_for_a_page(run, tmp_path, monkeypatch):
    monkeypatch.setattr("step01_numpy.common.commands.parity.check", None)  # must not be reached
    code, out, err = run("parity", "--html", "no/such/page.html")
    assert (code, out, err.count("\n")) == (2, "", 1)


# ---- describe --compare -----------------------------------------------------------------------------------


def rows_of(out):
    """Return the lines of each section by their first words: "parameters", "FLOP/token", "memory"."""
    sections, found = out.split("\n\n"), {}
    for section in sections[1:]:
        first, *lines = section.splitlines()
        cut = [re.split(r"\s{2,}", line.strip()) for line in lines]
        found[first.split()[0]] = {name: rest for name, *rest in cut}
    return found


def test_two_models_beside_each_other(run):
    code, out, err = run("describe", "--compare", "llama-3.1-8b", "qwen3-8b", "--context", 100)
    assert (code, err) == (0, "")
    found = rows_of(out)
    one, two = (KNOWN_MODELS[name].config for name in ("llama-3.1-8b", "qwen3-8b"))
    differing = {x for x in one.to_dict() if one.to_dict()[x] != two.to_dict()[x]}
    assert set(found["field"]) == differing
    assert found["field"]["n_layers"] == ["32", "36"]
    assert found["parameters"]["total"] == ["8.03 G", "8.19 G", "1.02"]
    flop = [total(groups(c, 100)).flop for c in (one, two)]
    assert float(found["FLOP/token"]["total"][-1]) == pytest.approx(flop[1] / flop[0], abs=0.005)
    assert found["memory"]["KV cache a token, bf16"] == ["131 kB", "147 kB", "1.12"]
    code, out, _ = run("describe", "--compare", "llama-3.1-8b", "qwen3-8b", "--json")
    assert [x["name"] for x in json.loads(out)] == ["llama-3.1-8b", "qwen3-8b"]


def test_parts_that_one_model_alone_has(run):
    found = rows_of(run("describe", "--compare", "bert-base", "transformer-base")[1])
    assert found["parameters"]["input"] == ["396 k", "-", "-"]
    assert found["parameters"]["decoder block"] == ["-", "25.2 M", "-"]
    assert list(found["parameters"])[-1] == list(found["FLOP/token"])[-1] == "total"
    assert "norms" not in found["FLOP/token"]  # which cost either model nothing


def test_a_model_and_itself_from_a_file(run, tmp_path):
    save(tmp_path / "tiny.safetensors", tiny_checkpoint())
    code, out, _ = run("describe", "--compare", "tiny.safetensors", "tiny.safetensors")
    assert code == 0
    assert "the configurations are equal" in out
    assert {row[-1] for row in rows_of(out)["parameters"].values()} == {"1.00"}
    code, _, err = run("describe", "--compare", "gpt2", "none")
    assert code == 2
    assert "config is 'none'; expected a JSON file, or one of llama" in err
