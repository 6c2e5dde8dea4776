"""The figure of accuracy over length: counted right, drawn the same every time."""

from xml.etree import ElementTree

import pytest

from step01_numpy.common.inference.translation import Translator
from step01_numpy.common.training.checkpoints import save
from tests.benchmarks import sentence_length
from tests.benchmarks.sentence_length import BINS, by_length, draw, main, percent, table
from tests.tiny import PAIRS, tiny_checkpoint, tiny_recurrent

RESULTS = {"additive": [(3, 3), (2, 2), (0, 0), (1, 1), (9, 10), (1, 3)], "none": [(3, 3)] + [(0, 2)] * 5}


def test_bins_hold_every_length_once():
    assert by_length([True] * 40, list(range(1, 41))) == [(5, 5), (2, 2), (2, 2), (2, 2), (2, 2), (27, 27)]
    assert by_length([True, False, True, False], [5, 5, 6, 14]) == [
        (1, 2),
        (1, 1),
        (0, 0),
        (0, 0),
        (0, 0),
        (0, 1),
    ]
    assert len(by_length([], [])) == len(BINS)


def test_table():
    lines = table(RESULTS).splitlines()
    assert lines[0] == "| tokens of the source | sentences | additive | none |"
    assert lines[2] == "| 1-5 | 3 | 100.00 % | 100.00 % |"
    assert lines[4] == "| 8-9 | 0 | - | 0.00 % |"
    assert lines[-2] == "| 14 or more | 3 | 33.33 % | 0.00 % |"
    assert lines[-1] == "| all | 19 | 84.21 % | 23.08 % |"
    assert percent(2, 3) == "66.67 %"


def test_figure(tmp_path):
    pytest.importorskip("matplotlib", reason="the figure is drawn by matplotlib")
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for path in paths:
        draw(RESULTS, path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    text = "".join(ElementTree.fromstring(first).itertext())
    for words in ("additive", "none", "exact translations (%)", "length of the English sentence (tokens)"):
        assert words in text
    assert b"<dc:date>" not in first
    assert len(first) < 40_000


def test_the_program(tmp_path, capsys, monkeypatch):
    save(tmp_path / "a", tiny_recurrent())
    save(tmp_path / "b", tiny_checkpoint())
    monkeypatch.setattr(sentence_length, "read_parallel", lambda data, split: {"held_out": PAIRS}[split])
    french = [pair[1] for pair in PAIRS]
    monkeypatch.setattr(Translator, "translate", lambda self, lines: [*french[:3], "Non."])
    assert main([f"additive={tmp_path / 'a'}", f"none={tmp_path / 'b'}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "| all | 4 | 75.00 % | 75.00 % |"


def test_models_without_a_name(capsys):
    with pytest.raises(SystemExit):
        main(["model.safetensors"])
    assert "expected NAME=FILE" in capsys.readouterr().err
