"""`train --plot`: a figure of the training, the same bytes for the same points."""

import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

import step01_numpy
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.display import curve
from step01_numpy.common.display.curve import MOST, Course, Point, draw
from tests.tiny import CONFIG, write_corpus

pytest.importorskip("matplotlib", reason="the figure is drawn by matplotlib")


@pytest.fixture
def words(tmp_path):
    (tmp_path / "config.json").write_text(CONFIG)
    data = write_corpus(tmp_path)
    return ["train", "--data", str(data), "--config", str(tmp_path / "config.json")]


def text_of(path):
    return " ".join(x.text or "" for x in ElementTree.parse(path).iter() if x.tag.endswith("text"))


def test_a_training_leaves_a_figure(words, tmp_path, capsys):
    figure = tmp_path / "course.svg"
    assert main(step01_numpy, [*words, "--out", str(tmp_path / "m"), "--plot", str(figure)]) == 0
    assert capsys.readouterr().out.startswith("step 6 of 6")
    for label in ("loss (nats/token)", "learning rate", "target tokens/s", "updates"):
        assert label in text_of(figure)


def test_it_is_drawn_with_every_saving(words, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(curve, "draw", lambda points, path: drawn.append(len(points)))
    figure = ["--plot", str(tmp_path / "course.svg")]
    assert main(step01_numpy, [*words, "--out", str(tmp_path / "m"), "--save-every", "2", *figure]) == 0
    assert drawn == [1, 3, 5]


def test_points_are_means_over_equal_stretches(tmp_path, monkeypatch):
    course, clock = Course(tmp_path / "course.svg"), iter(range(0, 10_000, 2))
    monkeypatch.setattr(curve.time, "perf_counter", lambda: next(clock))
    for step in range(1, 2 * MOST + 2):
        course.add(SimpleNamespace(step=step, loss=10 - step / 100, rate=step / 1000, tokens=30 + step % 2))
    points = course.points()
    assert len(points) == MOST
    assert points[0] == pytest.approx(Point(2.5, 9.975, 0.0025, 15.25))
    assert points[-1] == pytest.approx(Point(400.5, 5.995, 0.4005, 15.25))


def test_the_same_points_give_the_same_bytes(tmp_path):
    points = [Point(i, 5 / i, 0.001 * i, 100.0) for i in range(1, 9)]
    draw(points, tmp_path / "a.svg")
    draw(points, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(
    ("plot", "said"), [("no/such.svg", "No such file or directory"), ("m", "expected two files")]
)
def test_a_place_that_cannot_be_drawn_on(words, tmp_path, capsys, monkeypatch, plot, said):
    monkeypatch.setattr("step01_numpy.common.commands.train.Trainer.new", None)  # must not be reached
    out = ["--out", str(tmp_path / "m"), "--plot", str(tmp_path / plot)]
    assert main(step01_numpy, [*words, *out]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_without_matplotlib(words, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out = ["--out", str(tmp_path / "m"), "--plot", str(tmp_path / "course.svg")]
    assert main(step01_numpy, [*words, *out]) == 2
    assert "attention-step-by-step[viz]" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
