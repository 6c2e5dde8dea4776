"""Matrices and figures of the lessons: what a page gets to show."""

import re

import numpy as np

from step01_numpy.common.display import lesson


def drawn(label="A matrix."):
    figure, axes = lesson.new_figure(4, 3)
    lesson.heat_map(axes, np.array([[1.0, 0], [0.25, 0.75]]), ["a", "b"], ["c", "<d>"])
    return lesson.svg(figure, label)


def test_tables_as_html():
    shown = lesson.tables(
        ["one", "<two>"], 2, q=np.array([[0.5, -1.25], [0.0, -0.0]]), n=[3, 4]
    )._repr_html_()
    assert shown.count("<table") == 2
    assert re.findall(r"<td>(.*?)</td>", shown) == ["0.50", "−1.25", "0.00", "0.00", "3", "4"]
    assert "&lt;two&gt;" in shown
    assert "<caption>q</caption>" in shown
    assert f"3px solid {lesson.QUERY}" in shown


def test_what_is_hidden_is_shown_as_such():
    shown = lesson.tables(hidden=[[-np.inf, 0.5]])._repr_html_()
    assert "<td>−∞</td><td>0.5000</td>" in shown


def test_tables_as_text():
    assert repr(lesson.tables(places=1, w=[[0.25, 0.75]])) == "w =\n[[0.2 0.8]]"


def test_a_figure_takes_the_pages_colour_and_says_what_it_shows():
    text = drawn('A "matrix".')._repr_html_()
    assert text.startswith('<svg class="figure"')
    assert 'aria-label="A &quot;matrix&quot;."' in text
    assert 'role="img"' in text
    assert "#000000" not in text
    assert "currentColor" in text
    assert re.findall(r">(0\.\d\d|1\.00|·)</text>", text) == ["1.00", "·", "0.25", "0.75"]
    assert "&lt;d&gt;" in text
    assert repr(drawn()) == "<figure: A matrix.>"


def test_the_same_figure_gives_the_same_bytes():
    assert drawn().text == drawn().text


def test_figures_of_one_page_share_no_id():
    first, second = (
        set(re.findall(r'<clipPath id="(.*?)"', drawn(label).text)) for label in ("One.", "Two.")
    )
    assert first
    assert not first & second
