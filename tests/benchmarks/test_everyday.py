"""The list of everyday sentences: a hundred, spelled out right, and judged by their words alone."""

import re

import pytest

from tests.benchmarks.everyday import expand, main, mistakes, read


@pytest.mark.parametrize(
    ("text", "spelled_out"),
    [
        ("so", {"so"}),
        ("{a|b} {c|d}", {"a c", "a d", "b c", "b d"}),
        ("so{| {or|and} not}", {"so", "so or not", "so and not"}),
        ("{{a|b} c|d}", {"a c", "b c", "d"}),
    ],
)
def test_what_braces_mean(text, spelled_out):
    assert expand(text) == spelled_out


def test_a_hundred_sentences_each_spelled_out():
    right = read()
    assert len(right) == 100
    for english, accepted in right.items():
        assert accepted, english
        assert not [x for x in accepted if re.search(r"[{}|]", x) or not x.strip()], english


def test_case_punctuation_and_blanks_do_not_count():
    given = {"Hello.": "bonjour !", "I love you.": "Je t’aime", "Open the window.": "Ouvre la fenêtre\u202f!"}
    assert mistakes(given) == {}
    given = {"Hello.": "Bonjour les rouges.", "I love you.": "Je suis vous."}
    assert mistakes(given) == given


def test_the_command_counts(capsys):
    main([])
    *wrong, last = capsys.readouterr().out.splitlines()
    assert last == f"{100 - len(wrong)} of 100 right"
    assert all("  →  " in line for line in wrong)
